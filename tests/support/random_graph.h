#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "support/guarded.h"

namespace xdn::testing {

/// Random residual graphs, the same for the same seed: blocks with identity and projection shortcuts,
/// parallel branches, groups, depthwise convolutions, pools, concatenations, BatchNorms of odd statistics,
/// sums and products with constants, operators that do nothing, constants and values with several readers,
/// and outputs in the middle. One image input; all values keep a free batch in front.
class RandomGraph {
 public:
  explicit RandomGraph(uint64_t seed) : random_(seed) {}

  Graph make() {
    ValueId x = graph_.add_input("data", DType::kF32, {kBatch, between(1, 4), between(4, 9), between(4, 9)});
    if (chance(80)) x = normalized(conv(x, between(2, 8), {}), true);
    const int64_t blocks = between(2, 5);
    for (int64_t i = 0; i < blocks; ++i) {
      x = block(x);
      if (chance(25)) x = noise(x);
      if (chance(15)) outputs_.push_back(x);
    }
    x = tail(x);
    outputs_.insert(outputs_.begin(), x);
    graph_.set_outputs(distinct(outputs_));
    infer_shapes(graph_);
    verify(graph_);
    return std::move(graph_);
  }

 private:
  struct ConvChoice {
    int64_t kernel = 0;  ///< 0: choose
    int64_t stride = 1, group = 1;
    bool same = true;  ///< pads keep the extents (at stride 1)
  };

  int64_t between(int64_t low, int64_t high) { return random_.between(low, high); }
  bool chance(int64_t percent) { return between(1, 100) <= percent; }
  const Dims& shape(ValueId id) const { return graph_.value(id).shape; }
  int64_t channels(ValueId id) const { return shape(id)[1]; }

  static std::vector<ValueId> distinct(const std::vector<ValueId>& ids) {
    std::vector<ValueId> out;
    for (const ValueId id : ids) {
      if (std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
    }
    return out;
  }

  ValueId add(OpType type, OpAttrs attrs, std::vector<ValueId> inputs) {
    const std::string name = std::string(op_info(type).name) + std::to_string(++count_);
    const ValueId out =
        graph_.output_of(graph_.add_node(type, std::move(attrs), name, std::move(inputs), name));
    const ValueType known = infer_node(graph_, graph_.node(graph_.value(out).producer));
    graph_.value(out).dtype = known.dtype;
    graph_.value(out).shape = known.shape;
    return out;
  }

  ValueId constant(Dims dims, float scale, float shift = 0) {
    Tensor tensor(DType::kF32, std::move(dims));
    for (float& v : tensor.mutable_data<float>()) v = random_() * scale + shift;
    return graph_.add_constant("c" + std::to_string(++count_), std::move(tensor));
  }

  ValueId weights(const Dims& dims, int64_t depth) {
    for (const ValueId id : weights_) {
      if (shape(id) == dims && chance(20)) return id;
    }
    weights_.push_back(constant(dims, 1.7f / std::sqrt(static_cast<float>(depth))));
    return weights_.back();
  }

  ValueId conv(ValueId x, int64_t oc, ConvChoice choice) {
    const int64_t kernels[] = {1, 1, 3, 3, 2, 5};
    const int64_t k = choice.kernel != 0 ? choice.kernel : kernels[between(0, choice.same ? 3 : 5)];
    const int64_t dilation = k == 3 && chance(15) ? 2 : 1;
    const int64_t extent = dilation * (k - 1) + 1;
    const int64_t depth = channels(x) / choice.group * k * k;
    ConvAttrs attrs;
    Dims begin(2, extent / 2), end(2, extent / 2);
    if (!choice.same && chance(30)) end[static_cast<size_t>(between(0, 1))] += 1;
    attrs.window = {{k, k}, Dims(2, choice.stride), Dims(2, dilation), begin, end};
    attrs.group = choice.group;
    if (chance(15) && extent > 1) {  // the pads stand in a Pad of their own
      PadAttrs pad;
      pad.begin = {0, 0, begin[0], begin[1]};
      pad.end = {0, 0, end[0], end[1]};
      x = add(OpType::kPad, pad, {x});
      attrs.window.pads_begin = attrs.window.pads_end = Dims(2, 0);
    }
    std::vector<ValueId> inputs{x, weights({oc, channels(x) / choice.group, k, k}, depth)};
    if (chance(50)) inputs.push_back(constant({oc}, 0.5f));
    return add(OpType::kConv, attrs, std::move(inputs));
  }

  ValueId batchnorm(ValueId x) {
    const int64_t c = channels(x);
    const bool odd = chance(8);
    Tensor variance(DType::kF32, {c});
    for (float& v : variance.mutable_data<float>())
      v = odd && chance(30) ? (chance(50) ? 0.0f : 1e-6f) : 0.6f + 0.5f * random_();
    const ValueId v = graph_.add_constant("variance" + std::to_string(++count_), std::move(variance));
    BatchNormAttrs attrs;
    attrs.epsilon = chance(20) ? 1e-3f : 1e-5f;
    return add(OpType::kBatchNorm, attrs,
               {x, constant({c}, 1.0f, chance(50) ? 0.5f : 0.0f), constant({c}, 0.5f),
                constant({c}, odd ? 3.0f : 0.3f), v});
  }

  ValueId affine(ValueId x) {
    const Dims dims = chance(70) ? Dims{channels(x), 1, 1} : chance(50) ? Dims{} : Dims{1, channels(x), 1, 1};
    const bool first = chance(25);
    const auto pair = [&](ValueId c) {
      if (chance(10)) c = add(OpType::kMul, NoAttrs{}, {c, constant({}, 0.3f, 1)});
      return first ? std::vector{c, x} : std::vector{x, c};
    };
    switch (between(0, 3)) {
      case 0:
        return add(OpType::kAdd, NoAttrs{}, pair(constant(dims, 0.5f)));
      case 1:
        return add(OpType::kSub, NoAttrs{}, pair(constant(dims, 0.5f)));
      case 2:
        return add(OpType::kMul, NoAttrs{}, pair(constant(dims, 1.2f)));
      default:
        return add(OpType::kDiv, NoAttrs{}, {x, constant(dims, 0.5f, 1.0f)});
    }
  }

  ValueId activation(ValueId x) {
    switch (between(0, 9)) {
      case 0: {
        ClipAttrs clip;
        clip.min = chance(50) ? 0.0f : -0.5f;
        clip.max = 0.75f;
        return add(OpType::kClip, clip, {x});
      }
      case 1:
        return add(OpType::kLeakyRelu, LeakyReluAttrs{0.2f}, {x});
      case 2:
        return add(OpType::kRelu, NoAttrs{}, {add(OpType::kRelu, NoAttrs{}, {x})});
      case 3:
        return add(OpType::kHardSwish, NoAttrs{}, {x});
      case 4:
        return x;
      default:
        return add(OpType::kRelu, NoAttrs{}, {x});
    }
  }

  ValueId normalized(ValueId x, bool active) {
    if (chance(60)) x = batchnorm(x);
    if (chance(25)) x = affine(x);
    return active ? activation(x) : x;
  }

  /// What computes nothing, or nearly.
  ValueId noise(ValueId x) {
    switch (between(0, 5)) {
      case 0:
        return add(OpType::kIdentity, NoAttrs{}, {x});
      case 1:
        return add(OpType::kReshape, ReshapeAttrs{shape(x)}, {x});
      case 2:
        return add(OpType::kMul, NoAttrs{}, {x, constant({}, 0, 1)});
      case 3:
        return add(OpType::kConcat, AxisAttrs{1}, {x});
      case 4:
        add(OpType::kSigmoid, NoAttrs{}, {x});  // read by nobody
        return x;
      default:
        return affine(x);
    }
  }

  ValueId pool(ValueId x) {
    const int64_t k = between(1, 3);
    PoolAttrs attrs;
    const int64_t pad = k > 1 && chance(50) ? between(1, k - 1) : 0;
    attrs.window = {{k, k}, Dims(2, between(1, 2)), {1, 1}, {pad, pad}, {pad, pad}};
    attrs.ceil_mode = chance(30);
    const bool max = chance(60);
    attrs.count_include_pad = !max && chance(50);
    if (shape(x)[2] + 2 * pad < k || shape(x)[3] + 2 * pad < k) return x;
    return add(max ? OpType::kMaxPool : OpType::kAveragePool, attrs, {x});
  }

  ValueId sum(ValueId a, ValueId b) {
    return add(OpType::kAdd, NoAttrs{}, chance(50) ? std::vector{a, b} : std::vector{b, a});
  }

  ValueId block(ValueId x) {
    const int64_t c = channels(x), oc = chance(50) ? c : between(2, 8);
    const int64_t stride = chance(25) && shape(x)[2] > 2 && shape(x)[3] > 2 ? 2 : 1;
    const ConvChoice pointwise{1, 1, 1, true}, strided{3, stride, 1, true};
    switch (between(0, 8)) {
      case 0: {  // basic, identity shortcut
        const ValueId a = normalized(conv(x, between(1, 6), {}), true);
        return activation(sum(normalized(conv(a, c, {}), false), x));
      }
      case 1: {  // bottleneck, projection
        const ValueId a = normalized(conv(x, between(1, 4), pointwise), true);
        const ValueId b = normalized(conv(a, between(1, 4), strided), true);
        const ValueId p = normalized(conv(x, oc, {1, stride, 1, true}), false);
        return activation(sum(normalized(conv(b, oc, pointwise), false), p));
      }
      case 2: {  // bottleneck, identity
        const ValueId a = normalized(conv(x, between(1, 4), pointwise), true);
        const ValueId b = normalized(conv(a, between(1, 4), {3, 1, 1, true}), true);
        const ValueId d = normalized(conv(b, c, pointwise), false);
        if (chance(15)) outputs_.push_back(chance(50) ? d : b);
        return activation(sum(d, x));
      }
      case 3: {  // parallel branches of one input
        const int64_t group = c % 2 == 0 && chance(30) ? 2 : 1;
        const ValueId a = normalized(conv(x, c, {3, 1, group, true}), false);
        const ValueId b = normalized(conv(x, c, {1, 1, group, true}), false);
        const ValueId ab = sum(a, b);
        return activation(chance(60) ? sum(ab, x) : ab);
      }
      case 4: {  // depthwise, then pointwise
        const ValueId a = normalized(conv(x, c, {3, stride, c, true}), true);
        return normalized(conv(a, oc, pointwise), chance(50));
      }
      case 5: {  // concatenation
        const ValueId a = normalized(conv(x, between(1, 4), {}), true);
        const ValueId b = normalized(conv(x, between(1, 4), {}), true);
        return add(OpType::kConcat, AxisAttrs{1}, chance(50) ? std::vector{a, b, x} : std::vector{a, b});
      }
      case 6: {
        const ValueId p = pool(x);
        if (chance(30)) return affine(batchnorm(p));
        return chance(40) ? activation(p) : p;
      }
      case 7: {  // a Conv, a pool, an activation, and maybe a second reader
        const ValueId a = conv(x, oc, {0, 1, 1, false});
        const ValueId p = activation(pool(a));
        return chance(25) && shape(p) == shape(a) ? sum(p, a) : p;
      }
      default: {  // a value that several read
        const ValueId a = conv(x, oc, {});
        const ValueId b = activation(a);
        return sum(b, chance(50) ? a : add(OpType::kSigmoid, NoAttrs{}, {a}));
      }
    }
  }

  ValueId tail(ValueId x) {
    if (chance(10)) return x;
    const int64_t c = channels(x), h = shape(x)[2], w = shape(x)[3];
    switch (between(0, 3)) {
      case 0:
        x = add(OpType::kGlobalAveragePool, NoAttrs{}, {x});
        break;
      case 1: {
        PoolAttrs attrs;
        attrs.window = {{h, w}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
        x = add(OpType::kAveragePool, attrs, {x});
        break;
      }
      case 2:
        x = add(OpType::kReduceMean, ReduceAttrs{{2, 3}, chance(50)}, {x});
        break;
      default:
        break;
    }
    const int64_t depth = shape(x).size() == 2 || shape(x)[2] * shape(x)[3] == 1 ? c : c * h * w;
    if (shape(x).size() != 2) {
      x = chance(50) ? add(OpType::kFlatten, FlattenAttrs{}, {x})
                     : add(OpType::kReshape, ReshapeAttrs{{kBatch, depth}}, {x});
    }
    const int64_t classes = between(2, 10);
    const float scale = 1.0f / std::sqrt(static_cast<float>(depth));
    if (chance(50)) {
      GemmAttrs attrs;
      attrs.trans_b = chance(70);
      const Dims dims = attrs.trans_b ? Dims{classes, depth} : Dims{depth, classes};
      x = add(OpType::kGemm, attrs, {x, constant(dims, scale), constant({classes}, 0.1f)});
    } else {
      x = add(OpType::kMatMul, NoAttrs{}, {x, constant({depth, classes}, scale)});
      if (chance(70)) x = add(OpType::kAdd, NoAttrs{}, {x, constant({classes}, 0.1f)});
    }
    if (chance(20)) x = batchnorm(x);
    if (chance(20)) x = add(OpType::kRelu, NoAttrs{}, {x});
    return chance(40) ? add(OpType::kSoftmax, SoftmaxAttrs{1}, {x}) : x;
  }

  Uniform random_;
  Graph graph_;
  std::vector<ValueId> outputs_, weights_;
  int count_ = 0;
};

}  // namespace xdn::testing
