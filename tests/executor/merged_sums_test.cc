// Two quantized convolutions whose scales are tied share one integer accumulation.
#include <gtest/gtest.h>

#include "executor/plan_support.h"
#include "support/qdq.h"

namespace xdn::testing {
namespace {

constexpr int64_t kImages = 20;

/// How the sum stands in the graph.
enum class Order { kExpandFirst, kProjectionFirst, kAddOperandsSwapped };

/// y = act(expand(x) + project(x)), x of 7 x 6 positions.
struct MergeCase {
  const char* name;
  int64_t expand_ic = 12, project_ic = 20, oc = 40;
  int64_t expand_kernel = 1, project_stride = 2;
  Quant expand_in{0x1p-6f, 6}, project_in{0x1p-5f, 121};
  Quant out{0x1p-2f, 0};
  ActKind act = ActKind::kRelu;
  Order order = Order::kProjectionFirst;
  bool bias = true, float_out = false;
  bool tied = true;
};

/// Scales and biases are powers of two and sums stay below 2^24: then every number that ONNX's meaning holds
/// before its last rounding is exact in f32, and merging may change nothing. Zero points of what is rounded
/// are even: ONNX adds them to the rounded number, plans before.
class MergeBuilder : public QdqBuilder {
 public:
  using QdqBuilder::QdqBuilder;

  /// A convolution of levels with weights of scale `unit / in`.
  ValueId exact_conv(ValueId x, int64_t ic, int64_t oc, int64_t kernel, int64_t stride, float in, bool biased,
                     float off = 1) {
    std::vector<int8_t> levels(static_cast<size_t>(oc * ic * kernel * kernel));
    for (int8_t& level : levels) level = static_cast<int8_t>(uniform_.between(-128, 127));
    std::vector<float> scales, biases;
    for (int64_t j = 0; j < oc; ++j) {
      scales.push_back(unit(j) / in * off);
      biases.push_back(unit(j) * static_cast<float>(uniform_.between(-4000, 4000)));
    }
    const std::string id = std::to_string(++count_);
    const ValueId s = graph.add_constant("m.scale" + id, Tensor::of({oc}, scales));
    const ValueId q = graph.add_constant("m.levels" + id, Tensor::of({oc, ic, kernel, kernel}, levels));
    const ValueId w = add(OpType::kDequantizeLinear, QuantizeAttrs{0, DType::kI8}, {q, s});
    ConvAttrs attrs;
    attrs.window = {
        {kernel, kernel}, {stride, stride}, {1, 1}, {kernel / 2, kernel / 2}, {kernel / 2, kernel / 2}};
    std::vector<ValueId> inputs{x, w};
    if (biased) inputs.push_back(graph.add_constant("m.bias" + id, Tensor::of({oc}, biases)));
    return add(OpType::kConv, attrs, std::move(inputs));
  }

 private:
  static float unit(int64_t j) { return j % 3 == 0 ? 0x1p-13f : j % 3 == 1 ? 0x1p-14f : 0x1p-12f; }
  int count_ = 0;
};

Graph make(const MergeCase& c) {
  MergeBuilder net(17);
  const ValueId data = net.input(c.project_ic, 7, 6);
  const ValueId x = net.qdq(data, c.project_in);
  // What the expansion reads: made from x, at the expansion's extents.
  const ValueId mid = net.qdq(
      net.exact_conv(x, c.project_ic, c.expand_ic, 3, c.project_stride, c.project_in.scale, c.bias, 0x1p-2f),
      c.expand_in);
  const auto expand = [&] {
    return net.exact_conv(mid, c.expand_ic, c.oc, c.expand_kernel, 1, c.expand_in.scale, c.bias);
  };
  const auto project = [&] {
    return net.exact_conv(x, c.project_ic, c.oc, 1, c.project_stride, c.project_in.scale, c.bias,
                          c.tied ? 1.0f : 1.0f + 0x1p-10f);
  };
  ValueId a = kNoValue, b = kNoValue;
  if (c.order == Order::kProjectionFirst) {
    b = project();
    a = expand();
  } else {
    a = expand();
    b = project();
  }
  const bool swapped = c.order == Order::kAddOperandsSwapped;
  const ValueId sum =
      net.add(OpType::kAdd, NoAttrs{}, swapped ? std::vector<ValueId>{b, a} : std::vector<ValueId>{a, b});
  const ValueId y = net.activate(sum, c.act);
  return net.finish(c.float_out ? y : net.qdq(y, c.out));
}

constexpr Quant kS8{0x1p-6f, -8, DType::kI8}, kS8Out{0x1p-2f, 12, DType::kI8}, kU8Out{0x1p-2f, 130};

const MergeCase kMerged[] = {
    {.name = "bottleneck"},
    {.name = "expand_first", .order = Order::kExpandFirst},
    {.name = "swapped", .order = Order::kAddOperandsSwapped},
    {.name = "basic_block", .expand_kernel = 3},
    {.name = "basic_block_expand_first", .expand_kernel = 3, .order = Order::kExpandFirst},
    {.name = "stride_1", .expand_kernel = 3, .project_stride = 1},
    {.name = "pointwise_both", .project_stride = 1},
    {.name = "odd_channels", .expand_ic = 13, .project_ic = 7, .oc = 19, .expand_kernel = 3},
    {.name = "one_channel",
     .expand_ic = 5,
     .project_ic = 1,
     .oc = 3,
     .expand_kernel = 3,
     .out = {0x1p-5f, 0}},
    {.name = "wide", .expand_ic = 65, .project_ic = 34, .oc = 130},
    {.name = "no_zero_points", .expand_in = {0x1p-6f, 0}, .project_in = {0x1p-5f, 0}},
    {.name = "one_zero_point", .expand_kernel = 3, .expand_in = {0x1p-6f, 0}, .project_in = {0x1p-5f, 77}},
    {.name = "the_other_zero_point",
     .expand_kernel = 3,
     .expand_in = {0x1p-6f, 76},
     .project_in = {0x1p-5f, 0}},
    {.name = "s8",
     .expand_kernel = 3,
     .expand_in = kS8,
     .project_in = {0x1p-5f, 4, DType::kI8},
     .out = kS8Out},
    {.name = "s8_and_u8", .expand_kernel = 3, .expand_in = kS8, .out = kU8Out},
    {.name = "no_act", .expand_kernel = 3, .out = kU8Out, .act = ActKind::kNone},
    {.name = "clip", .out = {0x1p-7f, 130}, .act = ActKind::kClip},
    {.name = "no_bias", .bias = false},
    {.name = "float_out", .expand_kernel = 3, .float_out = true},
    {.name = "float_out_no_act", .act = ActKind::kNone, .float_out = true},
};

class Merged : public ::testing::TestWithParam<MergeCase> {};

TEST_P(Merged, IsExactlyItsMeaning) {
  const Graph graph = make(GetParam());
  const std::vector<float> input = random_input(graph, kImages, 1);
  const std::vector<float> want = oracle(graph, input, kImages);
  EXPECT_GE((std::set<float>(want.begin(), want.end()).size()), 16u) << "the case says little";
  for (const Isa isa : present_isas()) {
    for (const FusionLevel fusion :
         {FusionLevel::kOff, FusionLevel::kTraditional, FusionLevel::kAggressive}) {
      SCOPED_TRACE(isa_name(isa));
      ExecOptions options;
      options.isa = isa;
      options.fusion = fusion;
      EXPECT_EQ(run(graph, options, input, kImages), want);
    }
    ExecOptions options;
    options.isa = isa;
    expect_same_bytes(graph, options, input, want);
  }
}

TEST_P(Merged, IsOneStep) {
  for (const Isa isa : present_isas()) {
    ExecOptions options;
    options.isa = isa;
    const std::vector<StepReport> steps = Executor(make(GetParam()), options).steps();
    std::string plan;
    for (const StepReport& step : steps) plan += step.layer + ": " + step.kernel + "\n";
    EXPECT_EQ(std::count_if(steps.begin(), steps.end(), [](const auto& s) { return s.arith == "i8"; }), 2)
        << plan;
    const MergeCase& c = GetParam();
    const auto merged = std::find_if(steps.begin(), steps.end(), [](const StepReport& s) {
      return s.kernel.find(" +conv") != std::string::npos;
    });
    ASSERT_NE(merged, steps.end()) << plan;
    const int64_t h = c.project_stride == 2 ? 4 : 7, w = c.project_stride == 2 ? 3 : 6;
    const int64_t taps = c.expand_kernel == 1 ? h * w : (3 * h - 2) * (3 * w - 2);
    EXPECT_EQ(merged->macs, (taps * c.expand_ic + h * w * c.project_ic) * c.oc);
  }
}

INSTANTIATE_TEST_SUITE_P(Every, Merged, ::testing::ValuesIn(kMerged),
                         [](const auto& p) { return std::string(p.param.name); });

/// Where the scales differ by a thousandth, the projection's sum goes through f32.
TEST(MergedSums, StayApartWhereScalesAreNotTied) {
  for (const Order order : {Order::kExpandFirst, Order::kProjectionFirst}) {
    const Graph graph = make({.name = "untied", .expand_kernel = 3, .order = order, .tied = false});
    const std::vector<float> input = random_input(graph, kImages, 1);
    const std::vector<float> want = oracle(graph, input, kImages);
    for (const FusionLevel fusion : {FusionLevel::kOff, FusionLevel::kTraditional}) {
      ExecOptions options;
      options.fusion = fusion;
      Executor executor(graph, options);
      const std::vector<StepReport> steps = executor.steps();
      EXPECT_EQ(std::count_if(steps.begin(), steps.end(), [](const auto& s) { return s.arith == "i8"; }), 3);
      EXPECT_EQ(std::count_if(steps.begin(), steps.end(),
                              [](const auto& s) {
                                return s.refused.find("+conv: the two sums' scales differ") !=
                                       std::string::npos;
                              }),
                1);
      expect_within(run(executor, input, kImages), want, 0x1p-2f);
    }
  }
}

/// Near 2^31 together, though not alone.
TEST(MergedSums, StayApartWhereTheyMightOverflow) {
  const auto steps_of = [](int64_t ic) {
    MergeBuilder net(3);
    const ValueId x = net.qdq(net.input(ic, 1, 1), {0x1p-6f, 3});
    const ValueId a = net.exact_conv(x, ic, 4, 1, 1, 0x1p-6f, true);
    const ValueId b = net.exact_conv(x, ic, 4, 1, 1, 0x1p-6f, true);
    const Graph graph = net.finish(net.qdq(net.add(OpType::kAdd, NoAttrs{}, {a, b}), {4, 128}));
    std::string refused;
    int i8 = 0;
    for (const StepReport& step : Executor(graph, {}).steps()) {
      i8 += step.arith == "i8";
      refused += step.refused;
    }
    return std::pair{i8, refused.find("+conv: sums may exceed 32 bits") != std::string::npos};
  };
  EXPECT_EQ(steps_of(16447), (std::pair{1, false}));
  EXPECT_EQ(steps_of(16448), (std::pair{2, true}));
}

/// A convolution waits for the other one of a sum, and that turns out to be none that integers take.
TEST(MergedSums, AreGivenUpWhereTheOtherRunsInFloats) {
  for (const WeightForm form : {WeightForm::kFloat, WeightForm::kWideU8}) {
    for (const bool quantized_first : {true, false}) {
      MergeBuilder net(8);
      const ValueId x = net.qdq(net.input(12, 5, 5), {0x1p-6f, 3});
      const auto good = [&] { return net.qconv(x, 12, 16, {.kernel = 3, .pad = 1}); };
      const auto other = [&] { return net.qconv(x, 12, 16, {.weights = form}); };
      ValueId a = kNoValue, b = kNoValue;
      quantized_first ? (a = good(), b = other()) : (b = other(), a = good());
      const Graph graph = net.finish(net.qdq(net.add(OpType::kAdd, NoAttrs{}, {a, b}), {0.03f, 128}));
      const std::vector<float> input = random_input(graph, kImages, 1);
      const std::vector<float> want = oracle(graph, input, kImages);
      for (const FusionLevel fusion : {FusionLevel::kOff, FusionLevel::kTraditional}) {
        ExecOptions options;
        options.fusion = fusion;
        expect_within(run(graph, options, input, kImages), want, 0.03001f);
      }
    }
  }
}

/// The same sum, with an activation before it: nothing to merge, at whichever level.
TEST(MergedSums, AreNotThoseOfActivatedTerms) {
  for (const bool activated_first : {true, false}) {
    MergeBuilder net(9);
    const ValueId x = net.qdq(net.input(12, 5, 5), {0x1p-6f, 3});
    const auto bare = [&] { return net.exact_conv(x, 12, 16, 3, 1, 0x1p-6f, true); };
    const auto activated = [&] {
      return net.activate(net.exact_conv(x, 12, 16, 1, 1, 0x1p-6f, true), ActKind::kRelu);
    };
    ValueId a = kNoValue, b = kNoValue;
    activated_first ? (a = activated(), b = bare()) : (b = bare(), a = activated());
    const Graph graph = net.finish(net.qdq(net.add(OpType::kAdd, NoAttrs{}, {a, b}), {0x1p-2f, 128}));
    const std::vector<float> input = random_input(graph, kImages, 1);
    const std::vector<float> want = oracle(graph, input, kImages);
    for (const FusionLevel fusion : {FusionLevel::kOff, FusionLevel::kTraditional}) {
      ExecOptions options;
      options.fusion = fusion;
      expect_within(run(graph, options, input, kImages), want, 0x1p-2f);
    }
  }
}

/// Three terms: the merged sum of two takes the third as its residual.
TEST(MergedSums, TakeAResidualToo) {
  MergeBuilder net(10);
  const ValueId x = net.qdq(net.input(16, 5, 5), {0x1p-6f, 120});
  const ValueId a = net.exact_conv(x, 16, 16, 3, 1, 0x1p-6f, true);
  const ValueId b = net.exact_conv(x, 16, 16, 1, 1, 0x1p-6f, true);
  const ValueId sum = net.add(OpType::kAdd, NoAttrs{}, {a, b});
  const Graph graph = net.finish(
      net.qdq(net.activate(net.add(OpType::kAdd, NoAttrs{}, {sum, x}), ActKind::kRelu), {0x1p-2f, 6}));
  const std::vector<float> input = random_input(graph, kImages, 1);
  const std::vector<float> want = oracle(graph, input, kImages);
  for (const FusionLevel fusion : {FusionLevel::kOff, FusionLevel::kTraditional}) {
    ExecOptions options;
    options.fusion = fusion;
    Executor executor(graph, options);
    EXPECT_EQ(run(executor, input, kImages), want);
    const std::vector<StepReport> steps = executor.steps();
    EXPECT_EQ(std::count_if(steps.begin(), steps.end(), [](const auto& s) { return s.arith == "i8"; }), 1);
    EXPECT_NE(steps[1].kernel.find("+conv +residual"), std::string::npos) << steps[1].kernel;
  }
}

}  // namespace
}  // namespace xdn::testing
