#include "optimize/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/sha256.h"

namespace xdn::optimize {
namespace {

constexpr size_t kMostBytes = size_t{64} << 20;

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// As it is after it was written and read.
Json as_read(const Json& json) { return Json::parse(text_of(json)); }

[[noreturn]] void refuse_settings(const Json& there, const Json& wanted) {
  for (const auto& [key, value] : wanted.items()) {
    const auto other = there.find(key);
    if (other != there.end() && *other == value) continue;
    const std::string was = other == there.end() ? "not given" : text_of(*other);
    throw input_error(fmt::format("holds a run of other settings: {} was {}, and is {} now", key,
                                  printable(was), printable(text_of(value))));
  }
  throw input_error("holds a run of other settings, which its first line tells");
}

}  // namespace

std::string digest_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};
  Sha256 digest;
  std::vector<char> block(size_t{1} << 20);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0)
    digest.update(block.data(), static_cast<size_t>(file.gcount()));
  return file.bad() ? std::string() : digest.hex();
}

Journal::Journal(std::string path, const Json& settings) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0666);
  if (fd_ < 0) throw failure(std::string("cannot write: ") + std::strerror(errno)).in_file(path_);
  try {
    open(as_read(settings));
  } catch (Error& error) {
    close(fd_);
    throw error.in_file(path_);
  }
}

Journal::~Journal() { close(fd_); }

std::string Journal::folder() const { return std::filesystem::path(path_).parent_path().string(); }

void Journal::open(const Json& settings) {
  const std::string text = read_file(path_, kMostBytes);
  size_t good = 0;
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) break;  // cut off: never was
    ++number;
    Json line = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(at),
                            text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    const bool last = end + 1 == text.size();
    const bool sound = line.is_object() && (number > 1 || line.contains("settings"));
    if (!sound && !last) throw input_error(fmt::format("line {} is damaged", number));
    if (!sound) break;
    if (number == 1) {
      if (line["settings"] != settings) refuse_settings(line["settings"], settings);
    } else {
      try {
        replay(line);
      } catch (const Json::exception&) {
        throw input_error(fmt::format("line {} is damaged", number));
      }
    }
    at = good = end + 1;
  }
  if (good < text.size() && ftruncate(fd_, static_cast<off_t>(good)) != 0)
    throw failure(std::string("cannot be cut: ") + std::strerror(errno));
  if (good == 0) append({{"version", 1}, {"settings", settings}});
}

void Journal::replay(const Json& line) {
  if (line.contains("note")) {
    notes_[line.at("note").get<std::string>()] = line.at("value");
    return;
  }
  records_[line.at("stage").get<std::string>()] = {
      line.at("inputs"), line.at("result"), line.at("files").get<std::map<std::string, std::string>>()};
}

void Journal::append(const Json& line) {
  const std::string text = text_of(line) + "\n";
  struct stat before {};
  if (fstat(fd_, &before) != 0) throw failure(std::strerror(errno)).in_file(path_);
  const ssize_t wrote = write(fd_, text.data(), text.size());
  const int error = wrote < 0 ? errno : ENOSPC;
  if (wrote == static_cast<ssize_t>(text.size()) && fsync(fd_) == 0) return;
  if (ftruncate(fd_, before.st_size) != 0) {
    // The next one who opens it drops the part of a line.
  }
  throw failure(std::string("cannot write: ") + std::strerror(error)).in_file(path_);
}

const Json* Journal::find(const std::string& stage, const Json& inputs) const {
  const auto at = records_.find(stage);
  if (at == records_.end() || at->second.inputs != as_read(inputs)) return nullptr;
  for (const auto& [file, digest] : at->second.files) {
    if (digest_of(folder() + "/" + file) != digest) return nullptr;
  }
  return &at->second.result;
}

void Journal::finish(const std::string& stage, const Json& inputs, const std::vector<std::string>& files,
                     const Json& result) {
  Json digests = Json::object();
  for (const std::string& file : files) {
    const std::string path = folder() + "/" + file, digest = digest_of(path);
    if (digest.empty()) throw failure("cannot be read, although it was just written").in_file(path);
    digests[file] = digest;
  }
  const Json line =
      as_read({{"stage", stage}, {"inputs", inputs}, {"files", std::move(digests)}, {"result", result}});
  append(line);
  replay(line);
}

const Json* Journal::noted(const std::string& key) const {
  const auto at = notes_.find(key);
  return at == notes_.end() ? nullptr : &at->second;
}

void Journal::note(const std::string& key, const Json& value) {
  const Json line = as_read({{"note", key}, {"value", value}});
  append(line);
  replay(line);
}

}  // namespace xdn::optimize
