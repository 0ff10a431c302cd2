#include "cli/output.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"

namespace xdn::cli {
namespace {

std::string human(double value, double step, const std::array<const char*, 5>& units) {
  size_t unit = 0;
  while (unit + 1 < units.size() && std::abs(value) >= step * 0.9995) {
    value /= step;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}{}", value, units[0]);
  const int digits = std::abs(value) < 9.995 ? 2 : std::abs(value) < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", value, digits, units[unit]);
}

}  // namespace

void Output::add_option(CLI::App& app) {
  app.add_option("--json", json_path_, "Write the results as JSON to this file, or to stdout for -")
      ->type_name("FILE|-");
}

void Output::check() const {
  if (!json_path_.empty() && json_path_ != "-") check_output(json_path_);
}

void Output::finish(const nlohmann::ordered_json& json) const {
  if (json_path_.empty()) return;
  const std::string text = json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (json_path_ == "-") {
    (void)std::fwrite(text.data(), 1, text.size(), stdout);
    return;
  }
  AtomicFile file(json_path_);
  file.write(text);
  file.commit();
}

void check_output(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path wanted(path);
  const fs::path parent = wanted.has_parent_path() ? wanted.parent_path() : ".";
  if (!fs::is_directory(parent, ignored)) {
    throw input_error("cannot write: the folder does not exist").in_file(path);
  }
  if (!wanted.has_filename() || fs::is_directory(wanted, ignored)) {
    throw input_error("is a folder, expected the name of a file to write").in_file(path);
  }
  if (fs::exists(wanted, ignored) && !fs::is_regular_file(wanted, ignored)) {
    throw input_error("is not a regular file, expected the name of a file to write").in_file(path);
  }
  if (access(parent.c_str(), W_OK | X_OK) != 0) {
    throw input_error(std::string("cannot write: ") + std::strerror(errno)).in_file(path);
  }
}

std::string human_count(double count) { return human(count, 1000, {"", " k", " M", " G", " T"}); }
std::string human_bytes(double bytes) { return human(bytes, 1024, {" B", " KiB", " MiB", " GiB", " TiB"}); }

}  // namespace xdn::cli
