// Which layers stay float for the accuracy to hold.

#include "quantization/search.h"

#include <algorithm>

#include "quantization/support.h"

namespace xdn::testing {
namespace {

/// Four convolutions and a classifier; in those of `spoilt`, a weight that meets an input which is always 0
/// is so large that the others fall between two levels.
Graph net(const std::set<std::string>& spoilt) {
  Graph graph = parse_graph(R"(graph { input %x f32[N,3,6,6]
    const %w1 f32[8,3,3,3] random(1) const %w2 f32[8,8,1,1] random(2) const %w3 f32[8,8,1,1] random(3)
    const %w4 f32[8,8,3,3] random(4) const %k f32[5,32] random(5)
    %a = Conv(%x, %w1) kernel=[3,3] %ar = Relu(%a) %b = Conv(%ar, %w2) kernel=[1,1] %br = Relu(%b)
    %c = Conv(%br, %w3) kernel=[1,1] %cr = Relu(%c) %d = Conv(%cr, %w4) kernel=[3,3]
    %f = Flatten(%d) %y = Gemm(%f, %k) trans_b=true "fc" output %y })");
  const auto data = [&](const char* name) {
    return graph.value(*graph.find_value(name)).constant->mutable_data<float>();
  };
  // Channel 0 is dead in front of every layer that may be spoilt.
  std::fill_n(data("w1").begin(), 27, 0.0f);
  std::fill_n(data("w2").begin(), 8, 0.0f);
  for (const auto& [layer, name] : {std::pair{"b", "w2"}, {"c", "w3"}}) {
    for (size_t row = 1; row < 8 && spoilt.contains(layer); ++row) data(name)[row * 8] = 1000;
  }
  return graph;
}

class Searches : public ::testing::Test {
 protected:
  static constexpr int64_t kImages = 300;

  void prepare(const std::set<std::string>& spoilt) {
    graph_ = net(spoilt);
    images_.emplace(graph_, kImages, 1);
    const std::vector<float> logits = images_->outputs(graph_);
    labels_.clear();
    for (size_t i = 0; i < static_cast<size_t>(kImages); ++i) {
      const auto first = logits.begin() + static_cast<int64_t>(i) * 5;
      labels_.push_back(std::max_element(first, first + 5) - first);
    }
    quantizer_.emplace(graph_, QuantizeOptions{});
    const Calibration calibration(quantizer_->graph(), images_->calibration());
    Ranges ranges;
    ranges.values = calibration.ranges(quantizer_->values(), RangeMethod::kMinMax);
    quantizer_->set_ranges(std::move(ranges));
    quantizer_->round_weights(&calibration);
  }
  static SearchOptions options(double max_drop, SearchOptions others = {}) {
    others.max_drop = max_drop;
    return others;
  }
  SearchResult search(const SearchOptions& options) {
    ExecOptions exec;
    exec.threads = 1;
    Judge judge(graph_, {images_->data(), labels_, images_->pixels(), exec});
    size_t told = 0;
    size_t ranked = 0;
    SearchProgress progress;
    progress.judged = [&](const Trial& trial) {
      EXPECT_EQ(trial.verdict.comparison.images(), kImages);
      EXPECT_EQ(trial.verdict.original_accuracy(), 1);
      ++told;
    };
    progress.ranked = [&](size_t done, size_t total) {
      EXPECT_EQ(done, ++ranked);
      EXPECT_EQ(total, quantizer_->layers().size());
    };
    SearchResult result = search_layers(*quantizer_, judge, graph_, options, progress);
    EXPECT_EQ(told, result.trials.size());
    EXPECT_EQ(ranked, result.sensitivities.empty() ? 0 : quantizer_->layers().size());
    for (const Trial& trial : result.trials)
      EXPECT_EQ(trial.within, trial.verdict.drop() <= options.max_drop + 1e-9);
    return result;
  }

  Graph graph_;
  std::optional<ByteImages> images_;
  std::vector<int64_t> labels_;
  std::optional<Quantizer> quantizer_;
};

TEST_F(Searches, EverythingInEightBitsWhereItMay) {
  prepare({"b"});
  const SearchResult result = search(options(100));
  ASSERT_EQ(result.trials.size(), 1u);
  EXPECT_EQ(result.chosen, 0);
  EXPECT_EQ(result.trials[0].name, "int8");
  EXPECT_TRUE(result.trials[0].float_layers.empty());
  EXPECT_TRUE(result.sensitivities.empty());
  EXPECT_FALSE(result.all_bf16);
  EXPECT_FALSE(result.stopped);
}

TEST_F(Searches, FreesTheLayerThatCosts) {
  prepare({"b"});
  const SearchResult result = search(options(6));
  EXPECT_FALSE(result.trials[0].within) << "the case says little";
  EXPECT_GT(result.trials[0].verdict.drop(), 15);
  ASSERT_EQ(result.sensitivities.size(), 5u);
  EXPECT_EQ(result.sensitivities[0].layer, "b");
  EXPECT_GT(result.sensitivities[0].cost, 10 * std::abs(result.sensitivities[1].cost));
  ASSERT_EQ(result.chosen, 1);
  const Trial& chosen = result.trials[1];
  EXPECT_EQ(chosen.name, "int8 but 1 layer");
  EXPECT_EQ(chosen.float_layers, (std::map<std::string, FloatKind>{{"b", FloatKind::kF32}}));
  EXPECT_LE(chosen.verdict.drop(), 6);
}

TEST_F(Searches, TwoThatHideEachOther) {
  // Either alone changes little for the better: perhaps all must go, but the drop holds.
  prepare({"b", "c"});
  const SearchResult result = search(options(6, {.fallback = FloatKind::kBf16, .kept = {}}));
  ASSERT_GE(result.chosen, 0);
  const Trial& chosen = result.trials[static_cast<size_t>(result.chosen)];
  EXPECT_TRUE(chosen.within);
  EXPECT_TRUE(chosen.float_layers.contains("b") && chosen.float_layers.contains("c")) << chosen.name;
  for (const auto& [layer, kind] : chosen.float_layers) EXPECT_EQ(kind, FloatKind::kBf16) << layer;
  EXPECT_EQ(result.all_bf16, chosen.name == "bf16");
}

TEST_F(Searches, LayersThatAreKeptStayFloatInEveryTrial) {
  prepare({"c"});
  const SearchResult result = search(options(6, {.kept = {{"a", FloatKind::kF32}}}));
  EXPECT_EQ(result.sensitivities.size(), 4u);
  for (const Trial& trial : result.trials) EXPECT_TRUE(trial.float_layers.contains("a")) << trial.name;
  ASSERT_GE(result.chosen, 0);
  EXPECT_EQ(result.trials[static_cast<size_t>(result.chosen)].float_layers,
            (std::map<std::string, FloatKind>{{"a", FloatKind::kF32}, {"c", FloatKind::kF32}}));
}

TEST_F(Searches, TrialsAreBounded) {
  prepare({"b", "c"});
  for (const int most : {1, 2, 3}) {
    const SearchResult result = search(options(0, {.most_trials = most, .kept = {}}));
    EXPECT_LE(result.trials.size(), static_cast<size_t>(most));
    EXPECT_TRUE(result.stopped || result.chosen >= 0);
  }
}

TEST_F(Searches, TimeIsBounded) {
  prepare({"b", "c"});
  const SearchResult result = search(options(0, {.most_seconds = 0, .kept = {}}));
  EXPECT_LE(result.trials.size(), 2u);
  EXPECT_TRUE(result.stopped);
}

TEST_F(Searches, LastOfAllIsBf16) {
  prepare({"b", "c"});
  // Nothing is within -1 points but what is better than all right.
  const SearchResult result = search(options(-1));
  EXPECT_EQ(result.chosen, -1);
  EXPECT_EQ(result.trials.back().name, "bf16");
  EXPECT_EQ(result.trials.back().float_layers.size(), 5u);
  EXPECT_FALSE(result.all_bf16);
}

TEST_F(Searches, JudgeKnowsTheLabels) {
  prepare({});
  labels_[3] = 5;
  EXPECT_NE(error_of([&] {
              Judge(graph_, {images_->data(), labels_, images_->pixels(), {}});
            }).find("5"),
            std::string::npos);
}

TEST_F(Searches, JudgeComparesWithTheOriginal) {
  prepare({});
  Judge judge(graph_, {images_->data(), labels_, images_->pixels(), {}});
  const Verdict same = judge.judge(graph_);
  EXPECT_EQ(same.drop(), 0);
  EXPECT_LT(same.logit_error, 1e-9);
  EXPECT_GT(same.images_per_second, 0);
  const Verdict few = judge.judge(quantizer_->quantized(), 17);
  EXPECT_EQ(few.comparison.images(), 17);
  EXPECT_GT(few.logit_error, 0);
  EXPECT_LT(few.logit_error, 1e-2);
  EXPECT_GT(judge.speed_ratio(graph_), 0.2);
}

}  // namespace
}  // namespace xdn::testing
