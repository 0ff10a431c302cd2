// Whatever becomes of the child, the parent gets an answer, and the next child works.
#include "tuner/worker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <vector>

#include "base/error.h"

namespace xdn::tuner {
namespace {

Json handle(const Json& request) {
  const std::string op = request["op"].get<std::string>();
  if (op == "echo") return request["text"];
  if (op == "pid") return static_cast<int64_t>(getpid());
  if (op == "throw") throw input_error("no such thing");
  if (op == "bad_alloc") throw std::bad_alloc();
  if (op == "no pages") throw failure("out of memory: 7 bytes");
  if (op == "exit") _exit(7);
  if (op == "crash") {
    std::signal(SIGSEGV, SIG_DFL);  // sanitizers have handlers of their own
    raise(SIGSEGV);
  }
  if (op == "killed") raise(SIGKILL);
  if (op == "hang") pause();
  if (op == "take") {
    std::vector<char> much(request["bytes"].get<size_t>(), 1);
    return much[much.size() / 2] == 1;
  }
  return nullptr;
}

struct TestWorker : Worker {
  explicit TestWorker(WorkerOptions options = {}) : Worker([] { return handle; }, std::move(options)) {}
};

void expect_alive(Worker& worker) {
  const std::string text(300'000, 'x');  // more than a socket's buffer
  const Reply reply = worker.call({{"op", "echo"}, {"text", text}}, 30);
  ASSERT_TRUE(reply.ok()) << reply.reason;
  EXPECT_EQ(reply.result, text);
}

TEST(Workers, AnswerFromOneChildUntilItIsLost) {
  TestWorker worker;
  const Json first = worker.call({{"op", "pid"}}, 30).result;
  EXPECT_NE(first, static_cast<int64_t>(getpid()));
  EXPECT_EQ(worker.call({{"op", "pid"}}, 30).result, first);
  const int generation = worker.generation();
  (void)worker.call({{"op", "exit"}}, 30);
  EXPECT_NE(worker.generation(), generation);
  EXPECT_NE(worker.call({{"op", "pid"}}, 30).result, first);
}

TEST(Workers, SurviveWhateverATrialDoes) {
  const struct {
    const char* op;
    Status status;
    const char* reason;
  } kCases[] = {
      {"throw", Status::kFailed, "no such thing"}, {"bad_alloc", Status::kMemory, "out of memory"},
      {"no pages", Status::kMemory, "7 bytes"},    {"exit", Status::kFailed, "ended with code 7"},
      {"crash", Status::kFailed, "signal 11"},     {"killed", Status::kMemory, "killed by the system"},
      {"hang", Status::kTimeout, "no answer"},
  };
  TestWorker worker;
  for (const auto& c : kCases) {
    const Reply reply = worker.call({{"op", c.op}}, 0.3);
    EXPECT_EQ(reply.status, c.status) << c.op << ": " << reply.reason;
    EXPECT_NE(reply.reason.find(c.reason), std::string::npos) << c.op << ": " << reply.reason;
    expect_alive(worker);
  }
}

TEST(Workers, HaveALimitOfMemory) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  WorkerOptions options;
  options.memory = 256 * kMiB;
  TestWorker worker(std::move(options));
  EXPECT_TRUE(worker.call({{"op", "take"}, {"bytes", 64 * kMiB}}, 30).ok());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their allocators end the process
  EXPECT_EQ(worker.call({{"op", "take"}, {"bytes", 1024 * kMiB}}, 30).status, Status::kMemory);
#endif
  expect_alive(worker);
}

TEST(Workers, StopWhenToldTo) {
  std::atomic<bool> stop{false};
  WorkerOptions options;
  options.stopped = [&] { return stop.load(); };
  TestWorker worker(std::move(options));
  expect_alive(worker);
  stop = true;
  EXPECT_EQ(worker.call({{"op", "hang"}}, 100).status, Status::kFailed);
}

TEST(Workers, SayBeforeTheyFork) {
  int forks = 0;
  WorkerOptions options;
  options.before_fork = [&] { ++forks; };
  TestWorker worker(std::move(options));
  expect_alive(worker);
  expect_alive(worker);
  EXPECT_EQ(forks, 1);
  (void)worker.call({{"op", "exit"}}, 30);
  expect_alive(worker);
  EXPECT_EQ(forks, 2);
}

}  // namespace
}  // namespace xdn::tuner
