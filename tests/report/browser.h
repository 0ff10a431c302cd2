#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/image.h"
#include "support/shared_data.h"

namespace xdn::testing {

/// The path of a Chromium, or nullopt: a test says GTEST_SKIP() << "skipped: no chromium".
std::optional<std::string> find_chromium();

/// A headless Chromium, spoken to in its DevTools protocol over a pipe: no port is opened, nothing is
/// fetched. What takes longer than a minute is a runtime_error.
class Browser {
 public:
  using Json = nlohmann::json;

  struct View {
    int width = 1280;
    bool dark = false, print = false;
  };
  struct Rect {
    double x = 0, y = 0, width = 0, height = 0;
  };

  explicit Browser(const std::string& program);
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  /// Loads the file in that view, and returns when its charts are drawn.
  void open(const std::string& path, const View& view);
  /// The value of a JavaScript expression.
  Json evaluate(const std::string& expression);
  Image screenshot(const Rect& rect);
  std::string print_to_pdf();

  /// Since the last open(): errors and warnings on the console, uncaught exceptions; the addresses asked for.
  const std::vector<std::string>& problems() const { return problems_; }
  const std::vector<std::string>& requests() const { return requests_; }

 private:
  Json call(const std::string& method, Json parameters = Json::object());
  Json receive();
  void take(const Json& event);

  TempDir profile_;
  pid_t child_ = -1;
  int to_ = -1, from_ = -1;
  int calls_ = 0;
  std::string buffer_, session_;
  bool loaded_ = false;
  std::vector<std::string> problems_, requests_;
};

}  // namespace xdn::testing
