// Cross-layer equalization: what is scaled, what is not, and that the function stays.

#include "quantization/equalize.h"

#include <algorithm>
#include <cmath>

#include "quantization/linear_layer.h"
#include "quantization/support.h"

namespace xdn::testing {
namespace {

constexpr const char* kHead = R"(graph { input %x f32[N,3,9,9]
  const %w1 f32[8,3,3,3] random(1) const %b1 f32[8] random(2)
  const %w2 f32[6,8,3,3] random(3) const %b2 f32[6] random(4)
  %c1 = Conv(%x, %w1, %b1) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] )";
constexpr const char* kTail = " %y = Conv(%a, %w2, %b2) kernel=[3,3] output %y }";

/// Channels of very different size, as equalization is made for.
Graph uneven(const std::string& text) {
  Graph graph = parse_graph(text);
  Uniform uniform(5);
  for (const char* name : {"w1", "b1"}) {
    const auto id = graph.find_value(name);
    if (!id) continue;
    Tensor& tensor = *graph.value(*id).constant;
    const auto data = tensor.mutable_data<float>();
    const auto rows = static_cast<size_t>(tensor.dim(0));
    for (size_t i = 0; i < data.size(); ++i) {
      const size_t row = i / (data.size() / rows);
      data[i] *= static_cast<float>(1 << (row % 5));
    }
  }
  return graph;
}

float largest_of_row(const Graph& graph, const std::string& name, int64_t row) {
  const Tensor& w = graph.constant(*graph.find_value(name));
  const int64_t k = w.size() / w.dim(0);
  float largest = 0;
  for (int64_t i = 0; i < k; ++i)
    largest = std::max(largest, std::fabs(w.data<float>()[static_cast<size_t>(row * k + i)]));
  return largest;
}

/// The largest weight that meets channel i; `groups` of the convolution.
float largest_of_column(const Graph& graph, const std::string& name, int64_t i, int64_t groups = 1) {
  const Tensor& w = graph.constant(*graph.find_value(name));
  const int64_t per = w.dim(1), taps = w.size() / w.dim(0) / per, rows = w.dim(0) / groups;
  float largest = 0;
  for (int64_t r = i / per * rows; r < (i / per + 1) * rows; ++r) {
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t at = (r * per + i % per) * taps + t;
      largest = std::max(largest, std::fabs(w.data<float>()[static_cast<size_t>(at)]));
    }
  }
  return largest;
}

/// Equalizes, expects the same function, and `pairs` scaled. Returns the graph.
Graph equalized(const std::string& text, int pairs) {
  const Graph before = uneven(text);
  Graph after = before;
  EXPECT_EQ(equalize_layers(after), pairs) << text;
  verify(after);
  const ByteImages images(before, 6, 1);
  const std::vector<float> want = images.outputs(before), got = images.outputs(after);
  float largest = 0;
  for (const float y : want) largest = std::max(largest, std::fabs(y));
  EXPECT_GT(largest, 0);
  EXPECT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::fabs(got[i] - want[i]) > 1e-5f * largest) {
      ADD_FAILURE() << "output " << i << ": " << got[i] << " instead of " << want[i] << "\n" << text;
      break;
    }
  }
  for (const char* name : {"w1", "w2"}) {
    const auto id = before.find_value(name);
    if (!id) continue;
    const auto a = before.constant(*id).data<float>(), b = after.constant(*id).data<float>();
    EXPECT_EQ(std::equal(a.begin(), a.end(), b.begin()), pairs == 0) << name;
  }
  return after;
}

TEST(Equalize, MakesTheLargestWeightsEqual) {
  for (const char* between :
       {"%a = Relu(%c1)", "%a = Identity(%c1)", "%a = LeakyRelu(%c1) alpha=0.1",
        "%r = Relu(%c1) %a = MaxPool(%r) kernel=[3,3] strides=[2,2] pads_begin=[1,1] pads_end=[1,1]",
        "%r = AveragePool(%c1) kernel=[2,2] strides=[2,2] %a = Relu(%r)"}) {
    const Graph graph = equalized(std::string(kHead) + between + kTail, 1);
    for (int64_t i = 0; i < 8; ++i) {
      EXPECT_NEAR(largest_of_row(graph, "w1", i) / largest_of_column(graph, "w2", i), 1, 0.025) << i;
    }
  }
}

TEST(Equalize, ThroughAGlobalPool) {
  const Graph graph = equalized(R"(graph { input %x f32[N,3,9,9]
    const %w1 f32[8,3,3,3] random(1) const %b1 f32[8] random(2) const %w2 f32[4,8,1,1] random(9)
    %c1 = Conv(%x, %w1, %b1) kernel=[3,3] %r = Relu(%c1) %a = GlobalAveragePool(%r)
    %y = Conv(%a, %w2) kernel=[1,1] output %y })",
                                1);
  for (int64_t i = 0; i < 8; ++i)
    EXPECT_NEAR(largest_of_row(graph, "w1", i) / largest_of_column(graph, "w2", i), 1, 0.025) << i;
}

TEST(Equalize, ChainsThroughADepthwiseConvolution) {
  const Graph graph = equalized(std::string(kHead) +
                                    R"(const %d f32[8,1,3,3] random(6) const %e f32[8] random(7)
      %r1 = Relu(%c1) %m = Conv(%r1, %d, %e) kernel=[3,3] group=8 strides=[2,2] pads_begin=[1,1] pads_end=[1,1]
      %a = Relu(%m))" + std::string(kTail),
                                2);
  for (int64_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(largest_of_row(graph, "w1", i) / largest_of_column(graph, "d", i, 8), 1, 0.03) << i;
    EXPECT_NEAR(largest_of_row(graph, "d", i) / largest_of_column(graph, "w2", i), 1, 0.03) << i;
  }
}

TEST(Equalize, GroupedConvolutions) {
  const Graph graph = equalized(R"(graph { input %x f32[N,4,9,9]
    const %w1 f32[8,2,3,3] random(1) const %w2 f32[6,4,3,3] random(3)
    %c1 = Conv(%x, %w1) kernel=[3,3] group=2 %a = Relu(%c1)
    %y = Conv(%a, %w2) kernel=[3,3] group=2 output %y })",
                                1);
  for (int64_t i = 0; i < 8; ++i)
    EXPECT_NEAR(largest_of_row(graph, "w1", i) / largest_of_column(graph, "w2", i, 2), 1, 0.025) << i;
}

TEST(Equalize, LeavesWhatDoesNotScale) {
  for (const char* between :
       {"%a = Clip(%c1) min=0 max=6", "%a = Sigmoid(%c1)", "%a = HardSwish(%c1)",
        "%r = Relu(%c1) %a = Add(%r, %x8)", "const %s f32[8,1,1] random(8) %a = PRelu(%c1, %s)",
        "%r = Relu(%c1) %a = Pad(%r) begin=[0,0,1,1] end=[0,0,1,1] value=1"}) {
    std::string head = kHead;
    if (std::string(between).find("%x8") != std::string::npos)
      head += "const %w8 f32[8,3,1,1] random(8) %x8 = Conv(%x, %w8) kernel=[1,1] ";
    equalized(head + between + kTail, 0);
  }
}

TEST(Equalize, LeavesBranches) {
  equalized(std::string(kHead) +
                "const %v f32[6,8,3,3] random(9) %a = Relu(%c1) %z = Conv(%a, %w2, %b2) "
                "kernel=[3,3] %q = Conv(%a, %v) kernel=[3,3] %y = Add(%z, %q) output %y }",
            0);
  // An output of the model in between.
  equalized(std::string(kHead) + "%a = Relu(%c1) %y = Conv(%a, %w2, %b2) kernel=[3,3] output %y output %a }",
            0);
  equalized(std::string(kHead) + "%a = Relu(%c1) %y = Conv(%a, %w2, %b2) kernel=[3,3] output %y output %c1 }",
            0);
}

TEST(Equalize, LeavesSharedConstants) {
  const std::string shared = R"(graph { input %x f32[N,3,9,9]
    const %w1 f32[3,3,3,3] random(1) const %w2 f32[6,3,3,3] random(3) const %b1 f32[3] random(2)
    const %b f32[3] random(5) )";
  // The first's weights are the middle's too.
  equalized(shared + R"(%c1 = Conv(%x, %w1, %b1) kernel=[3,3] %r = Clip(%c1) min=-1 max=1
    %c2 = Conv(%r, %w1, %b) kernel=[3,3] %a = Relu(%c2) %y = Conv(%a, %w2) kernel=[3,3] output %y })",
            0);
  // Its bias is.
  equalized(shared + R"(const %v f32[3,3,3,3] random(6) %c1 = Conv(%x, %v, %b1) kernel=[3,3] %r = Clip(%c1)
    min=-1 max=1 %c2 = Conv(%r, %w1, %b1) kernel=[3,3] %a = Relu(%c2) %y = Conv(%a, %w2) kernel=[3,3] output %y })",
            0);
}

TEST(Equalize, DeadChannelsStay) {
  Graph graph = uneven(std::string(kHead) + "%a = Relu(%c1)" + kTail);
  const auto w1 = graph.value(*graph.find_value("w1")).constant->mutable_data<float>();
  const auto w2 = graph.value(*graph.find_value("w2")).constant->mutable_data<float>();
  std::fill_n(w1.begin() + 2 * 27, 27, 0.0f);  // channel 2 of the first
  for (size_t r = 0; r < 6; ++r) std::fill_n(w2.begin() + static_cast<int64_t>(r * 72 + 5 * 9), 9, 0.0f);
  for (size_t i = 7 * 27; i < 8 * 27; ++i) w1[i] *= 1e-9f;  // all but dead
  const Graph before = graph;
  EXPECT_EQ(equalize_layers(graph), 1);
  for (const int64_t channel : {2, 5, 7}) {
    EXPECT_EQ(largest_of_row(graph, "w1", channel), largest_of_row(before, "w1", channel)) << channel;
    EXPECT_EQ(largest_of_column(graph, "w2", channel), largest_of_column(before, "w2", channel)) << channel;
  }
  EXPECT_NEAR(largest_of_row(graph, "w1", 4) / largest_of_column(graph, "w2", 4), 1, 0.025);
  const auto b1 = graph.constant(*graph.find_value("b1")).data<float>();
  EXPECT_EQ(b1[2], before.constant(*before.find_value("b1")).data<float>()[2]);
  for (const float b : b1) EXPECT_TRUE(std::isfinite(b));
}

}  // namespace
}  // namespace xdn::testing
