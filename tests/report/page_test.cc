#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "report/assets.h"
#include "report/browser.h"
#include "report/page.h"
#include "report/report.h"

namespace xdn::report {
namespace {

using testing::Browser;
using testing::TempDir;
using View = Browser::View;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Document rich_document() {
  const std::string folder = (testing::source_dir() / "tests/report/fixtures/").string();
  return read_document({folder + "experiment", folder + "tune.json", folder + "finetune.run",
                        folder + "sensitivity.json", folder + "quantize.json"});
}

/// One browser for all tests, since it takes a second to start.
class Page : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto program = testing::find_chromium();
    if (!program) return;
    folder_ = new TempDir;
    browser_ = new Browser(*program);
    write_page(rich_document(), page());
  }
  static void TearDownTestSuite() {
    delete browser_;
    delete folder_;
    browser_ = nullptr;
    folder_ = nullptr;
  }
  void SetUp() override {
    if (browser_ == nullptr) GTEST_SKIP() << "skipped: no chromium";
  }
  static std::string page() { return *folder_ / "report.html"; }
  static int count(const std::string& selector) {
    return browser_->evaluate("document.querySelectorAll(" + Browser::Json(selector).dump() + ").length")
        .get<int>();
  }
  /// Where a chart stands on the page; scrolled parts count as far as they show.
  static Browser::Rect rect_of(const std::string& selector) {
    const auto r =
        browser_->evaluate("(() => { const r = document.querySelector(" + Browser::Json(selector).dump() +
                           ").getBoundingClientRect(); return [r.x, r.y + scrollY, r.width, r.height]; })()");
    return {r[0], r[1], r[2], r[3]};
  }
  static std::vector<std::string> charts() {
    return browser_->evaluate("[...document.querySelectorAll('[data-chart]')].map((f) => f.id)");
  }

  static inline Browser* browser_ = nullptr;
  static inline TempDir* folder_ = nullptr;
};

class ChartPage : public Page {
 protected:
  void SetUp() override {
    Page::SetUp();
    if (!IsSkipped() && assets().charts.empty()) GTEST_SKIP() << "skipped: built without charts";
  }
};

TEST_F(ChartPage, EveryChartHasItsMarks) {
  browser_->open(page(), {});
  const std::vector<std::pair<const char*, int>> expected = {
      {"#waterfall-0 g[aria-label=bars] rect, #waterfall-0 g[aria-label=bars] path", 7},
      {"#waterfall-0 g[aria-label=saved] rect", 6},
      {"#pareto g[aria-label=points] path", 10},
      {"#pareto g[aria-label=front] path", 1},
      {"#confusion-0 g[aria-label=cells] rect", 100},
      {"#layers-0 g[aria-label=bars] rect", 50},
      {"#roofline-0 g[aria-label=layers] circle", 50},
      {"#roofline-0 g[aria-label=roofs] path", 3},
      {"#tuning-0 g[aria-label=cells] rect", 47},
      {"#tuning-0 g[aria-label=failed] text", 1},
      {"#tuning-0 g[aria-label=best] rect", 1},
      {"#loss-0 g[aria-label=epochs] circle", 20},
      {"#loss-0 g[aria-label=curves] path", 1},
      {"#accuracy-0 g[aria-label=epochs] circle", 40},
      {"#accuracy-0 g[aria-label=curves] path", 2},
      {"#sensitivity-0 g[aria-label=cells] rect", 48},
      {"#bars-0 g[aria-label=bars] rect", 8},
      {"#bars-1 g[aria-label=bars] rect", 12},
      {".samples img", 12},
      {"figure svg[role=img][aria-label]", 11},
      {"figure details table", 11},
      {"#commands button", 7},
  };
  for (const auto& [selector, marks] : expected) EXPECT_EQ(count(selector), marks) << selector;
  EXPECT_EQ(browser_->evaluate("[...document.images].filter((i) => i.naturalWidth === 32).length"), 12);
}

TEST_F(Page, AsksForNothingAndComplainsOfNothing) {
  browser_->open(page(), {});
  EXPECT_EQ(browser_->problems(), std::vector<std::string>{});
  for (const std::string& url : browser_->requests()) {
    EXPECT_TRUE(url == "file://" + page() || url.starts_with("data:image/png;base64,")) << url;
  }
  EXPECT_FALSE(browser_->requests().empty());
}

TEST_F(Page, ForbidsEveryRequest) {
  browser_->open(page(), {});
  EXPECT_EQ(browser_->evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"),
            "refused");
  EXPECT_THAT(::testing::PrintToString(browser_->problems()), HasSubstr("Content Security Policy"));
}

TEST_F(Page, FitsAPhone) {
  for (const int width : {360, 768, 1280}) {
    browser_->open(page(), {.width = width});
    EXPECT_LE(browser_->evaluate("document.documentElement.scrollWidth").get<int>(), width);
    const auto wide = browser_->evaluate(
        "[...document.querySelectorAll('figure, .card, .plot, .plot svg')].filter((e) => "
        "e.getBoundingClientRect().right > innerWidth + 0.5).length");
    EXPECT_EQ(wide, 0) << "elements beyond the right edge at " << width;
  }
}

/// How many colours an image has, in steps of 16, and the brightness (0 to 255) of its upper left corner.
std::pair<size_t, int> look_at(const Image& image) {
  std::set<int> colours;
  for (size_t i = 0; i + 2 < image.rgb.size(); i += 3) {
    colours.insert(image.rgb[i] >> 4 << 8 | image.rgb[i + 1] >> 4 << 4 | image.rgb[i + 2] >> 4);
  }
  return {colours.size(), (image.rgb[0] + image.rgb[1] + image.rgb[2]) / 3};
}

TEST_F(ChartPage, ChartsAreDrawn) {
  const View views[] = {
      {1280, false, false}, {1280, true, false}, {360, false, false}, {360, true, false}, {794, true, true}};
  for (const View& view : views) {
    SCOPED_TRACE(fmt::format("width {}, dark {}, print {}", view.width, view.dark, view.print));
    browser_->open(page(), view);
    const std::vector<std::string> all = charts();
    EXPECT_EQ(all.size(), 11U);
    for (const std::string& id : all) {
      const Browser::Rect rect = rect_of("#" + id + " .plot");
      ASSERT_GT(rect.width, 200) << id;
      ASSERT_GT(rect.height, 90) << id;
      const auto [colours, corner] = look_at(browser_->screenshot(rect));
      EXPECT_GE(colours, 8U) << id;
      // What is printed is dark on white, whatever the screen has.
      if (view.dark && !view.print) {
        EXPECT_LT(corner, 64) << id;
      } else {
        EXPECT_GT(corner, 200) << id;
      }
    }
  }
}

TEST_F(Page, Prints) {
  browser_->open(page(), {});
  EXPECT_THAT(browser_->print_to_pdf(), StartsWith("%PDF-"));
}

TEST_F(Page, ShowsUntrustedTextAsText) {
  const std::string evil =
      "</script><script>window.broken=1</script><img src=x onerror='window.broken=1'>{{data}}-->";
  Document document = rich_document();
  document.title = evil;
  document.notes = {evil};
  document.commands = {evil};
  document.points[0].name = evil;
  document.tables[0].rows[0][0] = evil;
  document.evals[0].classes[0] = evil;
  document.profiles[0].layers[0].layer = evil;
  const std::string path = *folder_ / "evil.html";
  write_page(document, path);
  browser_->open(path, {});
  EXPECT_EQ(browser_->evaluate("typeof window.broken"), "undefined");
  EXPECT_EQ(browser_->evaluate("document.title"), evil);
  EXPECT_EQ(browser_->evaluate("document.querySelector('h1').textContent"), evil);
  EXPECT_EQ(browser_->evaluate("document.querySelector('#notes li').textContent"), evil);
  EXPECT_EQ(count("img[src=x]"), 0);
  EXPECT_EQ(browser_->problems(), std::vector<std::string>{});
}

TEST_F(Page, HasTablesWithoutTheChartLibrary) {
  Assets bare = assets();
  bare.charts = {};
  bare.licences = {};
  const std::string path = *folder_ / "bare.html";
  std::ofstream(path) << make_page(rich_document(), bare);
  browser_->open(path, {.width = 360});
  EXPECT_EQ(browser_->problems(), std::vector<std::string>{});
  EXPECT_THAT(browser_->evaluate("document.body.innerText").get<std::string>(),
              HasSubstr("built without charts"));
  EXPECT_EQ(count("svg"), 0);
  EXPECT_EQ(count("figure > .scroll table"), 11);
  EXPECT_EQ(count("#layers-0 tbody tr"), 50);
  EXPECT_LE(browser_->evaluate("document.documentElement.scrollWidth").get<int>(), 360);
}

}  // namespace
}  // namespace xdn::report
