#include "evaluator/evaluate.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "base/error.h"

namespace xdn {
namespace {

constexpr int64_t kChannels = 3, kSide = 4, kImageBytes = kChannels * kSide * kSide;

/// Three logits: the mean of each colour over the image.
Graph mean_color_graph(float weight = 1) {
  Graph graph;
  graph.name = "mean-color";
  const ValueId x = graph.add_input("x", DType::kF32, {kBatch, kChannels, kSide, kSide});
  const NodeId pool = graph.add_node(OpType::kGlobalAveragePool, NoAttrs{}, "pool", {x}, "pooled");
  const NodeId flat =
      graph.add_node(OpType::kFlatten, FlattenAttrs{}, "flat", {graph.output_of(pool)}, "flat");
  std::vector<float> identity(9, 0.0f);
  for (size_t i = 0; i < 3; ++i) identity[i * 4] = weight;
  const ValueId w = graph.add_constant("w", Tensor::of({3, 3}, identity));
  const NodeId fc = graph.add_node(OpType::kGemm, GemmAttrs{}, "fc", {graph.output_of(flat), w}, "logits");
  graph.set_outputs({graph.output_of(fc)});
  infer_shapes(graph);
  return graph;
}

Executor make_executor(float weight = 1) {
  ExecOptions options;
  options.threads = 2;
  options.pixels = PixelMap{{1, 1, 1}, {0, 0, 0}, {0, 1, 2}};
  return Executor(mean_color_graph(weight), options);
}

/// Image i is of the pure colour i % 3.
std::vector<uint8_t> pure_colors(int64_t n) {
  std::vector<uint8_t> bytes(static_cast<size_t>(n * kImageBytes));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t p = 0; p < kSide * kSide; ++p)
      bytes[static_cast<size_t>((i * kSide * kSide + p) * 3 + i % 3)] = 200;
  }
  return bytes;
}

TEST(CheckLabels, RefusesLabelsBeyondTheOutputs) {
  const std::vector<int64_t> good{0, 2, 1}, high{0, 3}, negative{-1};
  EXPECT_NO_THROW(check_labels(good, 3));
  EXPECT_NO_THROW(check_labels({}, 3));
  EXPECT_THROW(check_labels(high, 3), Error);
  EXPECT_THROW(check_labels(negative, 3), Error);
}

TEST(Evaluate, CountsAndPredictsTheSameForEveryBatch) {
  constexpr int64_t kImages = 23;
  const std::vector<uint8_t> bytes = pure_colors(kImages);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < kImages; ++i) labels.push_back(i < 20 ? i % 3 : (i + 1) % 3);
  Executor executor = make_executor();
  for (const int64_t batch : {0, 1, 2, 7, 23, 100}) {
    std::atomic<int64_t> done{0};
    const Evaluation result =
        evaluate(executor, {.data = bytes.data(), .fill = {}}, labels, kImageBytes,
                 {.batch = batch, .keep_predictions = true, .keep_logits = true, .done = &done});
    EXPECT_EQ(result.accuracy.images(), kImages);
    EXPECT_EQ(result.accuracy.correct(), 20);
    EXPECT_EQ(result.accuracy.correct_top5(), kImages);
    EXPECT_EQ(done.load(), kImages);
    EXPECT_GT(result.seconds_total, 0);
    ASSERT_EQ(result.predictions.size(), labels.size());
    ASSERT_EQ(result.logits.size(), 3 * labels.size());
    for (size_t i = 0; i < labels.size(); ++i) {
      EXPECT_EQ(result.predictions[i], static_cast<int64_t>(i) % 3);
      for (size_t c = 0; c < 3; ++c) EXPECT_EQ(result.logits[3 * i + c], c == i % 3 ? 200 : 0);
    }
  }
}

TEST(Evaluate, FillSeesImagesOfTheWholeSet) {
  constexpr int64_t kImages = 17;
  const std::vector<uint8_t> bytes = pure_colors(kImages);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < kImages; ++i) labels.push_back(i % 3);
  ImageSource source;
  source.fill = [&](int64_t first, int64_t count, uint8_t* dst) {
    std::memcpy(dst, bytes.data() + first * kImageBytes, static_cast<size_t>(count * kImageBytes));
  };
  Executor executor = make_executor();
  const Evaluation result = evaluate(executor, source, labels, kImageBytes, {.batch = 5});
  EXPECT_EQ(result.accuracy.correct(), kImages);
  EXPECT_TRUE(result.predictions.empty());
}

TEST(Evaluate, ThrowsWhatFillThrows) {
  const std::vector<int64_t> labels(40, 0);
  ImageSource source;
  source.fill = [](int64_t, int64_t, uint8_t*) { throw input_error("corrupt").in_file("a.jpg"); };
  Executor executor = make_executor();
  try {
    (void)evaluate(executor, source, labels, kImageBytes, {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a.jpg: corrupt");
  }
}

TEST(Evaluate, NanCountsAsWrong) {
  const std::vector<uint8_t> bytes = pure_colors(3);
  const std::vector<int64_t> labels{0, 1, 2};
  Executor executor = make_executor(std::numeric_limits<float>::quiet_NaN());
  const Evaluation result =
      evaluate(executor, {.data = bytes.data(), .fill = {}}, labels, kImageBytes, {.keep_predictions = true});
  EXPECT_EQ(result.accuracy.correct(), 0);
  EXPECT_EQ(result.predictions, (std::vector<int64_t>{-1, -1, -1}));
}

TEST(Evaluate, OfNoImages) {
  Executor executor = make_executor();
  const Evaluation result = evaluate(executor, {}, {}, kImageBytes, {});
  EXPECT_EQ(result.accuracy.images(), 0);
  EXPECT_EQ(result.accuracy.top1(), 0);
}

TEST(WarmUp, RunsATilePerWorkerWithinTheLimit) {
  Executor executor = make_executor();
  const ExecSettings& settings = executor.settings();
  const WarmUp all = warm_up(executor, kImageBytes, 1'000'000);
  EXPECT_EQ(all.images, int64_t{settings.data_parallel} * settings.batch_tile);
  EXPECT_GE(all.seconds, 0);
  EXPECT_EQ(warm_up(executor, kImageBytes, 1).images, 1);
  EXPECT_EQ(warm_up(executor, kImageBytes, 0).images, 1);
}

}  // namespace
}  // namespace xdn
