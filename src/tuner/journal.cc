#include "tuner/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"

namespace xdn::tuner {
namespace {

constexpr const char* kEnd = "end";
constexpr size_t kMostBytes = size_t{256} << 20;

}  // namespace

Journal::Journal(const std::string& folder, Json search, bool resume) : path_(folder + "/journal.jsonl") {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw input_error("cannot create: " + error.message()).in_file(folder);
  lock_.emplace(folder + "/lock");
  if (!lock_->held()) throw input_error("another xdn tune is at work on the same search").in_file(folder);
  const Json head{{"search", std::move(search)}};
  if (resume && read(head)) {
    resumed_ = trials_.size();
  } else {
    trials_.clear();
    AtomicFile file(path_);
    file.write(head.dump() + "\n");
    file.commit();
  }
  fd_ = open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) throw failure(std::string("cannot write: ") + std::strerror(errno)).in_file(path_);
}

Journal::~Journal() { close(fd_); }

/// False where there is nothing to continue.
bool Journal::read(const Json& head) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path_, error)) return false;
  const std::string text = read_file(path_, kMostBytes);
  size_t good = 0;
  while (good < text.size()) {
    const size_t end = text.find('\n', good);
    if (end == std::string::npos) break;
    const Json line = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(good),
                                  text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (good == 0) {
      if (line != head) return false;
    } else {
      if (!line.is_object() || !line.contains("trial") || !line["trial"].is_string()) break;
      const std::string key = line["trial"].get<std::string>();
      if (key == kEnd) return false;
      trials_.insert_or_assign(key, line);
    }
    good = end + 1;
  }
  if (good == 0) return false;
  if (good < text.size() && truncate(path_.c_str(), static_cast<off_t>(good)) != 0)
    throw failure(std::string("cannot write: ") + std::strerror(errno)).in_file(path_);
  return true;
}

const Json* Journal::find(const std::string& key) const {
  const auto found = trials_.find(key);
  return found == trials_.end() ? nullptr : &found->second;
}

double Journal::spent() const {
  double seconds = 0;
  for (const auto& [key, trial] : trials_) {
    if (trial.contains("at")) seconds = std::max(seconds, number_member(trial, "at", 0, 1e9));
  }
  return seconds;
}

void Journal::add(const std::string& key, Json trial) {
  Json line{{"trial", key}};
  line.update(trial);
  write_line(line);
  trials_.insert_or_assign(key, std::move(line));
}

void Journal::end() { write_line({{"trial", kEnd}}); }

void Journal::write_line(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(fd_, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw failure(std::string("cannot write: ") + std::strerror(errno)).in_file(path_);
    done += static_cast<size_t>(written);
  }
  if (fdatasync(fd_) != 0) throw failure(std::string("cannot sync: ") + std::strerror(errno)).in_file(path_);
}

}  // namespace xdn::tuner
