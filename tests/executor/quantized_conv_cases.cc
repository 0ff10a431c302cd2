#include "executor/quantized_cases.h"

namespace xdn::testing {
namespace {

struct ConvCase {
  const char* name;
  int64_t ic, oc, height, width;
  QdqBuilder::QConvOptions conv;
  Quant in = kInput, out = kSum;
  bool float_out = false;
  int i8_steps = 1, steps = 2;
};

QuantCase to_case(const ConvCase& c) {
  const auto make = [c] {
    QdqBuilder net(21);
    const ValueId x = net.qdq(net.input(c.ic, c.height, c.width), c.in);
    ValueId y = net.qconv(x, c.ic, c.oc, c.conv);
    if (!c.float_out) y = net.qdq(y, c.out);
    return QuantNet{net.finish(y), c.float_out ? 0 : c.out.scale};
  };
  return {std::string("conv_") + c.name, make, c.i8_steps, c.float_out ? c.steps : c.steps + 1};
}

constexpr Quant kSigned{0.0079f, -5, DType::kI8}, kSignedPlain{0.0079f, 0, DType::kI8};
constexpr Quant kLow{0.0069f, 0}, kSignedOut{0.0217f, -9, DType::kI8}, kHigh{0.0151f, 201};

/// `steps` counts what comes before the output's own DequantizeLinear.
const ConvCase kCases[] = {
    {"pointwise_zero0", 24, 40, 5, 6, {}, kPlain},
    {"pointwise_zero117", 24, 40, 5, 6, {}},
    {"pointwise_s8", 24, 40, 5, 6, {}, kSignedPlain},
    {"pointwise_s8_shifted", 24, 40, 5, 6, {}, kSigned, kSignedOut},
    {"pointwise_odd", 13, 9, 5, 3, {}},
    {"pointwise_stride", 16, 32, 7, 7, {.stride = 2}},
    {"pointwise_wide", 200, 130, 3, 3, {}},
    {"three_by_three_zero0", 20, 70, 6, 5, {.kernel = 3, .pad = 1}, kPlain},
    {"three_by_three_zero117", 20, 70, 6, 5, {.kernel = 3, .pad = 1}},
    {"three_by_three_s8", 20, 70, 6, 5, {.kernel = 3, .pad = 1}, kSigned},
    {"three_by_three_stride", 16, 48, 9, 8, {.kernel = 3, .stride = 2, .pad = 1}},
    {"on_one_position", 64, 64, 1, 1, {.kernel = 3, .pad = 1}},
    {"padding_only", 8, 8, 3, 3, {.kernel = 3, .pad = 4}},
    {"dilated", 8, 24, 11, 11, {.kernel = 3, .pad = 2, .dilation = 2}},
    {"stem_7x7", 3, 64, 20, 20, {.kernel = 7, .stride = 2, .pad = 3}},
    {"stem_7x7_s8", 3, 32, 15, 17, {.kernel = 7, .stride = 2, .pad = 3}, kSigned, kSignedOut},
    {"stem_3x3", 3, 16, 9, 9, {.kernel = 3, .pad = 1}, kPlain},
    {"stem_dilated", 3, 10, 12, 12, {.kernel = 3, .pad = 2, .dilation = 2}},
    {"stem_pointwise", 3, 10, 6, 6, {}},
    {"grouped_8", 32, 24, 6, 6, {.kernel = 3, .pad = 1, .group = 4}},
    {"grouped_3", 48, 48, 5, 5, {.kernel = 3, .pad = 1, .group = 16}},
    {"grouped_2", 12, 18, 6, 6, {.kernel = 3, .pad = 1, .group = 6}},
    {"grouped_pointwise", 40, 80, 4, 4, {.group = 2}, kSigned},
    {"depthwise", 19, 19, 7, 7, {.kernel = 3, .stride = 2, .pad = 1, .group = 19}},
    {"depthwise_zero0", 32, 32, 6, 6, {.kernel = 3, .pad = 1, .group = 32, .bias = BiasForm::kNone}, kPlain},
    {"depthwise_5x5_relu",
     16,
     16,
     6,
     6,
     {.kernel = 5, .pad = 2, .group = 16, .act = ActKind::kRelu},
     kSigned},
    {"depthwise_twofold", 16, 32, 6, 6, {.kernel = 3, .pad = 1, .group = 16}},
    {"per_tensor", 20, 30, 4, 5, {.kernel = 3, .pad = 1, .weights = WeightForm::kPerTensorS8}},
    {"weights_u8", 20, 30, 4, 5, {.kernel = 3, .pad = 1, .weights = WeightForm::kCentredU8}},
    {"weights_u8_shifted", 20, 30, 4, 5, {.kernel = 3, .pad = 1, .weights = WeightForm::kShiftedU8}},
    {"weights_s8_shifted", 20, 30, 4, 5, {.kernel = 3, .pad = 1, .weights = WeightForm::kShiftedS8}},
    {"weights_zero_per_channel",
     20,
     30,
     4,
     5,
     {.kernel = 3, .pad = 1, .weights = WeightForm::kZeroPerChannel}},
    {"bias_none", 20, 30, 4, 5, {.bias = BiasForm::kNone}},
    {"bias_float", 20, 30, 4, 5, {.bias = BiasForm::kFloat}},
    {"relu", 20, 30, 4, 5, {.act = ActKind::kRelu}, kInput, kLow},
    {"relu_zero201", 20, 30, 4, 5, {.act = ActKind::kRelu}, kInput, kHigh},
    {"clip", 20, 30, 4, 5, {.kernel = 3, .pad = 1, .act = ActKind::kClip}},
    {"float_out", 20, 30, 4, 5, {.kernel = 3, .pad = 1}, kInput, kSum, true},
    {"float_out_relu", 20, 30, 4, 5, {.act = ActKind::kRelu}, kInput, kSum, true},
    {"float_out_depthwise", 20, 20, 4, 5, {.kernel = 3, .pad = 1, .group = 20}, kInput, kSum, true},
    // What integers cannot do runs as fake quantization.
    // The float layer stores levels itself.
    {"weights_wide", 20, 30, 4, 5, {.weights = WeightForm::kWideU8}, kInput, kSum, false, 0, 3},
    {"weights_per_input", 20, 30, 4, 5, {.weights = WeightForm::kPerInputChannel}, kInput, kSum, false, 0, 3},
    {"weights_float", 20, 30, 4, 5, {.weights = WeightForm::kFloat}, kInput, kSum, false, 0, 3},
    {"stem_weights_float",
     3,
     30,
     8,
     8,
     {.kernel = 3, .pad = 1, .weights = WeightForm::kFloat},
     kInput,
     kSum,
     false,
     0,
     3},
    {"leaky", 20, 30, 4, 5, {.act = ActKind::kLeakyRelu}, kInput, kSum, false, 0, 3},
    {"many_taps", 8, 8, 18, 18, {.kernel = 17}, kInput, kSum, false, 0, 4},
    {"many_taps_depthwise", 8, 8, 18, 18, {.kernel = 17, .group = 8}, kInput, kSum, false, 0, 4},
};

}  // namespace

const std::vector<QuantCase>& conv_cases() {
  static const std::vector<QuantCase> cases = [] {
    std::vector<QuantCase> out;
    for (const ConvCase& c : kCases) out.push_back(to_case(c));
    return out;
  }();
  return cases;
}

}  // namespace xdn::testing
