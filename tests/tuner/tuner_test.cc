// Whole searches on a small network; how fast anything is, is not asked.
#include "tuner/tuner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/nets.h"
#include "support/shared_data.h"

namespace xdn::tuner {
namespace {

using ::testing::HasSubstr;
using testing::NetBuilder;
using testing::TempDir;

class Tuner : public ::testing::Test {
 protected:
  TempDir dir_;
  Graph graph_;
  std::vector<uint8_t> images_;
  std::vector<int64_t> labels_;
  Workload work_;
  TuneOptions options_;

  void SetUp() override {
    NetBuilder net(1);
    ValueId x = net.conv(net.input(3, 8, 8), 3, 48, {3, 1, 1});
    x = net.conv(x, 48, 80, {3, 2, 1});
    graph_ = net.finish(net.classifier(x, 80, 4));
    images_.resize(static_cast<size_t>(16 * 3 * 8 * 8));
    for (size_t i = 0; i < images_.size(); ++i) images_[i] = static_cast<uint8_t>(i * 7919 >> 4);
    for (int64_t i = 0; i < 16; ++i) labels_.push_back(i % 4);
    work_.graph = &graph_;
    work_.exec.pixels = PixelMap{{0.01f, 0.01f, 0.01f}, {-1, -1, -1}, {0, 1, 2}};
    work_.images = images_.data();
    work_.n_images = 16;
    work_.image_bytes = 3 * 8 * 8;
    options_.images = 16;
    options_.threads = 2;
    options_.budget = 30;
  }
  void label() {
    work_.labelled = images_.data();
    work_.labels = labels_;
  }
  TuneResult run(bool resume = false) {
    Journal journal(dir_ / "run", {{"a", "search"}}, resume);
    return tune(work_, options_, journal);
  }
};

TEST_F(Tuner, SearchesTheWholeSpace) {
  for (const SearchKind kind : {SearchKind::kGrid, SearchKind::kHalving}) {
    options_.search = kind;
    const TuneResult result = run();
    EXPECT_TRUE(result.complete);
    EXPECT_EQ(result.failed, 0u);
    EXPECT_EQ(result.precision, "fp32");
    // (1, 1), (1, 2), (2, 1) x tiles 1, 2, 4, 8 x huge pages, and the defaults unless they are among them.
    EXPECT_THAT(result.surface.size(), ::testing::AnyOf(24u, 25u));
    EXPECT_EQ(result.surface[0].settings, result.defaults.settings);
    EXPECT_GT(result.defaults.seconds, 0);
    EXPECT_TRUE(result.kept_defaults || result.best.ratio < 1) << result.best.ratio;
  }
}

TEST_F(Tuner, GoesOnFromItsJournal) {
  const TuneResult whole = run();
  const TuneResult again = run(true);
  EXPECT_EQ(again.best.settings, whole.best.settings);
  EXPECT_GT(again.resumed, 30u);
  EXPECT_EQ(Journal(dir_ / "run", {{"a", "search"}}, true).size(), again.resumed) << "no trial was repeated";
  EXPECT_EQ(again.surface.size(), whole.surface.size());
}

TEST_F(Tuner, SingleStreamHasFewSettings) {
  work_.scenario = Scenario::kSingleStream;
  const TuneResult result = run();
  EXPECT_TRUE(result.complete);
  EXPECT_LE(result.surface.size(), 5u);
  for (const TunePoint& point : result.surface) EXPECT_EQ(point.settings.batch_tile, 1);
}

TEST_F(Tuner, StopsWithSomething) {
  int asked = 0;
  options_.stopped = [&] { return ++asked > 60; };
  const TuneResult result = run();
  EXPECT_FALSE(result.complete);
  EXPECT_GT(result.surface.size(), 1u);
  options_.stopped = [] { return true; };
  EXPECT_FALSE(run().complete);
  EXPECT_EQ(run().slice_images, 0) << "nothing was measured";
}

TEST_F(Tuner, LeavesOutPrecisionsBelowTheFloor) {
  label();
  options_.precisions = {std::nullopt, Precision::kBf16};
  options_.min_accuracy = 0.0;
  TuneResult result = run();
  EXPECT_TRUE(std::any_of(result.surface.begin(), result.surface.end(),
                          [](const TunePoint& p) { return p.settings.precision == Precision::kBf16; }));
  ASSERT_TRUE(result.defaults.accuracy.has_value());
  options_.min_accuracy = 1.0;
  try {
    (void)run();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("reaches an accuracy"));
  }
  work_.labels = {};
  EXPECT_THROW(run(), Error);
}

TEST_F(Tuner, DrawsTheFront) {
  label();
  options_.precisions = {std::nullopt, Precision::kBf16};
  options_.score = ScoreKind::kPareto;
  const TuneResult result = run();
  ASSERT_GE(result.front.size(), 1u);
  for (size_t i = 1; i < result.front.size(); ++i) {
    EXPECT_GT(result.front[i].ratio, result.front[i - 1].ratio);
    EXPECT_GT(result.front[i].accuracy, result.front[i - 1].accuracy);
  }
}

TEST_F(Tuner, PassesOverPrecisionsThatCannotBe) {
  options_.precisions = {std::nullopt, Precision::kInt8};  // the model is float
  const TuneResult result = run();
  EXPECT_GT(result.failed, 0u);
  for (const TunePoint& point : result.surface) {
    if (point.settings.precision != Precision::kInt8) continue;
    EXPECT_EQ(point.status, Status::kFailed);
    EXPECT_THAT(point.reason, HasSubstr("int8"));
  }
}

TEST_F(Tuner, ChoosesAPrecisionThatItMust) {
  options_.precisions = {Precision::kBf16};
  const TuneResult result = run();
  EXPECT_EQ(result.best.settings.precision, Precision::kBf16);
  EXPECT_FALSE(result.kept_defaults);
  options_.precisions = {Precision::kFp32};  // the file's own
  EXPECT_FALSE(run().best.settings.precision.has_value());
  options_.precisions = {Precision::kInt8};
  EXPECT_THROW(run(), Error);
}

TEST_F(Tuner, HasNothingToTuneInTheOracle) {
  work_.exec.isa = Isa::kRef;
  EXPECT_THROW(run(), Error);
}

TEST_F(Tuner, FailsWhereTheDefaultsDo) {
  work_.exec.precision = Precision::kInt8;
  try {
    (void)run();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("int8 needs a quantized model"));
  }
}

}  // namespace
}  // namespace xdn::tuner
