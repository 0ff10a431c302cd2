#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace xdn::cli {

/// A progress line on stderr: drawn after the first second and at most ten times a second, with the time
/// left, and erased at the end. Draws nothing where stderr is no terminal.
class Progress {
 public:
  Progress(std::string label, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// How many of total are done; any thread may count it up.
  std::atomic<int64_t>& done() { return done_; }
  /// What stands behind the line from now on.
  void note(std::string text);
  /// Erases the line and stops drawing.
  void finish();

 private:
  void draw_until_stopped();

  const std::string label_;
  const int64_t total_;
  std::atomic<int64_t> done_{0};
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::string note_;
  std::thread thread_;
};

/// "7 s", "12:34" or "1:23:45", to the next second.
std::string duration_text(double seconds);

/// The line at `done` of `total` after `seconds`, as drawn: "label  [#####     ] 50 %  500/1000  3 s left".
std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds);

}  // namespace xdn::cli
