#include "models/net_writer.h"

#include <fmt/format.h>

#include <cmath>

namespace xdn::bench {

Map NetWriter::input(int64_t size) {
  return {graph_.add_input("input", DType::kF32, {kBatch, 3, size, size}), 3};
}

Map NetWriter::conv(Map x, int64_t channels, const ConvForm& form) {
  const std::string name = fmt::format("conv{}", ++convolutions_);
  const int64_t depth = x.channels / form.group, pad = form.pad < 0 ? form.kernel / 2 : form.pad;
  const double fan_in = static_cast<double>(depth * form.kernel * form.kernel);
  std::vector<ValueId> inputs{
      x.id, graph_.add_constant(name + ".weight", random({channels, depth, form.kernel, form.kernel},
                                                         form.gain * std::sqrt(2 / fan_in)))};
  const bool norm = form.behind == Behind::kBatchNorm && keep_norms_;
  if (!norm && form.behind != Behind::kNothing)
    inputs.push_back(graph_.add_constant(name + ".bias", random({channels}, 0.1)));
  ConvAttrs attrs;
  attrs.window = {{form.kernel, form.kernel}, {form.stride, form.stride}, {1, 1}, {pad, pad}, {pad, pad}};
  attrs.group = form.group;
  ValueId y = add(OpType::kConv, attrs, name, std::move(inputs));
  if (norm) y = batchnorm(y, channels, name + ".norm");
  return act({y, channels}, form.act);
}

Map NetWriter::norm(Map x, Act kind) {
  return act({batchnorm(x.id, x.channels, fmt::format("norm{}", ++others_)), x.channels}, kind);
}

Map NetWriter::act(Map x, Act kind) {
  if (kind == Act::kNone) return x;
  const std::string name = graph_.value(x.id).name + ".act";
  if (kind == Act::kRelu) return {add(OpType::kRelu, NoAttrs{}, name, {x.id}), x.channels};
  return {add(OpType::kClip, ClipAttrs{0, 6}, name, {x.id}), x.channels};
}

Map NetWriter::sum(Map a, Map b, Act kind) {
  const std::string name = fmt::format("add{}", ++sums_);
  return act({add(OpType::kAdd, NoAttrs{}, name, {a.id, b.id}), a.channels}, kind);
}

Map NetWriter::concat(const std::vector<Map>& parts) {
  std::vector<ValueId> ids;
  int64_t channels = 0;
  for (const Map& part : parts) {
    ids.push_back(part.id);
    channels += part.channels;
  }
  return {add(OpType::kConcat, AxisAttrs{1}, fmt::format("concat{}", ++others_), std::move(ids)), channels};
}

Map NetWriter::lrn(Map x) {
  return {add(OpType::kLrn, LrnAttrs{}, fmt::format("lrn{}", ++others_), {x.id}), x.channels};
}

Map NetWriter::subsample(Map x, int64_t channels, int64_t size) {
  const std::string name = fmt::format("shortcut{}", ++sums_);
  const ValueId half =
      add(OpType::kSlice, SliceAttrs{{2, 3}, {0, 0}, {size, size}, {2, 2}}, name + ".slice", {x.id});
  const int64_t more = (channels - x.channels) / 2;
  return {add(OpType::kPad, PadAttrs{PadMode::kConstant, {0, more, 0, 0}, {0, more, 0, 0}, 0}, name + ".pad",
              {half}),
          channels};
}

Map NetWriter::max_pool(Map x, int64_t kernel, int64_t stride, int64_t pad, bool ceil) {
  PoolAttrs attrs;
  attrs.window = {{kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad}, {pad, pad}};
  attrs.ceil_mode = ceil;
  return {add(OpType::kMaxPool, attrs, fmt::format("maxpool{}", ++others_), {x.id}), x.channels};
}

Map NetWriter::average_pool(Map x, int64_t kernel, int64_t stride) {
  PoolAttrs attrs;
  attrs.window = {{kernel, kernel}, {stride, stride}, {1, 1}, {0, 0}, {0, 0}};
  return {add(OpType::kAveragePool, attrs, fmt::format("averagepool{}", ++others_), {x.id}), x.channels};
}

Map NetWriter::global_average_pool(Map x) {
  return {add(OpType::kGlobalAveragePool, NoAttrs{}, "avgpool", {x.id}), x.channels};
}

Map NetWriter::flatten(Map x, int64_t area) {
  return {add(OpType::kFlatten, FlattenAttrs{}, "flatten", {x.id}), x.channels * area};
}

Map NetWriter::linear(Map x, int64_t outputs, Act kind, const std::string& name) {
  const double gain = kind == Act::kNone ? 1 : std::sqrt(2.0);
  const ValueId w = graph_.add_constant(
      name + ".weight", random({outputs, x.channels}, gain / std::sqrt(static_cast<double>(x.channels))));
  const ValueId b = graph_.add_constant(name + ".bias", random({outputs}, 0.1));
  GemmAttrs attrs;
  attrs.trans_b = true;
  return act({add(OpType::kGemm, attrs, name, {x.id, w, b}), outputs}, kind);
}

Graph NetWriter::classifier(Map x, int64_t classes) {
  return finish(linear(flatten(global_average_pool(x)), classes, Act::kNone, "logits"));
}

Graph NetWriter::finish(Map output) {
  graph_.set_outputs({output.id});
  infer_shapes(graph_);
  verify(graph_);
  return std::move(graph_);
}

ValueId NetWriter::add(OpType type, OpAttrs attrs, const std::string& name, std::vector<ValueId> inputs) {
  return graph_.output_of(graph_.add_node(type, std::move(attrs), name, std::move(inputs), name));
}

ValueId NetWriter::batchnorm(ValueId x, int64_t channels, const std::string& name) {
  const auto constant = [&](const char* what, double deviation, double mean) {
    return graph_.add_constant(fmt::format("{}.{}", name, what), random({channels}, deviation, mean));
  };
  const ValueId scale = constant("scale", 0.1, 1), bias = constant("bias", 0.1, 0);
  const ValueId mean = constant("mean", 0.1, 0), variance = constant("variance", 0.2, 1);
  return add(OpType::kBatchNorm, BatchNormAttrs{}, name, {x, scale, bias, mean, variance});
}

Tensor NetWriter::random(Dims dims, double deviation, double mean) {
  Tensor tensor(DType::kF32, std::move(dims));
  const double unit = std::ldexp(1.0, -52) * std::sqrt(3.0);
  for (float& x : tensor.mutable_data<float>()) {
    const auto bits = static_cast<int64_t>(bits_() >> 11) - (int64_t{1} << 52);
    x = static_cast<float>(static_cast<double>(bits) * unit * deviation + mean);
  }
  return tensor;
}

}  // namespace xdn::bench
