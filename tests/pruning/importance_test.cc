#include "pruning/importance.h"

#include <cmath>

#include "base/error.h"
#include "pruning/support.h"

namespace xdn::testing {
namespace {

using pruning::Criterion;
using pruning::find_groups;
using pruning::folded_weights;
using pruning::Groups;
using pruning::importance;
using pruning::ImportanceOptions;
using pruning::Normalize;
using pruning::Reduce;

/// Filters (3, 4), (0, 1), (-6, 8).
const char* const kPlain = R"(
graph "g" {
  input %x f32[N,2,3,3]
  const %w f32[3,2,1,1] [3, 4, 0, 1, -6, 8]
  const %v f32[2,3,1,1] random(1)
  %a = Conv(%x, %w) kernel=[1,1]
  %y = Conv(%a, %v) kernel=[1,1]
  output %y
})";

/// The same with a BatchNorm and a Mul behind the first.
const char* const kNormed = R"(
graph "g" {
  input %x f32[N,2,3,3]
  const %w f32[3,2,1,1] [3, 4, 0, 1, -6, 8]
  const %scale f32[3] [2, -8, 1]
  const %bias f32[3] [1, 1, 1]
  const %mean f32[3] [1, 1, 1]
  const %variance f32[3] [4, 4, 4]
  const %m f32[3,1,1] [1, 2, 0.5]
  const %v f32[2,3,1,1] random(1)
  %a = Conv(%x, %w) kernel=[1,1]
  %n = BatchNorm(%a, %scale, %bias, %mean, %variance) epsilon=0
  %k = Mul(%n, %m)
  %r = Relu(%k)
  %y = Conv(%r, %v) kernel=[1,1]
  output %y
})";

std::vector<double> scores(const std::string& text, ImportanceOptions options) {
  const Graph graph = parse_graph(text);
  return importance(graph, find_groups(graph), options);
}

void expect_scores(const std::string& text, Criterion criterion, const std::vector<double>& expected) {
  ImportanceOptions options;
  options.criterion = criterion;
  options.normalize = Normalize::kNone;
  const std::vector<double> found = scores(text, options);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

TEST(Importance, OfPlainWeights) {
  expect_scores(kPlain, Criterion::kL1, {7, 1, 14});
  expect_scores(kPlain, Criterion::kL2, {5, 1, 10});
  const double ab = std::sqrt(18), ac = std::sqrt(97), bc = std::sqrt(85);
  expect_scores(kPlain, Criterion::kFpgm, {ab + ac, ab + bc, ac + bc});
}

TEST(Importance, OfFoldedWeights) {
  expect_scores(kNormed, Criterion::kL2, {5, 8, 2.5});
  expect_scores(kNormed, Criterion::kL1, {7, 8, 3.5});
  expect_scores(kNormed, Criterion::kBnScale, {2, 16, 0.5});
  const Graph graph = parse_graph(kNormed);
  EXPECT_EQ(folded_weights(graph, graph.order()[0]).values, (std::vector<float>{3, 4, 0, -8, -1.5, 2}));
  // The graph keeps what it had.
  EXPECT_EQ(print(graph), print(parse_graph(kNormed)));
}

TEST(Importance, NothingIsFoldedAcrossAnActivationOrAFork) {
  std::string text = kNormed;
  text.replace(text.find("kernel=[1,1]\n"), 12, "kernel=[1,1] act=relu");
  expect_scores(text, Criterion::kL2, {5, 1, 10});
  text = kNormed;
  text.replace(text.find("  %r = Relu(%k)"), 15, "  %q = Add(%k, %a)\n  %r = Relu(%q)");
  expect_scores(text, Criterion::kL2, {5, 1, 10});
}

TEST(Importance, OfFiltersAlongColumns) {
  const char* const text = R"(
graph "g" {
  input %x f32[N,2]
  const %w f32[2,3] [3, 0, -6, 4, 1, 8]
  const %v f32[2,3] random(1)
  %a = Gemm(%x, %w)
  %y = Gemm(%a, %v) trans_b=true
  output %y
})";
  expect_scores(text, Criterion::kL2, {5, 1, 10});
}

const char* const kSum = R"(
graph "g" {
  input %x f32[N,2,3,3]
  const %w f32[2,2,1,1] [3, 4, 0, 1]
  const %u f32[2,2,1,1] [0, 1, 6, 8]
  const %v f32[2,2,1,1] random(1)
  %a = Conv(%x, %w) kernel=[1,1]
  %b = Conv(%x, %u) kernel=[1,1]
  %s = Add(%a, %b)
  %y = Conv(%s, %v) kernel=[1,1]
  output %y
})";

TEST(Importance, IsReducedOverTheFiltersOfAUnit) {
  ImportanceOptions options;
  options.normalize = Normalize::kNone;
  options.reduce = Reduce::kSum;
  EXPECT_EQ(scores(kSum, options), (std::vector<double>{6, 11}));
  options.reduce = Reduce::kMean;
  EXPECT_EQ(scores(kSum, options), (std::vector<double>{3, 5.5}));
  options.reduce = Reduce::kMax;
  EXPECT_EQ(scores(kSum, options), (std::vector<double>{5, 10}));
}

TEST(Importance, IsNormalizedByGroup) {
  ImportanceOptions options;
  options.reduce = Reduce::kMax;
  options.normalize = Normalize::kMean;
  EXPECT_EQ(scores(kSum, options), (std::vector<double>{5 / 7.5, 10 / 7.5}));
  options.normalize = Normalize::kMax;
  EXPECT_EQ(scores(kSum, options), (std::vector<double>{0.5, 1}));
  options.normalize = Normalize::kL2;
  EXPECT_NEAR(scores(kSum, options)[0], 5 / std::sqrt(125.0), 1e-12);
}

void expect_error(const std::string& text, const ImportanceOptions& options, const char* message) {
  try {
    scores(text, options);
    FAIL() << message;
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), message);
  }
}

TEST(Importance, AsGiven) {
  ImportanceOptions options;
  options.criterion = Criterion::kTaylor;
  options.normalize = Normalize::kNone;
  options.given = {{"a", {0.5, 0.25, 2}}};
  EXPECT_EQ(scores(kPlain, options), (std::vector<double>{0.5, 0.25, 2}));
  options.given = {{"a", {1, 2}}};
  expect_error(kPlain, options, "layer 'a': has 3 filters, but 2 importances were given");
  options.given = {{"a", {1, 2, -1}}};
  expect_error(kPlain, options, "layer 'a': has a filter whose importance is not a number, or negative");
  options.given = {{"b", {1, 2, 3}}};
  expect_error(kPlain, options, "layer 'a': no importances were given for it");
}

TEST(Importance, WeightsThatAreNoNumbers) {
  std::string text = kPlain;
  text.replace(text.find("[3, 4,"), 6, "[3, nan,");
  expect_error(text, {}, "layer 'a': has a filter whose importance is not a number, or negative");
}

TEST(Importance, OfScalesNeedsABatchNorm) {
  ImportanceOptions options;
  options.criterion = Criterion::kBnScale;
  expect_error(kPlain, options,
               "layer 'a': no BatchNorm follows, so that its scale cannot tell what the layer is worth");
}

TEST(Importance, RandomNumbersDependOnTheSeedAlone) {
  ImportanceOptions options;
  options.criterion = Criterion::kRandom;
  options.normalize = Normalize::kNone;
  options.seed = 5;
  const auto first = scores(kPlain, options);
  EXPECT_EQ(first, scores(kPlain, options));
  options.seed = 6;
  EXPECT_NE(first, scores(kPlain, options));
  for (const double score : first) {
    EXPECT_GE(score, 0);
    EXPECT_LT(score, 1);
  }
}

TEST(Importance, NamesOfCriteria) {
  for (const auto criterion : {Criterion::kL1, Criterion::kFpgm, Criterion::kRandom})
    EXPECT_EQ(pruning::parse_criterion(pruning::criterion_name(criterion)), criterion);
  EXPECT_FALSE(pruning::parse_criterion("l3"));
}

}  // namespace
}  // namespace xdn::testing
