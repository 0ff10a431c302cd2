#pragma once

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "support/guarded.h"

namespace xdn::testing {

/// Random networks of everything that couples channels, the same for the same seed: residual sums, by Add and
/// by Convs that take one; concatenations; depthwise and grouped convolutions; BatchNorms and constants per
/// channel; squeeze-excite gates; shortcuts that are cut and padded; windows, permutations and repetitions of
/// channels; pooled, flattened and reshaped maps before products. Some hold what must be kept. Parameters are
/// sound: BatchNorms have variances, divisors are no zeros.
class RandomPrunable {
 public:
  explicit RandomPrunable(uint64_t seed) : random_(seed) {}

  Graph make() {
    ValueId x = graph_.add_input("data", DType::kF32, {kBatch, between(1, 3), between(4, 7), between(4, 7)});
    x = active(conv(x, between(3, 8), 3));
    for (int64_t i = between(2, 5); i > 0; --i) x = block(x);
    outputs_.insert(outputs_.begin(), tail(x));
    graph_.set_outputs(outputs_);
    infer_shapes(graph_);
    verify(graph_);
    return std::move(graph_);
  }

  /// Kinds of blocks and tails that the graph has.
  const std::set<std::string>& parts() const { return parts_; }

 private:
  int64_t between(int64_t low, int64_t high) { return random_.between(low, high); }
  bool chance(int64_t percent) { return between(1, 100) <= percent; }
  const Dims& shape(ValueId id) const { return graph_.value(id).shape; }
  int64_t channels(ValueId id) const { return shape(id)[1]; }
  void note(const char* part) { parts_.insert(part); }

  ValueId add(OpType type, OpAttrs attrs, std::vector<ValueId> inputs) {
    const std::string name = std::string(op_info(type).name) + std::to_string(++count_);
    const NodeId node = graph_.add_node(type, std::move(attrs), name, std::move(inputs), name);
    const ValueId out = graph_.output_of(node);
    const ValueType known = infer_node(graph_, graph_.node(node));
    graph_.value(out).dtype = known.dtype;
    graph_.value(out).shape = known.shape;
    return out;
  }
  ValueId constant(Dims dims, float scale, float shift = 0) {
    Tensor tensor(DType::kF32, std::move(dims));
    for (float& v : tensor.mutable_data<float>()) v = random_() * scale + shift;
    return graph_.add_constant("c" + std::to_string(++count_), std::move(tensor));
  }

  ValueId conv(ValueId x, int64_t oc, int64_t k, int64_t stride = 1, int64_t group = 1,
               ValueId residual = kNoValue) {
    const int64_t ic = channels(x) / group;
    ConvAttrs attrs;
    attrs.window = {{k, k}, {stride, stride}, {1, 1}, {k / 2, k / 2}, {k / 2, k / 2}};
    attrs.group = group;
    std::vector<ValueId> inputs{x,
                                constant({oc, ic, k, k}, 1.7f / std::sqrt(static_cast<float>(ic * k * k)))};
    if (residual != kNoValue || chance(50)) inputs.push_back(chance(80) ? constant({oc}, 0.5f) : kNoValue);
    if (residual != kNoValue) inputs.push_back(residual);
    if (inputs.back() == kNoValue) inputs.pop_back();
    if (chance(15)) {
      attrs.act = chance(50) ? Activation{ActKind::kRelu, 0, 0} : Activation{ActKind::kClip, 0.1f, 0.9f};
    }
    return add(OpType::kConv, attrs, std::move(inputs));
  }

  ValueId per_channel(ValueId x) {
    Dims dims(shape(x).size(), 1);
    dims[1] = channels(x);
    if (chance(50)) dims.erase(dims.begin());
    switch (between(0, 4)) {
      case 0:
        return add(OpType::kAdd, NoAttrs{}, {constant(dims, 0.5f), x});
      case 1:
        return add(OpType::kSub, NoAttrs{}, {x, constant(dims, 0.5f)});
      case 2:
        return add(OpType::kMul, NoAttrs{}, {x, constant(dims, 1)});
      case 3:
        return add(OpType::kDiv, NoAttrs{}, {x, constant(dims, 0.5f, 1.5f)});
      default:
        return add(OpType::kPRelu, NoAttrs{}, {x, constant(dims, 0.5f)});
    }
  }

  ValueId normal(ValueId x) {
    if (chance(60)) {
      const Dims c{channels(x)};
      x = add(OpType::kBatchNorm, BatchNormAttrs{},
              {x, constant(c, 1), constant(c, 0.5f), constant(c, 0.3f), constant(c, 0.5f, 1)});
    }
    return chance(25) ? per_channel(x) : x;
  }
  ValueId active(ValueId x) {
    x = normal(x);
    switch (between(0, 9)) {
      case 0:
        return add(OpType::kSigmoid, NoAttrs{}, {x});
      case 1:
        return add(OpType::kHardSwish, NoAttrs{}, {x});
      case 2:
        return add(OpType::kLeakyRelu, LeakyReluAttrs{0.1f}, {x});
      case 3:
        return add(OpType::kClip, ClipAttrs{chance(50) ? 0.2f : -0.5f, 1.5f}, {x});
      case 4:
        return x;
      default:
        return add(OpType::kRelu, NoAttrs{}, {x});
    }
  }
  ValueId sum(ValueId a, ValueId b) {
    const OpType types[] = {OpType::kAdd, OpType::kAdd, OpType::kAdd,
                            OpType::kMul, OpType::kSub, OpType::kMax};
    return add(types[between(0, 5)], NoAttrs{}, chance(50) ? std::vector{a, b} : std::vector{b, a});
  }

  ValueId block(ValueId x) {
    const int64_t c = channels(x), kind = between(0, 12);
    switch (kind) {
      case 0: {
        note("identity shortcut");
        const ValueId branch = normal(conv(active(conv(x, between(2, 6), 1)), c, 3));
        return active(sum(branch, x));
      }
      case 1: {
        note("residual input");
        return active(conv(active(conv(x, between(2, 6), 3)), c, 1, 1, 1, x));
      }
      case 2: {
        note("projection");
        const int64_t oc = between(3, 9), stride = shape(x)[2] > 3 && shape(x)[3] > 3 ? 2 : 1;
        const ValueId p = normal(conv(x, oc, 1, stride));
        return active(sum(normal(conv(active(conv(x, between(2, 5), 3, stride)), oc, 3)), p));
      }
      case 3: {
        note("concatenation");
        const ValueId a = active(conv(x, between(2, 4), 3)), b = active(conv(x, between(2, 4), 1));
        const ValueId cat =
            add(OpType::kConcat, AxisAttrs{1}, chance(50) ? std::vector{a, x, b} : std::vector{b, a});
        return chance(40) ? sum(cat, conv(x, channels(cat), 1)) : cat;
      }
      case 4: {
        note("depthwise");
        const ValueId d = active(conv(x, c * (chance(25) ? 2 : 1), 3, 1, c));
        return active(conv(d, between(3, 8), 1));
      }
      case 5: {
        note("groups");
        const int64_t group = between(2, 3), ic = between(1, 2);
        const ValueId a = active(conv(x, group * ic, 1));
        return active(conv(active(conv(a, group * between(1, 3), 3, 1, group)), between(3, 8), 1));
      }
      case 6: {
        note("squeeze-excite");
        const ValueId p = add(OpType::kGlobalAveragePool, NoAttrs{}, {x});
        const ValueId e = conv(active(conv(p, between(1, 3), 1)), c, 1);
        const ValueId gate = chance(50) ? add(OpType::kSigmoid, NoAttrs{}, {e})
                                        : add(OpType::kHardSigmoid, HardSigmoidAttrs{}, {e});
        return add(OpType::kMul, NoAttrs{}, chance(50) ? std::vector{x, gate} : std::vector{gate, x});
      }
      case 7: {
        if (shape(x)[2] < 3 || shape(x)[3] < 3) return x;
        note("cut and padded shortcut");
        const int64_t more = between(1, 3), before = between(0, more);
        const ValueId cut =
            add(OpType::kSlice, SliceAttrs{{2, 3}, {0, 0}, {shape(x)[2], shape(x)[3]}, {2, 2}}, {x});
        PadAttrs pad;
        pad.begin = {0, before, 0, 0};
        pad.end = {0, more - before, 0, 0};
        const ValueId shortcut = add(OpType::kPad, pad, {cut});
        const ValueId branch = normal(conv(active(conv(x, between(2, 5), 3, 2)), c + more, 3));
        return active(add(OpType::kAdd, NoAttrs{}, {branch, shortcut}));
      }
      case 8: {
        note("window of channels");
        const int64_t first = between(0, c - 2), last = between(first + 2, c);
        const ValueId window =
            add(OpType::kSlice, SliceAttrs{{1}, {first}, {chance(30) ? INT32_MAX : last}, {1}}, {x});
        return chance(50) ? sum(window, conv(x, channels(window), 3))
                          : active(conv(window, between(3, 6), 3));
      }
      case 9: {
        note("gathered channels");
        std::vector<int64_t> indices;
        for (int64_t i = between(2, c + 1); i > 0; --i) indices.push_back(between(-c, c - 1));
        const Dims dims{std::ssize(indices)};
        const ValueId list = graph_.add_constant("i" + std::to_string(++count_), Tensor::of(dims, indices));
        return active(conv(add(OpType::kGather, AxisAttrs{1}, {x, list}), between(3, 6), 3));
      }
      case 10: {
        note("kept");
        return keeper(x);
      }
      case 11: {
        note("pool");
        PoolAttrs attrs;
        attrs.window = {{2, 2}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
        return add(chance(50) ? OpType::kMaxPool : OpType::kAveragePool, attrs, {x});
      }
      default: {
        note("positions last");
        const int64_t h = shape(x)[2], w = shape(x)[3], oc = between(3, 6);
        const ValueId flat = add(OpType::kReshape, ReshapeAttrs{{kBatch, c, h * w}}, {x});
        ValueId last = add(OpType::kTranspose, TransposeAttrs{{0, 2, 1}}, {flat});
        if (chance(50)) last = active(last);  // over positions
        const ValueId y = add(OpType::kMatMul, NoAttrs{}, {last, constant({c, oc}, 0.7f)});
        const ValueId first = add(OpType::kTranspose, TransposeAttrs{{0, 2, 1}}, {y});
        return add(OpType::kReshape, ReshapeAttrs{{kBatch, oc, h, w}}, {first});
      }
    }
  }

  /// Something that does not let channels go.
  ValueId keeper(ValueId x) {
    const ValueId y = active(conv(x, 4, 3));
    const int64_t h = shape(y)[2], w = shape(y)[3];
    switch (between(0, 5)) {
      case 0:
        return add(OpType::kSoftmax, SoftmaxAttrs{1}, {y});
      case 1:
        return add(OpType::kLrn, LrnAttrs{3, 0.1f, 0.75f, 1}, {y});
      case 2:
        return add(OpType::kMul, NoAttrs{}, {y, add(OpType::kReduceMean, ReduceAttrs{{1}, true}, {y})});
      case 3: {
        const ValueId a = add(OpType::kReshape, ReshapeAttrs{{kBatch, 2, 2, h, w}}, {y});
        const ValueId b = add(OpType::kTranspose, TransposeAttrs{{0, 2, 1, 3, 4}}, {a});
        return add(OpType::kReshape, ReshapeAttrs{{kBatch, 4, h, w}}, {b});
      }
      case 4:
        outputs_.push_back(y);
        return conv(y, 3, 1);
      default:
        return add(OpType::kSlice, SliceAttrs{{1}, {0}, {4}, {2}}, {y});
    }
  }

  ValueId tail(ValueId x) {
    const int64_t c = channels(x), h = shape(x)[2], w = shape(x)[3];
    int64_t depth = c;
    switch (between(0, 3)) {
      case 0:
        note("global pool");
        x = add(OpType::kFlatten, FlattenAttrs{}, {add(OpType::kGlobalAveragePool, NoAttrs{}, {x})});
        break;
      case 1:
        note("mean");
        x = add(OpType::kReduceMean, ReduceAttrs{{2, 3}, false}, {x});
        break;
      case 2:
        note("flatten");
        depth = c * h * w;
        x = add(OpType::kFlatten, FlattenAttrs{}, {x});
        break;
      default:
        note("reshape");
        depth = c * h * w;
        x = add(OpType::kReshape, ReshapeAttrs{{kBatch, depth}}, {x});
        break;
    }
    if (chance(50)) {
      note("hidden layer");
      const int64_t hidden = between(4, 8);
      x = add(OpType::kMatMul, NoAttrs{}, {x, constant({depth, hidden}, 0.5f)});
      x = add(OpType::kRelu, NoAttrs{}, {add(OpType::kAdd, NoAttrs{}, {x, constant({hidden}, 0.5f)})});
      depth = hidden;
    }
    GemmAttrs attrs;
    attrs.trans_b = chance(50);
    attrs.beta = chance(50) ? 1.0f : 0.5f;
    const ValueId weights = constant(attrs.trans_b ? Dims{5, depth} : Dims{depth, 5}, 0.5f);
    x = add(OpType::kGemm, attrs, {x, weights, constant(chance(80) ? Dims{5} : Dims{1, 1}, 0.5f)});
    return chance(30) ? add(OpType::kSoftmax, SoftmaxAttrs{1}, {x}) : x;
  }

  Uniform random_;
  Graph graph_;
  std::vector<ValueId> outputs_;
  std::set<std::string> parts_;
  int count_ = 0;
};

}  // namespace xdn::testing
