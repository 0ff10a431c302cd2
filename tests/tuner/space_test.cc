#include "tuner/space.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace xdn::tuner {
namespace {

using Splits = std::vector<std::pair<int, int>>;

TEST(Space, HasAllSplitsOfFewThreads) {
  EXPECT_EQ(thread_splits(1), (Splits{{1, 1}}));
  EXPECT_EQ(thread_splits(2), (Splits{{1, 1}, {1, 2}, {2, 1}}));
  EXPECT_EQ(thread_splits(4).size(), 8u);
}

TEST(Space, UsesMostOfManyThreads) {
  const Splits splits = thread_splits(64);
  for (const auto& [d, m] : splits) EXPECT_TRUE(d * m <= 64 && (d * m > 32 || d * m == 1));
  for (const std::pair<int, int>& wanted : Splits{{64, 1}, {1, 64}, {8, 8}, {1, 1}})
    EXPECT_NE(std::find(splits.begin(), splits.end(), wanted), splits.end());
}

TEST(Space, IsTheProductOfItsAxes) {
  SpaceOptions options;
  options.threads = 2;
  EXPECT_EQ(make_space(options).size(), 3u * 10 * 2);
  options.most_tile = 8;
  EXPECT_EQ(make_space(options).size(), 3u * 4 * 2);
  options.precisions = {std::nullopt, Precision::kBf16};
  EXPECT_EQ(make_space(options).size(), 3u * 4 * 2 * 2);
  options.scenario = Scenario::kSingleStream;
  for (const Settings& s : make_space(options)) {
    EXPECT_EQ(s.batch_tile, 1);
    EXPECT_EQ(s.data_parallel, 1);
  }
  EXPECT_EQ(make_space(options).size(), 2u * 2 * 2);
}

TEST(Settings, AreJsonAndBack) {
  Settings settings{Precision::kBf16, 2, 3, 48, false, {}};
  settings.layouts["a layer"] = {3, LoopOrder::kRowsOuter};
  settings.layouts["b"] = {0, LoopOrder::kPanelsOuter};
  settings.layouts["c"] = {1, LoopOrder::kChosen};
  EXPECT_EQ(parse_settings(settings_json(settings)), settings);
  EXPECT_EQ(parse_settings(settings_json({})), Settings{});
}

TEST(Settings, BecomeOptions) {
  ExecOptions given;
  given.isa = Isa::kAvx2;
  given.precision = Precision::kInt8;
  Settings settings{std::nullopt, 2, 1, 24, false, {{"x", {2, LoopOrder::kChosen}}}};
  const ExecOptions options = apply(settings, given);
  EXPECT_EQ(options.isa, Isa::kAvx2);
  EXPECT_EQ(options.precision, Precision::kInt8) << "the file's own leaves what is there";
  EXPECT_EQ(options.data_parallel, 2);
  EXPECT_EQ(options.model_parallel, 1);
  EXPECT_EQ(options.batch_tile, 24);
  EXPECT_FALSE(options.huge_pages);
  EXPECT_EQ(options.layouts, settings.layouts);
}

TEST(Settings, OutOfRangeAreRefused) {
  Settings with_layer;
  with_layer.layouts["x"] = {2, LoopOrder::kRowsOuter};
  const Json good = settings_json(with_layer);
  (void)parse_settings(good);
  const auto refused = [&](const char* pointer, const Json& value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    EXPECT_THROW(parse_settings(bad), Error) << bad.dump();
  };
  refused("/data_parallel", -1);
  refused("/data_parallel", 100000);
  refused("/data_parallel", 1.5);
  refused("/model_parallel", "2");
  refused("/batch_tile", 18446744073709551615u);
  refused("/huge_pages", 1);
  refused("/precision", "fp8");
  refused("/layers", 7);
  refused("/layers/x", 7);
  refused("/layers/x/panel", 5);
  refused("/layers/x/panel", 0);
  refused("/layers/x/order", "sideways");
  for (const char* name : {"precision", "data_parallel", "model_parallel", "batch_tile", "huge_pages"}) {
    Json bad = good;
    bad.erase(name);
    EXPECT_THROW(parse_settings(bad), Error) << name;
  }
  EXPECT_THROW(parse_settings(Json::array()), Error);
}

}  // namespace
}  // namespace xdn::tuner
