#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace xdn::cli {
namespace {

constexpr auto kFirstDraw = std::chrono::seconds(1);
constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr int64_t kBarWidth = 30;

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::min(seconds, 359999.0) + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string progress_line(const std::string& label, int64_t done, int64_t total, double seconds) {
  if (total <= 0) return fmt::format("{}  {}", label, done);
  const double ratio = std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
  const auto filled = static_cast<size_t>(ratio * kBarWidth);
  std::string line =
      fmt::format("{}  [{}{}] {:3.0f} %  {}/{}", label, std::string(filled, '#'),
                  std::string(static_cast<size_t>(kBarWidth) - filled, ' '), ratio * 100, done, total);
  if (done > 0) line += fmt::format("  {} left", duration_text(seconds * (1 - ratio) / ratio));
  return line;
}

Progress::Progress(std::string label, int64_t total) : label_(std::move(label)), total_(total) {
  if (isatty(STDERR_FILENO) == 1) thread_ = std::thread([this] { draw_until_stopped(); });
}

Progress::~Progress() { finish(); }

void Progress::note(std::string text) {
  const std::lock_guard lock(mutex_);
  note_ = std::move(text);
}

void Progress::finish() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void Progress::draw_until_stopped() {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  if (stopped_.wait_for(lock, kFirstDraw, [this] { return stop_; })) return;
  size_t width = 0;
  do {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::string line = progress_line(label_, done_.load(std::memory_order_relaxed), total_, seconds);
    if (!note_.empty()) line += "  " + note_;
    const size_t drawn = line.size();
    if (drawn < width) line.append(width - drawn, ' ');
    width = drawn;
    std::fputc('\r', stderr);
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
  } while (!stopped_.wait_for(lock, kInterval, [this] { return stop_; }));
  std::fprintf(stderr, "\r%*s\r", static_cast<int>(width), "");
  std::fflush(stderr);
}

}  // namespace xdn::cli
