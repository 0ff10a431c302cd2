#include "report/source.h"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>

#include "base/atomic_file.h"
#include "base/error.h"

namespace xdn::report {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = size_t{64} << 20;
constexpr int kDeepest = 32;

/// Names that many runs share, so that the folder's name tells more.
bool is_common_name(const std::string& name) {
  return name == "experiment.json" || name == "optimize.json" || name == "log.jsonl";
}

std::string short_name(const std::string& path) {
  const fs::path whole = fs::path(path).lexically_normal();
  const std::string name = whole.filename().string();
  const std::string folder = fs::absolute(whole).parent_path().filename().string();
  return is_common_name(name) && !folder.empty() ? folder : name;
}

Json parse(std::string_view text, const std::string& where) {
  const auto check_depth = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kDeepest) throw input_error(fmt::format("is nested deeper than {} levels", kDeepest));
    return true;
  };
  try {
    return Json::parse(text, check_depth);
  } catch (const Json::parse_error& error) {
    throw input_error(fmt::format("{}is not JSON: wrong at byte {}", where, error.byte));
  } catch (const Json::exception&) {
    throw input_error(where + "is not JSON: it has a number that is too large");
  }
}

Json parse_lines(std::string_view text) {
  Json lines = Json::array();
  for (size_t start = 0, number = 1; start < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = text.substr(start, end - start);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      lines.push_back(parse(line, fmt::format("line {} ", number)));
    }
    start = end + 1;
  }
  return {{"lines", std::move(lines)}};
}

Source read_source(const std::string& path) {
  try {
    Source source;
    source.path = path;
    source.name = short_name(path);
    source.lines = fs::path(path).extension() == ".jsonl";
    const std::string text = read_file(path, kMostBytes);
    source.json = source.lines ? parse_lines(text) : parse(text, "");
    if (!source.json.is_object())
      throw input_error("expected a JSON object, as xdn's verbs write with --json");
    return source;
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

}  // namespace

std::vector<Source> read_run(const std::string& run) {
  std::error_code ignored;
  if (!fs::is_directory(run, ignored)) return {read_source(run)};
  std::vector<Source> sources;
  for (const char* name : {"experiment.json", "optimize.json", "log.jsonl"}) {
    const fs::path path = fs::path(run) / name;
    if (fs::exists(path, ignored)) sources.push_back(read_source(path.string()));
  }
  if (sources.empty()) {
    throw input_error("the folder has no experiment.json, optimize.json or log.jsonl").in_file(run);
  }
  return sources;
}

}  // namespace xdn::report
