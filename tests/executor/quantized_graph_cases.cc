#include "executor/quantized_cases.h"

namespace xdn::testing {
namespace {

using Build = std::function<ValueId(QdqBuilder&)>;

/// `step`: the scale of the output; 0: a float.
QuantCase of(const char* name, float step, int i8_steps, int steps, Build build) {
  const auto make = [step, build = std::move(build)] {
    QdqBuilder net(33);
    const ValueId out = build(net);
    return QuantNet{net.finish(out), step};
  };
  return {name, make, i8_steps, steps};
}

ValueId relu(QdqBuilder& net, ValueId x) { return net.activate(x, ActKind::kRelu); }
ValueId sum(QdqBuilder& net, ValueId a, ValueId b) { return net.add(OpType::kAdd, NoAttrs{}, {a, b}); }
/// A quantized input of 16 channels.
ValueId input16(QdqBuilder& net, const Quant& q = kInput) { return net.qdq(net.input(16, 6, 5), q); }
ValueId pooled(QdqBuilder& net, ValueId x) { return net.add(OpType::kGlobalAveragePool, NoAttrs{}, {x}); }
ValueId flat(QdqBuilder& net, ValueId x) { return net.add(OpType::kFlatten, FlattenAttrs{}, {x}); }

/// conv -> Q -> DQ -> Add(shortcut) [-> Relu] -> Q, in the orders and with the shortcuts that files have.
struct Block {
  const char* name;
  bool shortcut_first, projection, middle, float_shortcut, act, float_out;
  int i8_steps, steps;
};

ValueId build_block(QdqBuilder& net, const Block& b) {
  const ValueId x = input16(net);
  ValueId y = net.qconv(x, 16, 16, {.kernel = 3, .pad = 1});
  if (b.middle) y = net.qdq(y, kMiddle);
  ValueId shortcut = x;
  if (b.projection) {
    shortcut = net.qconv(x, 16, 16, {});
    if (!b.float_shortcut) shortcut = net.qdq(shortcut, {0.0211f, 119});
  }
  y = b.shortcut_first ? sum(net, shortcut, y) : sum(net, y, shortcut);
  if (b.act) y = relu(net, y);
  return b.float_out ? y : net.qdq(y, b.act ? Quant{0.0231f, 0} : kSum);
}

const Block kBlocks[] = {
    {"identity", false, false, true, false, true, false, 1, 3},
    {"identity_first", true, false, true, false, true, false, 1, 3},
    {"identity_no_relu", false, false, true, false, false, false, 1, 3},
    {"identity_no_middle", false, false, false, false, true, false, 1, 3},
    {"identity_no_middle_first", true, false, false, false, false, false, 1, 3},
    {"identity_float_out", false, false, true, false, true, true, 1, 2},
    {"identity_no_middle_float_out", false, false, false, false, true, true, 1, 2},
    {"projection", false, true, true, false, true, false, 2, 4},
    {"projection_first", true, true, true, false, true, false, 2, 4},
    {"projection_no_middle", true, true, false, false, true, false, 2, 4},
    {"projection_float", false, true, true, true, true, false, 2, 4},
    {"projection_float_no_middle", false, true, false, true, true, false, 2, 4},
    {"projection_float_first", true, true, false, true, false, false, 2, 4},
};

PoolAttrs window(int64_t kernel, int64_t stride, int64_t pad, bool count_pad = false) {
  PoolAttrs attrs;
  attrs.window = {{kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad}, {pad, pad}};
  attrs.count_include_pad = count_pad;
  return attrs;
}

QuantCase unary(const char* name, OpType type, OpAttrs attrs, const Quant& out) {
  return of(name, out.scale, 0, 3,
            [=](QdqBuilder& net) { return net.qdq(net.add(type, attrs, {input16(net)}), out); });
}

constexpr Quant kLogits{0.0219f, 127}, kMean{0.0021f, 128}, kFine{0.0047f, 97};

std::vector<QuantCase> pools() {
  const auto pool_case = [](const char* name, OpType type, PoolAttrs attrs, const Quant& out, int steps) {
    return of(name, out.scale, 0, steps,
              [=](QdqBuilder& net) { return net.qdq(net.add(type, attrs, {input16(net)}), out); });
  };
  return {
      pool_case("max_pool", OpType::kMaxPool, window(3, 2, 1), kInput, 3),
      pool_case("max_pool_other_scale", OpType::kMaxPool, window(3, 2, 1), kFine, 4),
      pool_case("average_pool", OpType::kAveragePool, window(3, 2, 1), kFine, 3),
      pool_case("average_pool_counts_padding", OpType::kAveragePool, window(3, 1, 1, true), kFine, 3),
      of("average_to_float", 0, 0, 2,
         [](QdqBuilder& net) { return net.add(OpType::kAveragePool, window(2, 1, 0), {input16(net)}); }),
      of("classifier", 0, 1, 3,
         [](QdqBuilder& net) {
           return net.qgemm(net.qdq(flat(net, pooled(net, input16(net))), kMean), 16, 10);
         }),
      of("classifier_quantized", kLogits.scale, 1, 4,
         [](QdqBuilder& net) {
           const ValueId x = net.qdq(pooled(net, input16(net)), kMean);
           return net.qdq(net.qgemm(flat(net, x), 16, 10), kLogits);
         }),
      of("classifier_matmul", kLogits.scale, 1, 4,
         [](QdqBuilder& net) {
           const ValueId x = net.qdq(flat(net, pooled(net, input16(net))), kMean);
           return net.qdq(net.qgemm(x, 16, 11, true), kLogits);
         }),
      of("classifier_of_float_mean", 0, 0, 3,
         [](QdqBuilder& net) { return net.qgemm(flat(net, pooled(net, input16(net))), 16, 10); }),
      of("reduce_mean", kMean.scale, 0, 3,
         [](QdqBuilder& net) {
           return net.qdq(net.add(OpType::kReduceMean, ReduceAttrs{{2, 3}, true}, {input16(net)}), kMean);
         }),
      of("relu_after_mean", kMean.scale, 0, 5,
         [](QdqBuilder& net) { return net.qdq(relu(net, pooled(net, input16(net))), kMean); }),
      of("flatten_of_a_map", kLogits.scale, -1, -1,
         [](QdqBuilder& net) {
           return net.qdq(net.qgemm(net.qdq(flat(net, input16(net)), kInput), 480, 7), kLogits);
         }),
  };
}

std::vector<QuantCase> joins() {
  return {
      of("concat", kInput.scale, 0, 5,
         [](QdqBuilder& net) {
           const ValueId x = input16(net), y = net.qdq(relu(net, x), kInput);
           return net.qdq(net.add(OpType::kConcat, AxisAttrs{1}, {x, y}), kInput);
         }),
      of("concat_other_scales", kFine.scale, 0, -1,
         [](QdqBuilder& net) {
           const ValueId x = input16(net), y = net.qdq(relu(net, x), kPlain);
           return net.qdq(net.add(OpType::kConcat, AxisAttrs{1}, {y, x}), kFine);
         }),
      of("concat_then_conv", kSum.scale, 1, -1,
         [](QdqBuilder& net) {
           const ValueId x = net.qdq(net.input(10, 6, 5), kInput), y = net.qdq(relu(net, x), kInput);
           const ValueId joined = net.add(OpType::kConcat, AxisAttrs{1}, {x, y});
           return net.qdq(net.qconv(joined, 20, 9, {.kernel = 3, .pad = 1}), kSum);
         }),
      of("add", kSum.scale, 0, 4,
         [](QdqBuilder& net) {
           const ValueId x = input16(net), y = net.qdq(relu(net, x), kPlain);
           return net.qdq(sum(net, x, y), kSum);
         }),
      of("add_relu_s8", 0.0171f, 0, 4,
         [](QdqBuilder& net) {
           const ValueId x = input16(net), y = net.qdq(net.activate(x, ActKind::kClip), kFine);
           return net.qdq(relu(net, sum(net, y, x)), {0.0171f, -128, DType::kI8});
         }),
      of("add_clip", kSum.scale, 0, 4,
         [](QdqBuilder& net) {
           const ValueId x = input16(net), y = net.qdq(relu(net, x), kPlain);
           return net.qdq(net.activate(sum(net, x, y), ActKind::kClip), kSum);
         }),
      of("add_to_itself", kSum.scale, 0, 3,
         [](QdqBuilder& net) {
           const ValueId x = input16(net);
           return net.qdq(sum(net, x, x), kSum);
         }),
      of("add_float_out", 0, 0, -1,
         [](QdqBuilder& net) {
           const ValueId x = input16(net);
           return sum(net, x, net.qdq(relu(net, x), kPlain));
         }),
      of("add_a_float", kSum.scale, 0, -1,
         [](QdqBuilder& net) {
           const ValueId x = input16(net);
           return net.qdq(sum(net, x, net.add(OpType::kSigmoid, NoAttrs{}, {x})), kSum);
         }),
      of("conv_to_conv_of_itself", kSum.scale, 2, 4,
         [](QdqBuilder& net) {
           // Both sides of the sum come from convolutions, without any level in between.
           const ValueId x = input16(net);
           return net.qdq(sum(net, net.qconv(x, 16, 16, {}), net.qconv(x, 16, 16, {.kernel = 3, .pad = 1})),
                          kSum);
         }),
      of("gate", kFine.scale, 0, -1,
         [](QdqBuilder& net) {
           const ValueId x = input16(net);
           const ValueId gate = net.add(OpType::kSigmoid, NoAttrs{}, {net.qdq(pooled(net, x), kMean)});
           return net.qdq(net.add(OpType::kMul, NoAttrs{}, {x, net.qdq(gate, {0.0039f, 0})}), kFine);
         }),
  };
}

std::vector<QuantCase> rests() {
  return {
      unary("relu", OpType::kRelu, NoAttrs{}, kPlain),
      unary("sigmoid", OpType::kSigmoid, NoAttrs{}, {0.0039f, 0}),
      unary("leaky_relu", OpType::kLeakyRelu, LeakyReluAttrs{0.1f}, kFine),
      unary("clip_s8", OpType::kClip, ClipAttrs{-0.3f, 0.6f}, {0.0051f, 3, DType::kI8}),
      unary("hard_swish", OpType::kHardSwish, NoAttrs{}, kFine),
      unary("identity", OpType::kIdentity, NoAttrs{}, kFine),
      of("same_scale_again", kInput.scale, 0, 2,
         [](QdqBuilder& net) { return net.qdq(input16(net), kInput); }),
      of("weights_quantized_in_the_graph", kSum.scale, 1, 3,
         [](QdqBuilder& net) {
           const ValueId w = net.graph.add_constant("float.w", net.random({12, 16, 1, 1}, 0.6f));
           ConvAttrs attrs;
           attrs.window = {{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
           const ValueId levels = net.qdq(w, {0.0047f, 0, DType::kI8});
           return net.qdq(net.add(OpType::kConv, attrs, {input16(net), levels}), kSum);
         }),
      of("add_a_quantized_constant", kSum.scale, 0, -1,
         [](QdqBuilder& net) {
           const ValueId c = net.weights({1, 16, 1, 1}, WeightForm::kPerTensorS8, 1.0f);
           return net.qdq(sum(net, input16(net), c), kSum);
         }),
      of("gemm_of_alpha_and_beta", 0.0131f, 1, -1,
         [](QdqBuilder& net) {
           const ValueId x = net.qdq(flat(net, net.input(24, 1, 1)), kInput);
           GemmAttrs attrs;
           attrs.alpha = 0.7f;
           attrs.beta = 1.9f;
           const ValueId w = net.weights({24, 18}, WeightForm::kPerChannelS8, 0.6f, true);
           return net.qdq(net.add(OpType::kGemm, attrs, {x, w, net.bias(18, BiasForm::kS32)}),
                          {0.0131f, 121});
         }),
      of("image_read_twice", kSum.scale, 2, -1,
         [](QdqBuilder& net) {
           const ValueId x = net.qdq(net.input(3, 8, 8), kInput);
           const ValueId y = net.qdq(net.qconv(x, 3, 12, {.kernel = 3, .pad = 1}), kMiddle);
           return net.qdq(sum(net, net.qdq(net.qconv(x, 3, 12, {}), kMiddle), y), kSum);
         }),
      of("float_stem", kSum.scale, 1, -1,
         [](QdqBuilder& net) {
           const ValueId x = net.qdq(net.conv(net.input(3, 8, 8), 3, 16, {3, 2, 1}), kPlain);
           return net.qdq(net.qconv(x, 16, 12, {.kernel = 3, .pad = 1}), kSum);
         }),
      {"value_read_and_output",
       [] {
         // What follows must not swallow the output.
         QdqBuilder net(34);
         const ValueId y = net.qdq(net.qconv(input16(net), 16, 16, {.kernel = 3, .pad = 1}), kMiddle);
         const ValueId z = net.qdq(relu(net, net.qconv(y, 16, 8, {})), kSum);
         QuantNet made{net.finish(z), kMiddle.scale};
         made.graph.set_outputs({y, z});
         return made;
       },
       2, -1},
      of("rescaled_twice", kFine.scale, 0, -1,
         [](QdqBuilder& net) { return net.qdq(net.qdq(input16(net), kSum), kFine); }),
      of("dequantized_by_another_scale", 0, 0, -1,
         [](QdqBuilder& net) {
           return net.dequantize(net.quantize(net.input(16, 6, 5), kInput), {0.5f, 100});
         }),
      of("two_readings_of_levels", kSum.scale, 1, -1,
         [](QdqBuilder& net) {
           const ValueId levels = net.quantize(net.input(16, 6, 5), kInput);
           const ValueId x = net.dequantize(levels, kInput), other = net.dequantize(levels, {0.011f, 90});
           return net.qdq(sum(net, net.qdq(net.qconv(x, 16, 16, {}), kMiddle), other), kSum);
         }),
      of("input_read_as_levels_and_floats", kSum.scale, 1, -1,
         [](QdqBuilder& net) {
           const ValueId raw = net.input(16, 6, 5);
           const ValueId y = net.qdq(net.qconv(net.qdq(raw, kInput), 16, 16, {}), kMiddle);
           return net.qdq(sum(net, y, raw), kSum);
         }),
      of("float_layer_between", kMiddle.scale, 1, -1,
         [](QdqBuilder& net) {
           const ValueId x = net.add(OpType::kSigmoid, NoAttrs{}, {input16(net)});
           const ValueId y = net.qconv(net.qdq(x, kPlain), 16, 12, {.kernel = 3, .pad = 1});
           return net.qdq(y, kMiddle);
         }),
      of("float_convolution_between", kSum.scale, 0, -1,
         [](QdqBuilder& net) {
           const ValueId x = net.conv(input16(net), 16, 12, {3, 1, 1});
           return net.qdq(net.add(OpType::kHardSwish, NoAttrs{}, {x}), kSum);
         }),
      of("several_readers", kSum.scale, 2, -1,
         [](QdqBuilder& net) {
           const ValueId x = net.qdq(net.qconv(input16(net), 16, 16, {}), kMiddle);
           const ValueId a = net.qdq(net.qconv(x, 16, 16, {.kernel = 3, .pad = 1}), kMiddle);
           const ValueId b = net.qdq(net.add(OpType::kMaxPool, window(3, 1, 1), {x}), kMiddle);
           return net.qdq(sum(net, a, b), kSum);
         }),
      of("batchnorm", kSum.scale, 0, -1,
         [](QdqBuilder& net) {
           const auto vector = [&](const char* name, float offset) {
             Tensor t = net.random({16}, 0.5f);
             for (float& x : t.mutable_data<float>()) x += offset;
             return net.graph.add_constant(name, t);
           };
           const ValueId g = vector("g", 0), b = vector("b", 0), m = vector("m", 0), v = vector("v", 1);
           return net.qdq(net.add(OpType::kBatchNorm, BatchNormAttrs{}, {input16(net), g, b, m, v}), kSum);
         }),
      of("slice_and_pad", kInput.scale, 0, -1,
         [](QdqBuilder& net) {
           const ValueId cut =
               net.add(OpType::kSlice, SliceAttrs{{1, 2}, {3, 0}, {14, 6}, {1, 2}}, {input16(net)});
           PadAttrs pad;
           pad.begin = {0, 1, 1, 0};
           pad.end = {0, 0, 0, 2};
           return net.qdq(net.add(OpType::kPad, pad, {net.qdq(cut, kInput)}), kInput);
         }),
      of("clamped_between", kSum.scale, 1, 3,
         [](QdqBuilder& net) {
           // The residual joins behind a convolution that has an activation of its own.
           const ValueId x = input16(net);
           const ValueId y = net.qdq(net.qconv(x, 16, 16, {.act = ActKind::kClip}), kMiddle);
           return net.qdq(net.activate(sum(net, x, y), ActKind::kClip), kSum);
         }),
  };
}

}  // namespace

const std::vector<QuantCase>& graph_cases() {
  static const std::vector<QuantCase> cases = [] {
    std::vector<QuantCase> out;
    for (const Block& b : kBlocks) {
      const float step = b.float_out ? 0 : b.act ? 0.0231f : kSum.scale;
      out.push_back(
          of(b.name, step, b.i8_steps, b.steps, [b](QdqBuilder& net) { return build_block(net, b); }));
      out.back().name.insert(0, "block_");
    }
    for (const auto& more : {pools(), joins(), rests()}) out.insert(out.end(), more.begin(), more.end());
    return out;
  }();
  return cases;
}

}  // namespace xdn::testing
