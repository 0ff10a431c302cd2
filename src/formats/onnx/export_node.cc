#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "formats/onnx/export_state.h"
#include "formats/onnx/tensor_proto.h"
#include "xdn_onnx.pb.h"

namespace xdn::onnx_io {
namespace {

using Attribute = onnx::AttributeProto;

Attribute& add_attribute(onnx::NodeProto& node, const char* name, Attribute::AttributeType type) {
  Attribute& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}
void set_int(onnx::NodeProto& node, const char* name, int64_t value) {
  add_attribute(node, name, Attribute::INT).set_i(value);
}
void set_float(onnx::NodeProto& node, const char* name, float value) {
  add_attribute(node, name, Attribute::FLOAT).set_f(value);
}
void set_string(onnx::NodeProto& node, const char* name, const char* value) {
  add_attribute(node, name, Attribute::STRING).set_s(value);
}
void set_ints(onnx::NodeProto& node, const char* name, const Dims& values) {
  Attribute& attribute = add_attribute(node, name, Attribute::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
}

bool all_ones(const Dims& list) {
  return std::all_of(list.begin(), list.end(), [](int64_t value) { return value == 1; });
}

Dims concatenated(Dims a, const Dims& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A Tensor of one element of the type that `like` has.
Tensor scalar_like(float value, const Value& like) { return Tensor::scalar(value).converted(like.dtype); }

/// One graph node on its way into the file.
class NodeWriter {
 public:
  NodeWriter(ExportState& state, const Node& node)
      : state_(state),
        node_(node),
        out_(state.name_of(node.output)),
        name_(node.name.empty() ? out_ : node.name) {
    for (const ValueId id : node.inputs) in_.push_back(state.name_of(id));
  }

  void write() {
    switch (node_.type) {
      case OpType::kConv:
        return conv();
      case OpType::kGemm:
        return gemm();
      case OpType::kBatchNorm:
        set_float(plain("BatchNormalization"), "epsilon", node_.as<BatchNormAttrs>().epsilon);
        return;
      case OpType::kLeakyRelu:
        set_float(plain(), "alpha", node_.as<LeakyReluAttrs>().alpha);
        return;
      case OpType::kClip: {
        const auto& a = node_.as<ClipAttrs>();
        clip(in_[0], a.min, a.max, name_, out_);
        return;
      }
      case OpType::kHardSigmoid:
        return hard_sigmoid();
      case OpType::kMaxPool:
      case OpType::kAveragePool:
        return pool();
      case OpType::kReduceMean:
        return reduce_mean();
      case OpType::kReshape:
        reshape(in_[0], node_.as<ReshapeAttrs>().shape, name_, out_);
        return;
      case OpType::kFlatten:
        set_int(plain(), "axis", node_.as<FlattenAttrs>().axis);
        return;
      case OpType::kTranspose:
        set_ints(plain(), "perm", node_.as<TransposeAttrs>().perm);
        return;
      case OpType::kConcat:
      case OpType::kGather:
        set_int(plain(), "axis", node_.as<AxisAttrs>().axis);
        return;
      case OpType::kSlice:
        return slice();
      case OpType::kPad:
        return pad();
      case OpType::kCast:
        set_int(plain(), "to", dtype_to_onnx(node_.as<CastAttrs>().to));
        return;
      case OpType::kSoftmax:
        return softmax();
      case OpType::kLrn:
        return lrn();
      case OpType::kQuantizeLinear:
      case OpType::kDequantizeLinear:
        return quantize();
      case OpType::kMatMul:
      case OpType::kRelu:
      case OpType::kPRelu:
      case OpType::kSigmoid:
      case OpType::kHardSwish:
      case OpType::kAdd:
      case OpType::kSub:
      case OpType::kMul:
      case OpType::kDiv:
      case OpType::kPow:
      case OpType::kMax:
      case OpType::kGlobalAveragePool:
      case OpType::kIdentity:
        plain();
        return;
    }
  }

 private:
  const Value& input_value(size_t i) const { return state_.graph.value(node_.inputs[i]); }

  /// The node as it is: same name, inputs and output.
  onnx::NodeProto& plain(const std::string& op_type) { return state_.add_node(op_type, name_, in_, out_); }
  onnx::NodeProto& plain() { return plain(std::string(op_info(node_.type).name)); }

  void set_window(onnx::NodeProto& proto, const Window& w, bool with_dilations) {
    set_ints(proto, "kernel_shape", w.kernel);
    set_ints(proto, "strides", w.strides);
    set_ints(proto, "pads", concatenated(w.pads_begin, w.pads_end));
    if (with_dilations) set_ints(proto, "dilations", w.dilations);
  }

  void clip(const std::string& x, float min, float max, const std::string& name, const std::string& out) {
    std::vector<std::string> inputs{x, "", ""};
    const Value& like = input_value(0);
    if (!std::isinf(min)) inputs[1] = state_.add_initializer(out + "/min", scalar_like(min, like));
    if (!std::isinf(max)) inputs[2] = state_.add_initializer(out + "/max", scalar_like(max, like));
    state_.add_node("Clip", name, std::move(inputs), out);
  }

  /// The epilogue's activation: from x to the node's output.
  void activation(const Activation& act, const std::string& x) {
    const std::string name = name_ + "/act";
    if (act.kind == ActKind::kRelu) state_.add_node("Relu", name, {x}, out_);
    if (act.kind == ActKind::kLeakyRelu)
      set_float(state_.add_node("LeakyRelu", name, {x}, out_), "alpha", act.a);
    if (act.kind == ActKind::kClip) clip(x, act.a, act.b, name, out_);
  }

  /// Conv + Add(residual) + activation.
  void conv() {
    const auto& a = node_.as<ConvAttrs>();
    const bool has_residual = node_.input(3) != kNoValue, has_act = a.act.kind != ActKind::kNone;
    const std::string conv_out = has_residual || has_act ? state_.fresh_name(out_ + "/conv") : out_;
    std::vector<std::string> inputs(in_.begin(), in_.begin() + std::min<std::ptrdiff_t>(3, std::ssize(in_)));
    onnx::NodeProto& proto = state_.add_node("Conv", name_, std::move(inputs), conv_out);
    set_window(proto, a.window, true);
    set_int(proto, "group", a.group);
    std::string sum = conv_out;
    if (has_residual) {
      sum = has_act ? state_.fresh_name(out_ + "/sum") : out_;
      state_.add_node("Add", name_ + "/add", {conv_out, in_[3]}, sum);
    }
    if (has_act) activation(a.act, sum);
  }

  void gemm() {
    const auto& a = node_.as<GemmAttrs>();
    const bool has_act = a.act.kind != ActKind::kNone;
    const std::string sum = has_act ? state_.fresh_name(out_ + "/sum") : out_;
    onnx::NodeProto& proto = state_.add_node("Gemm", name_, in_, sum);
    set_float(proto, "alpha", a.alpha);
    set_float(proto, "beta", a.beta);
    set_int(proto, "transA", a.trans_a ? 1 : 0);
    set_int(proto, "transB", a.trans_b ? 1 : 0);
    if (has_act) activation(a.act, sum);
  }

  void hard_sigmoid() {
    const auto& a = node_.as<HardSigmoidAttrs>();
    onnx::NodeProto& proto = plain();
    set_float(proto, "alpha", a.alpha);
    set_float(proto, "beta", a.beta);
  }

  void pool() {
    const auto& a = node_.as<PoolAttrs>();
    const bool average = node_.type == OpType::kAveragePool;
    onnx::NodeProto& proto = plain();
    set_window(proto, a.window, !average || !all_ones(a.window.dilations));
    set_int(proto, "ceil_mode", a.ceil_mode ? 1 : 0);
    if (average) set_int(proto, "count_include_pad", a.count_include_pad ? 1 : 0);
  }

  void reduce_mean() {
    const auto& a = node_.as<ReduceAttrs>();
    // The axes are an input since opset 18.
    if (state_.opset >= 18) in_.push_back(state_.add_ints(out_ + "/axes", a.axes));
    onnx::NodeProto& proto = plain();
    if (state_.opset < 18) set_ints(proto, "axes", a.axes);
    set_int(proto, "keepdims", a.keepdims ? 1 : 0);
  }

  void reshape(const std::string& x, Dims shape, const std::string& name, const std::string& out) {
    const bool has_zero = std::find(shape.begin(), shape.end(), 0) != shape.end();
    const bool has_batch = std::find(shape.begin(), shape.end(), kBatch) != shape.end();
    if (has_zero && has_batch)
      throw input_error("reshapes to an empty shape with a free batch, which ONNX cannot say");
    std::replace(shape.begin(), shape.end(), kBatch, int64_t{-1});
    onnx::NodeProto& proto =
        state_.add_node("Reshape", name, {x, state_.add_ints(out + "/shape", shape)}, out);
    if (has_zero) set_int(proto, "allowzero", 1);
  }

  void slice() {
    const auto& a = node_.as<SliceAttrs>();
    Dims ends = a.ends;
    // -1 would count from the end; so small a number stands before the first element in any extent.
    std::replace(ends.begin(), ends.end(), int64_t{-1}, -std::numeric_limits<int64_t>::max());
    for (const auto& [suffix, values] : {std::pair<const char*, const Dims&>{"/starts", a.starts},
                                         {"/ends", ends},
                                         {"/axes", a.axes},
                                         {"/steps", a.steps}}) {
      in_.push_back(state_.add_ints(out_ + suffix, values));
    }
    plain();
  }

  void pad() {
    const auto& a = node_.as<PadAttrs>();
    constexpr const char* kModes[] = {"constant", "reflect", "edge"};
    in_.push_back(state_.add_ints(out_ + "/pads", concatenated(a.begin, a.end)));
    if (a.mode == PadMode::kConstant && a.value != 0) {
      in_.push_back(state_.add_initializer(out_ + "/value", scalar_like(a.value, input_value(0))));
    }
    set_string(plain(), "mode", kModes[static_cast<size_t>(a.mode)]);
  }

  void softmax() {
    const auto& a = node_.as<SoftmaxAttrs>();
    const Dims& shape = input_value(0).shape;
    if (!a.to_end || a.axis + 1 == static_cast<int64_t>(shape.size())) {
      set_int(plain(), "axis", a.axis);
      return;
    }
    // Over several axes: flatten them, normalise the one that results, and restore the shape.
    if (std::find(shape.begin(), shape.end(), 0) != shape.end())
      throw input_error("is a softmax over nothing");
    const std::string flat = state_.fresh_name(out_ + "/flat"), soft = state_.fresh_name(out_ + "/soft");
    Dims target(static_cast<size_t>(a.axis) + 1, 0);
    target.back() = -1;
    state_.add_node("Reshape", name_ + "/flatten", {in_[0], state_.add_ints(flat + "/shape", target)}, flat);
    set_int(state_.add_node("Softmax", name_, {flat}, soft), "axis", a.axis);
    reshape(soft, shape, name_ + "/restore", out_);
  }

  void lrn() {
    const auto& a = node_.as<LrnAttrs>();
    if (a.within_channel)
      throw input_error("local response normalization within a channel cannot be written as ONNX");
    onnx::NodeProto& proto = plain("LRN");
    set_int(proto, "size", a.size);
    set_float(proto, "alpha", a.alpha);
    set_float(proto, "beta", a.beta);
    set_float(proto, "bias", a.bias);
  }

  void quantize() {
    const auto& a = node_.as<QuantizeAttrs>();
    // Without a zero point ONNX means u8.
    const bool needs_zero_point =
        node_.type == OpType::kQuantizeLinear && node_.input(2) == kNoValue && a.dtype != DType::kU8;
    if (needs_zero_point) {
      in_.resize(2);
      in_.push_back(state_.add_initializer(out_ + "/zero_point", Tensor(a.dtype, input_value(1).shape)));
    }
    set_int(plain(), "axis", a.axis);
  }

  ExportState& state_;
  const Node& node_;
  const std::string out_, name_;
  std::vector<std::string> in_;
};

}  // namespace

int64_t required_opset(const Graph& graph, const Node& node) {
  constexpr int64_t kOldest = 13;
  const auto is_16_bit = [&](ValueId id) {
    const DType dtype = graph.value(id).dtype;
    return dtype == DType::kI16 || dtype == DType::kU16;
  };
  switch (node.type) {
    case OpType::kHardSwish:
      return 14;
    case OpType::kReshape: {
      const Dims& shape = node.as<ReshapeAttrs>().shape;
      return std::find(shape.begin(), shape.end(), 0) == shape.end() ? kOldest : 14;
    }
    case OpType::kAveragePool:
      return all_ones(node.as<PoolAttrs>().window.dilations) ? kOldest : 19;
    case OpType::kQuantizeLinear:
      return is_16_bit(node.output) ? 21 : kOldest;
    case OpType::kDequantizeLinear:
      return is_16_bit(node.inputs[0]) ? 21 : kOldest;
    default:
      return kOldest;
  }
}

void export_node(ExportState& state, const Node& node) { NodeWriter(state, node).write(); }

}  // namespace xdn::onnx_io
