#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "tuner/search.h"
#include "tuner/settings.h"

namespace xdn::tuner {

struct Reply {
  Status status = Status::kOk;
  std::string reason;
  Json result;
  bool ok() const { return status == Status::kOk; }
};

struct WorkerOptions {
  /// Bytes it may take beside what it has when it is forked; more is a std::bad_alloc, or whatever comes of a
  /// failed allocation. 0: no limit.
  int64_t memory = 0;
  /// Called before a child is forked: no other thread may run from then until call() returns.
  std::function<void()> before_fork;
  /// Asked while a reply is awaited: true, and the child has a second left to give it.
  std::function<bool()> stopped;
};

/// A child process that answers requests, forked from this one, so that it finds in memory what this one has
/// loaded. Where it crashes, hangs or is killed, that is the reply, and the next call forks another. It dies
/// with its parent; where memory is short the system kills it first.
class Worker {
 public:
  using Handler = std::function<Json(const Json& request)>;

  /// make_handler is called in the child. What a handler throws is the reply: std::bad_alloc, or an Error
  /// that begins with "out of memory", is kMemory.
  Worker(std::function<Handler()> make_handler, WorkerOptions options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// seconds: until the child is killed.
  Reply call(const Json& request, double seconds);
  /// Changes when a child is lost, and what it knew with it.
  int generation() const { return generation_; }
  void stop();

 private:
  void start();
  Reply lost(Status status, std::string reason);

  std::function<Handler()> make_handler_;
  WorkerOptions options_;
  pid_t child_ = -1;
  int fd_ = -1;
  int generation_ = 0;
  std::string received_;
};

}  // namespace xdn::tuner
