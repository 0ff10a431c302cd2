#include "training/initialize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace xdn::testing {
namespace {

/// What Caffe's networks may begin with, weights on either side of a product, and slopes.
constexpr const char* kNet = R"(graph "g" {
 input %x f32[N,3,8,8]
 const %mean f32[1,3,1,1] [5, 6, 7]
 const %one f32[3] fill(2)
 const %zero f32[3] fill(3)
 const %m f32[3] fill(4)
 const %v f32[3] fill(5)
 const %scale f32[1,3,1,1] [8, 9, 10]
 const %shift f32[1,3,1,1] [11, 12, 13]
 const %w f32[16,3,3,3] fill(100)
 const %b f32[16] fill(100)
 const %slopes f32[16,1,1] fill(100)
 const %left f32[20,64] fill(100)
 const %right f32[1,20,50] fill(100)
 %normalised = Sub(%x, %mean)
 %bn = BatchNorm(%normalised, %one, %zero, %m, %v)
 %mul = Mul(%bn, %scale)
 %add = Add(%mul, %shift)
 %conv = Conv(%add, %w, %b) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
 %act = PRelu(%conv, %slopes)
 %columns = Reshape(%act) shape=[N,64,16]
 %product = MatMul(%left, %columns)
 %rows = Transpose(%product) perm=[0,2,1]
 %y = MatMul(%rows, %right)
 output %y
})";

double largest(const Graph& graph, const std::string& name) {
  double most = 0;
  for (const float x : graph.constant(*graph.find_value(name)).data<float>())
    most = std::max(most, std::abs(static_cast<double>(x)));
  return most;
}

std::vector<float> numbers(const Graph& graph, const std::string& name) {
  const auto all = graph.constant(*graph.find_value(name)).data<float>();
  return {all.begin(), all.end()};
}

TEST(Initialize, ForgetsAllThatWasLearnedAndNothingElse) {
  Graph graph = parse_graph(kNet);
  training::initialize(graph, 1);
  EXPECT_EQ(numbers(graph, "mean"), (std::vector<float>{5, 6, 7}));
  EXPECT_EQ(numbers(graph, "one"), std::vector<float>(3, 1));
  EXPECT_EQ(numbers(graph, "zero"), std::vector<float>(3, 0));
  EXPECT_EQ(numbers(graph, "m"), std::vector<float>(3, 0));
  EXPECT_EQ(numbers(graph, "v"), std::vector<float>(3, 1));
  EXPECT_EQ(numbers(graph, "scale"), std::vector<float>(3, 1));
  EXPECT_EQ(numbers(graph, "shift"), std::vector<float>(3, 0));
  EXPECT_EQ(numbers(graph, "b"), std::vector<float>(16, 0));
  EXPECT_EQ(numbers(graph, "slopes"), std::vector<float>(16, 0.25f));
  EXPECT_LT(largest(graph, "w"), 1);
  EXPECT_GT(largest(graph, "w"), 0.1);
}

/// Of a thousand numbers uniform in +-1/sqrt(inputs), the largest is near the bound.
TEST(Initialize, WeightsOfEitherSideCountTheirInputs) {
  Graph graph = parse_graph(kNet);
  training::initialize(graph, 1);
  for (const auto& [name, inputs] : {std::pair{"left", 64}, std::pair{"right", 20}}) {
    const double bound = 1 / std::sqrt(static_cast<double>(inputs));
    EXPECT_LE(largest(graph, name), bound) << name;
    EXPECT_GT(largest(graph, name), 0.97 * bound) << name;
  }
}

TEST(Initialize, EqualSeedsGiveEqualWeights) {
  Graph a = parse_graph(kNet), b = a, c = a;
  training::initialize(a, 1);
  training::initialize(b, 1);
  training::initialize(c, 2);
  for (const char* name : {"w", "left", "right"}) {
    EXPECT_EQ(numbers(a, name), numbers(b, name)) << name;
    EXPECT_NE(numbers(a, name), numbers(c, name)) << name;
  }
}

}  // namespace
}  // namespace xdn::testing
