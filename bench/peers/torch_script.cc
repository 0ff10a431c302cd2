#include "peers/torch_script.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"
#include "graph/window.h"

namespace xdn::bench {
namespace {

std::string number(float value) {
  if (!std::isfinite(value)) return value > 0 ? "float('inf')" : "float('-inf')";
  return fmt::format("{:.9e}", value);
}

/// "[1, 2]"; the free batch is written as -1.
std::string list(const Dims& values) { return fmt::format("[{}]", fmt::join(values, ", ")); }

const char* boolean(bool value) { return value ? "True" : "False"; }

/// Padding as ATen wants it: begin and end of the last axis first.
std::string pad_list(const Dims& begin, const Dims& end) {
  Dims pairs;
  for (size_t i = begin.size(); i-- > 0;) {
    pairs.push_back(begin[i]);
    pairs.push_back(end[i]);
  }
  return list(pairs);
}

Tensor transposed(const Tensor& matrix) {
  const int64_t rows = matrix.dim(0), columns = matrix.dim(1);
  Tensor result(DType::kF32, {columns, rows});
  const auto from = matrix.data<float>();
  const auto to = result.mutable_data<float>();
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j)
      to[static_cast<size_t>(j * rows + i)] = from[static_cast<size_t>(i * columns + j)];
  }
  return result;
}

class ScriptWriter {
 public:
  explicit ScriptWriter(const Graph& graph) : graph_(graph) {}

  TorchScript write() {
    if (graph_.inputs().size() != 1) throw input_error("expected a model of one input");
    script_.source = fmt::format("def forward(self, {}: Tensor) -> Tensor:\n", name(graph_.inputs()[0]));
    for (const NodeId id : graph_.order()) {
      try {
        const Node& node = graph_.node(id);
        const std::string result = expression(node);
        script_.source += fmt::format("  {} = {}\n", name(node.output), result);
      } catch (Error& error) {
        error.in_layer(layer_name(graph_, graph_.node(id)));
        throw;
      }
    }
    script_.source += fmt::format("  return {}\n", name(graph_.outputs()[0]));
    return std::move(script_);
  }

 private:
  const Dims& shape(ValueId id) const { return graph_.value(id).shape; }

  std::string attribute(const std::string& wanted, const Tensor& tensor) {
    if (tensor.dtype() != DType::kF32) throw input_error("reads a constant that is not float32");
    if (attributes_.insert(wanted).second) script_.constants.emplace_back(wanted, tensor);
    return fmt::format("self.{}", wanted);
  }

  std::string name(ValueId id) {
    if (id == kNoValue) return "None";
    if (graph_.is_constant(id)) return attribute(fmt::format("c{}", id), graph_.constant(id));
    if (graph_.value(id).dtype != DType::kF32) throw input_error("expected float32 values only");
    return fmt::format("v{}", id);
  }

  std::vector<std::string> names(const std::vector<ValueId>& ids) {
    std::vector<std::string> result;
    for (const ValueId id : ids) result.push_back(name(id));
    return result;
  }

  /// The operator on all inputs of the node, then `more` arguments.
  std::string call(std::string_view function, const Node& node, std::string_view more = {}) {
    return fmt::format("torch.{}({}{}{})", function, fmt::join(names(node.inputs), ", "),
                       more.empty() ? "" : ", ", more);
  }

  std::string expression(const Node& node) {
    switch (node.type) {
      case OpType::kConv:
        return conv(node);
      case OpType::kGemm:
        return gemm(node);
      case OpType::kMatMul:
        return call("matmul", node);
      case OpType::kBatchNorm:
        return call("batch_norm", node,
                    fmt::format("False, 0.0, {}, False", number(node.as<BatchNormAttrs>().epsilon)));
      case OpType::kRelu:
        return call("relu", node);
      case OpType::kLeakyRelu:
        return call("leaky_relu", node, number(node.as<LeakyReluAttrs>().alpha));
      case OpType::kPRelu:
        return fmt::format("torch.where({0} < 0, {0} * {1}, {0})", name(node.inputs[0]),
                           name(node.inputs[1]));
      case OpType::kClip:
        return clip(node);
      case OpType::kSigmoid:
        return call("sigmoid", node);
      case OpType::kHardSigmoid:
        return hard_sigmoid(node);
      case OpType::kHardSwish:
        return call("hardswish", node);
      case OpType::kAdd:
        return binary("add", node);
      case OpType::kSub:
        return binary("sub", node);
      case OpType::kMul:
        return binary("mul", node);
      case OpType::kDiv:
        return binary("div", node);
      case OpType::kPow:
        return call("pow", node);
      case OpType::kMax:
        return call("maximum", node);
      case OpType::kMaxPool:
        return max_pool(node);
      case OpType::kAveragePool:
        return average_pool(node);
      case OpType::kGlobalAveragePool:
        return global_average(node);
      case OpType::kReduceMean:
        return call("mean", node,
                    fmt::format("{}, {}", list(node.as<ReduceAttrs>().axes),
                                boolean(node.as<ReduceAttrs>().keepdims)));
      case OpType::kReshape:
      case OpType::kFlatten:
        return call("reshape", node, list(shape(node.output)));
      case OpType::kTranspose:
        return call("permute", node, list(node.as<TransposeAttrs>().perm));
      case OpType::kConcat:
        return concat(node);
      case OpType::kSlice:
        return slice(node);
      case OpType::kPad:
        return pad(node);
      case OpType::kIdentity:
        return name(node.inputs[0]);
      case OpType::kSoftmax:
        return softmax(node);
      default:
        throw input_error(fmt::format("the torch worker does not cover {}", op_info(node.type).name));
    }
  }

  /// A constant gets all axes of the result: libtorch folds [1, c, 1, 1] into a convolution, but not [c, 1,
  /// 1].
  std::string binary(std::string_view function, const Node& node) {
    const size_t rank = shape(node.output).size();
    std::string operands[2];
    for (size_t i = 0; i < 2; ++i) {
      const ValueId id = node.inputs[i];
      if (!graph_.is_constant(id) || shape(id).size() == rank) {
        operands[i] = name(id);
        continue;
      }
      Dims dims = shape(id);
      dims.insert(dims.begin(), rank - dims.size(), 1);
      operands[i] = attribute(fmt::format("c{}_{}", id, rank), graph_.constant(id).reshaped(dims));
    }
    return fmt::format("torch.{}({}, {})", function, operands[0], operands[1]);
  }

  /// "2d" for images.
  std::string suffix(const Node& node) const {
    const size_t spatial = node.type == OpType::kConv ? node.as<ConvAttrs>().window.kernel.size()
                                                      : shape(node.inputs[0]).size() - 2;
    if (spatial < 1 || spatial > 3) throw input_error("expected one to three spatial axes");
    return fmt::format("{}d", spatial);
  }

  static std::string padded(const std::string& x, const Dims& begin, const Dims& end, float value) {
    return fmt::format("torch.constant_pad_nd({}, {}, {})", x, pad_list(begin, end), number(value));
  }

  std::string conv(const Node& node) {
    const auto& a = node.as<ConvAttrs>();
    if (a.act.kind != ActKind::kNone || node.input(3) != kNoValue) throw input_error("is fused");
    const Window& w = a.window;
    const bool symmetric = w.pads_begin == w.pads_end;
    std::string x = name(node.inputs[0]);
    if (!symmetric) x = padded(x, w.pads_begin, w.pads_end, 0);
    const Dims pads = symmetric ? w.pads_begin : Dims(w.kernel.size(), 0);
    return fmt::format("torch.conv{}({}, {}, {}, {}, {}, {}, {})", suffix(node), x, name(node.inputs[1]),
                       name(node.input(2)), list(w.strides), list(pads), list(w.dilations), a.group);
  }

  std::string gemm(const Node& node) {
    const auto& a = node.as<GemmAttrs>();
    if (a.act.kind != ActKind::kNone) throw input_error("is fused");
    const ValueId b = node.inputs[1], c = node.input(2);
    const bool linear = !a.trans_a && a.alpha == 1 && a.beta == 1 && graph_.is_constant(b) &&
                        (c == kNoValue || (graph_.is_constant(c) && shape(c).size() == 1));
    if (linear) {
      const std::string weights =
          a.trans_b ? name(b) : attribute(fmt::format("t{}", b), transposed(graph_.constant(b)));
      return fmt::format("torch.linear({}, {}, {})", name(node.inputs[0]), weights, name(c));
    }
    std::string text = fmt::format("{} * torch.matmul({}{}, {}{})", number(a.alpha), name(node.inputs[0]),
                                   a.trans_a ? ".t()" : "", name(b), a.trans_b ? ".t()" : "");
    if (c != kNoValue) text += fmt::format(" + {} * {}", number(a.beta), name(c));
    return text;
  }

  std::string clip(const Node& node) {
    const auto& a = node.as<ClipAttrs>();
    if (std::isfinite(a.min) && std::isfinite(a.max))
      return call("hardtanh", node, fmt::format("{}, {}", number(a.min), number(a.max)));
    const auto bound = [](float value) { return std::isfinite(value) ? number(value) : "None"; };
    if (!std::isfinite(a.min) && !std::isfinite(a.max)) return name(node.inputs[0]);
    return call("clamp", node, fmt::format("{}, {}", bound(a.min), bound(a.max)));
  }

  std::string hard_sigmoid(const Node& node) {
    const auto& a = node.as<HardSigmoidAttrs>();
    if (std::abs(a.alpha - 1.0f / 6) < 1e-7f && a.beta == 0.5f) return call("hardsigmoid", node);
    return fmt::format("torch.clamp({} * {} + {}, 0, 1)", name(node.inputs[0]), number(a.alpha),
                       number(a.beta));
  }

  std::string max_pool(const Node& node) {
    const auto& a = node.as<PoolAttrs>();
    const Window& w = a.window;
    const size_t rank = w.kernel.size();
    bool plain = w.pads_begin == w.pads_end;
    for (size_t i = 0; plain && i < rank; ++i) plain = 2 * w.pads_begin[i] <= w.kernel[i];
    std::string x = name(node.inputs[0]);
    Dims pads = w.pads_begin;
    if (!plain) {
      // ATen knows neither uneven pads nor wide ones: pad by what never wins, just as far as windows reach.
      Dims end(rank);
      for (size_t i = 0; i < rank; ++i) {
        const int64_t in = shape(node.inputs[0])[i + 2], out = shape(node.output)[i + 2];
        end[i] =
            (out - 1) * w.strides[i] + dilated_extent(w.kernel[i], w.dilations[i]) - in - w.pads_begin[i];
      }
      x = padded(x, w.pads_begin, end, -std::numeric_limits<float>::infinity());
      pads.assign(rank, 0);
    }
    return fmt::format("torch.max_pool{}({}, {}, {}, {}, {}, {})", suffix(node), x, list(w.kernel),
                       list(w.strides), list(pads), list(w.dilations), boolean(plain && a.ceil_mode));
  }

  std::string average_pool(const Node& node) {
    const auto& a = node.as<PoolAttrs>();
    const Window& w = a.window;
    for (size_t i = 0; i < w.kernel.size(); ++i) {
      if (w.dilations[i] != 1) throw input_error("the torch worker does not cover dilated average pools");
      if (w.pads_begin[i] != w.pads_end[i] || 2 * w.pads_begin[i] > w.kernel[i])
        throw input_error("the torch worker does not cover average pools with uneven or wide pads");
    }
    return call(fmt::format("avg_pool{}", suffix(node)), node,
                fmt::format("{}, {}, {}, {}, {}", list(w.kernel), list(w.strides), list(w.pads_begin),
                            boolean(a.ceil_mode), boolean(a.count_include_pad)));
  }

  std::string global_average(const Node& node) {
    const size_t spatial = shape(node.inputs[0]).size() - 2;
    return call(fmt::format("adaptive_avg_pool{}", suffix(node)), node, list(Dims(spatial, 1)));
  }

  std::string concat(const Node& node) {
    return fmt::format("torch.cat([{}], {})", fmt::join(names(node.inputs), ", "), node.as<AxisAttrs>().axis);
  }

  std::string slice(const Node& node) {
    const auto& a = node.as<SliceAttrs>();
    std::string text = name(node.inputs[0]);
    for (size_t i = 0; i < a.axes.size(); ++i) {
      if (a.steps[i] < 1) throw input_error("the torch worker does not cover slices that run backwards");
      text =
          fmt::format("torch.slice({}, {}, {}, {}, {})", text, a.axes[i], a.starts[i], a.ends[i], a.steps[i]);
    }
    return text;
  }

  std::string pad(const Node& node) {
    const auto& a = node.as<PadAttrs>();
    if (a.mode != PadMode::kConstant) throw input_error("the torch worker pads by a constant only");
    return padded(name(node.inputs[0]), a.begin, a.end, a.value);
  }

  std::string softmax(const Node& node) {
    const auto& a = node.as<SoftmaxAttrs>();
    const Dims& dims = shape(node.inputs[0]);
    if (!a.to_end || a.axis + 1 == static_cast<int64_t>(dims.size()))
      return call("softmax", node, fmt::format("{}", a.axis));
    return fmt::format("torch.reshape(torch.softmax(torch.flatten({0}, {1}), {1}), {2})",
                       name(node.inputs[0]), a.axis, list(dims));
  }

  const Graph& graph_;
  TorchScript script_;
  std::set<std::string> attributes_;
};

}  // namespace

TorchScript to_torch_script(const Graph& graph) { return ScriptWriter(graph).write(); }

}  // namespace xdn::bench
