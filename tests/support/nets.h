#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "support/guarded.h"

namespace xdn::testing {

/// Builds graphs of the residual kind with random weights, already folded (conv + bias + ReLU, residual
/// inputs).
class NetBuilder {
 public:
  explicit NetBuilder(uint64_t seed) : uniform_(seed) {}

  Graph graph;

  ValueId input(int64_t c, int64_t h, int64_t w) {
    return graph.add_input("data", DType::kF32, {kBatch, c, h, w});
  }

  Tensor random(Dims dims, float scale) {
    Tensor t(DType::kF32, std::move(dims));
    for (float& x : t.mutable_data<float>()) x = uniform_() * scale;
    return t;
  }

  struct ConvOptions {
    int64_t kernel = 1, stride = 1, pad = 0, group = 1, dilation = 1;
    ValueId residual = kNoValue;
    ActKind act = ActKind::kRelu;
  };
  ValueId conv(ValueId x, int64_t ic, int64_t oc, const ConvOptions& o) {
    const std::string name = "conv" + std::to_string(++count_);
    const float scale = 1.7f / std::sqrt(static_cast<float>(ic / o.group * o.kernel * o.kernel));
    const ValueId w = graph.add_constant(name + ".w", random({oc, ic / o.group, o.kernel, o.kernel}, scale));
    const ValueId b = graph.add_constant(name + ".b", random({oc}, 0.1f));
    ConvAttrs attrs;
    attrs.window = {
        {o.kernel, o.kernel}, {o.stride, o.stride}, {o.dilation, o.dilation}, {o.pad, o.pad}, {o.pad, o.pad}};
    attrs.group = o.group;
    attrs.act = {o.act, o.act == ActKind::kLeakyRelu ? 0.1f : -0.5f, 0.75f};
    std::vector<ValueId> inputs{x, w, b};
    if (o.residual != kNoValue) inputs.push_back(o.residual);
    return graph.output_of(graph.add_node(OpType::kConv, attrs, name, std::move(inputs), name));
  }

  ValueId add(OpType type, OpAttrs attrs, std::vector<ValueId> inputs) {
    const std::string name = std::string(op_info(type).name) + std::to_string(++count_);
    return graph.output_of(graph.add_node(type, std::move(attrs), name, std::move(inputs), name));
  }

  ValueId pool(ValueId x, bool max, int64_t kernel, int64_t stride, int64_t pad, bool ceil) {
    PoolAttrs attrs;
    attrs.window = {{kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad}, {pad, pad}};
    attrs.ceil_mode = ceil;
    return add(max ? OpType::kMaxPool : OpType::kAveragePool, attrs, {x});
  }

  ValueId bottleneck(ValueId x, int64_t in, int64_t mid, int64_t out, int64_t stride) {
    ValueId shortcut = x;
    if (in != out || stride != 1) shortcut = conv(x, in, out, {1, stride, 0, 1, 1, kNoValue, ActKind::kNone});
    const ValueId a = conv(x, in, mid, {});
    const ValueId b = conv(a, mid, mid, {3, stride, 1});
    return conv(b, mid, out, {1, 1, 0, 1, 1, shortcut, ActKind::kRelu});
  }

  ValueId classifier(ValueId x, int64_t channels, int64_t classes) {
    const ValueId pooled = add(OpType::kGlobalAveragePool, NoAttrs{}, {x});
    const ValueId flat = add(OpType::kFlatten, FlattenAttrs{}, {pooled});
    const ValueId w = graph.add_constant(
        "fc.w", random({classes, channels}, 1.0f / std::sqrt(static_cast<float>(channels))));
    const ValueId b = graph.add_constant("fc.b", random({classes}, 0.1f));
    GemmAttrs attrs;
    attrs.trans_b = true;
    return add(OpType::kGemm, attrs, {flat, w, b});
  }

  /// Finishes: `out` is the output, shapes are known, the graph is verified.
  Graph finish(ValueId out) {
    graph.set_outputs({out});
    infer_shapes(graph);
    verify(graph);
    return std::move(graph);
  }

 protected:
  Uniform uniform_;

 private:
  int count_ = 0;
};

/// The ImageNet-style ResNet-50 (7x7/2 stem, 3x3/2 max pool rounded up).
inline Graph make_resnet50(int64_t size, int64_t classes) {
  NetBuilder net(1);
  ValueId x = net.input(3, size, size);
  x = net.conv(x, 3, 64, {7, 2, 3});
  x = net.pool(x, true, 3, 2, 0, true);
  int64_t in = 64;
  const int blocks[] = {3, 4, 6, 3};
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t mid = int64_t{64} << stage, out = 4 * mid;
    for (int block = 0; block < blocks[stage]; ++block) {
      x = net.bottleneck(x, in, mid, out, block == 0 && stage > 0 ? 2 : 1);
      in = out;
    }
  }
  return net.finish(net.classifier(x, in, classes));
}

}  // namespace xdn::testing
