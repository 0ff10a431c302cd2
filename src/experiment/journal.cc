#include "experiment/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/atomic_file.h"
#include "base/error.h"

namespace xdn::experiment {
namespace {

using Json = nlohmann::ordered_json;

std::optional<Record> parse(std::string_view line) {
  Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto text = [&](const char* field, std::string& out) {
    const auto at = json.find(field);
    if (at == json.end() || !at->is_string()) return false;
    out = at->get<std::string>();
    return true;
  };
  Record record;
  const auto wall = json.find("wall");
  const auto result = json.find("result");
  if (!text("key", record.key) || !text("name", record.name) || !text("run", record.run) ||
      wall == json.end() || !wall->is_number() || result == json.end() || !result->is_object()) {
    return std::nullopt;
  }
  record.wall = wall->get<double>();
  if (!std::isfinite(record.wall) || record.wall < 0) return std::nullopt;
  record.result = std::move(*result);
  return record;
}

Error broken(const char* what, const std::string& path) {
  return failure(std::string(what) + ": " + std::strerror(errno)).in_file(path);
}

}  // namespace

Journal::Journal(const std::string& path) : path_(path) {
  file_ = FileDescriptor(open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!file_) throw broken("cannot open", path);
  const std::string text = read_file(path);
  size_t at = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', at)) {
    if (auto record = parse(std::string_view(text).substr(at, end - at))) {
      records_.push_back(std::move(*record));
    } else {
      ++damaged_;
    }
    at = end + 1;
  }
  if (at < text.size() && ftruncate(file_.get(), static_cast<off_t>(at)) != 0)
    throw broken("cannot shorten", path);
}

std::vector<const Record*> Journal::find(const std::string& key) const {
  std::vector<const Record*> found;
  for (const Record& record : records_) {
    if (record.key == key) found.push_back(&record);
  }
  return found;
}

void Journal::append(Record record) {
  const Json json{{"key", record.key},
                  {"name", record.name},
                  {"run", record.run},
                  {"wall", record.wall},
                  {"result", record.result}};
  const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  for (size_t at = 0; at < line.size();) {
    const ssize_t wrote = write(file_.get(), line.data() + at, line.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) throw broken("cannot write", path_);
    at += static_cast<size_t>(wrote);
  }
  if (fsync(file_.get()) != 0) throw broken("cannot write", path_);
  records_.push_back(std::move(record));
}

}  // namespace xdn::experiment
