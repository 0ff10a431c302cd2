#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

namespace xdn::cli {

/// Where a verb's results go: text for people on stdout, and JSON where --json says. With --json -, JSON has
/// stdout and the text goes to stderr.
class Output {
 public:
  /// Adds --json FILE|-.
  void add_option(CLI::App& app);
  /// Call before long work: a --json file that cannot be created is refused here.
  void check() const;

  template <class... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) const {
    const std::string text = fmt::format(format, std::forward<Args>(args)...);
    (void)std::fwrite(text.data(), 1, text.size(), text_on_stderr() ? stderr : stdout);
  }
  /// Whether text for people goes to stderr.
  bool text_on_stderr() const { return json_path_ == "-"; }
  /// Writes the JSON, if it was asked for.
  void finish(const nlohmann::ordered_json& json) const;

 private:
  std::string json_path_;
};

/// An input error naming the path unless a regular file can be created or replaced there; called before long
/// work.
void check_output(const std::string& path);

/// "83.4 M", "1.71 G", "512": three significant digits at a power of 1000.
std::string human_count(double count);
/// "1.5 GiB"
std::string human_bytes(double bytes);

}  // namespace xdn::cli
