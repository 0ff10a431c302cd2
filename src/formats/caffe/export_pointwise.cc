#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include "formats/caffe/exporter.h"

namespace xdn {
namespace {

/// A constant that broadcasts to x: one number, or extents that are those of x from axis `first` on.
struct Operand {
  std::optional<double> number;
  size_t first = 0;
  Tensor blob;
};

/// The elements of `constant`, repeated until its axes [first, first + dims.size()) have the extents dims.
Tensor spread(const Tensor& constant, const Dims& aligned, size_t first, const Dims& dims) {
  Tensor out(DType::kF32, dims);
  const auto src = constant.data<float>();
  const auto dst = out.mutable_data<float>();
  for (size_t i = 0; i < dst.size(); ++i) {
    size_t rest = i, from = 0, step = 1;
    for (size_t axis = dims.size(); axis-- > 0;) {
      const auto extent = static_cast<size_t>(dims[axis]), own = static_cast<size_t>(aligned[first + axis]);
      from += own == 1 ? 0 : rest % extent * step;
      step *= own;
      rest /= extent;
    }
    dst[i] = src[from];
  }
  return out;
}

std::optional<Operand> operand(const Graph& graph, ValueId id, const Dims& x) {
  if (!graph.is_constant(id)) return std::nullopt;
  const Tensor& constant = graph.constant(id);
  if (constant.dtype() != DType::kF32 || constant.rank() > x.size() || constant.size() == 0)
    return std::nullopt;
  Dims aligned(x.size() - constant.rank(), 1);
  aligned.insert(aligned.end(), constant.dims().begin(), constant.dims().end());
  const bool per_channel = constant.rank() + 1 >= x.size() && x.size() >= 2 && x[1] == 1;
  Operand out;
  if (constant.size() == 1 && !(per_channel && constant.rank() > 0)) {
    out.number = constant.as_double(0);
    return out;
  }
  size_t last = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (aligned[i] == 1) continue;
    if (i == 0 || aligned[i] != x[i]) return std::nullopt;
    if (last == 0) out.first = i;
    last = i + 1;
  }
  if (last == 0) {
    out.first = 1;
    last = 2;
  }
  const auto begin = x.begin() + static_cast<std::ptrdiff_t>(out.first);
  out.blob = spread(constant, aligned, out.first, Dims(begin, x.begin() + static_cast<std::ptrdiff_t>(last)));
  return out;
}

/// One operation of a value and a constant: x * c, x + c, c - x (negative) or x ^ c.
struct Step {
  enum Kind { kTimes, kPlus, kPower } kind = kTimes;
  ValueId x = kNoValue;
  bool negative = false;
  Operand c;
};

template <class F>
void for_all(Operand& c, F f) {
  if (c.number) {
    c.number = f(*c.number);
    return;
  }
  for (float& value : c.blob.mutable_data<float>()) value = static_cast<float>(f(static_cast<double>(value)));
}

std::optional<Step> parse_step(const Graph& graph, const Node& node) {
  const bool commutes = node.type == OpType::kMul || node.type == OpType::kAdd;
  if (!commutes && node.type != OpType::kSub && node.type != OpType::kDiv && node.type != OpType::kPow)
    return std::nullopt;
  const bool constant_first = graph.is_constant(node.inputs[0]);
  if (constant_first && !commutes && node.type != OpType::kSub) return std::nullopt;
  Step step;
  step.x = node.inputs[constant_first ? 1 : 0];
  if (graph.is_constant(step.x)) return std::nullopt;
  // Where the constant is the larger one, x is repeated, which no layer does.
  if (graph.value(step.x).shape != graph.value(node.output).shape) return std::nullopt;
  auto c = operand(graph, node.inputs[constant_first ? 0 : 1], graph.value(step.x).shape);
  if (!c) return std::nullopt;
  step.c = std::move(*c);
  switch (node.type) {
    case OpType::kDiv:
      for_all(step.c, [](double value) { return 1 / value; });
      break;
    case OpType::kSub:
      step.kind = Step::kPlus;
      step.negative = constant_first;
      if (!constant_first) for_all(step.c, [](double value) { return -value; });
      break;
    case OpType::kAdd:
      step.kind = Step::kPlus;
      break;
    case OpType::kPow:
      if (!step.c.number) return std::nullopt;
      step.kind = Step::kPower;
      break;
    default:
      break;
  }
  return step;
}

/// The step that computes x, if it is of this kind, with a number or a blob as c has, and can be taken in.
std::optional<std::pair<const Node*, Step>> step_before(const CaffeExport& out, ValueId x, Step::Kind kind,
                                                        const Operand& c) {
  const Node* node = out.sole_producer(x);
  if (node == nullptr) return std::nullopt;
  auto step = parse_step(out.graph, *node);
  if (!step || step->kind != kind || step->c.number.has_value() != c.number.has_value()) return std::nullopt;
  if (!c.number && (step->c.first != c.first || step->c.blob.dims() != c.blob.dims())) return std::nullopt;
  return std::pair(node, std::move(*step));
}

/// (shift + scale * x) ^ power
void export_power(CaffeExport& out, const Node& node, Step step) {
  double power = 1, shift = 0, scale = 1;
  std::string name = node.name;
  ValueId x = step.x;
  const auto take = [&](Step::Kind kind) -> std::optional<Step> {
    auto before = step_before(out, x, kind, step.c);
    if (!before) return std::nullopt;
    out.absorb(*before->first);
    name = shared_layer_name(before->first->name, name);
    x = before->second.x;
    return std::move(before->second);
  };
  std::optional<Step> plus;
  if (step.kind == Step::kPower) {
    power = *step.c.number;
    plus = take(Step::kPlus);
  } else if (step.kind == Step::kPlus) {
    plus = step;
  } else {
    scale = *step.c.number;
  }
  if (plus) {
    shift = *plus->c.number;
    if (plus->negative) scale = -1;
  }
  if (step.kind != Step::kTimes && !(plus && plus->negative)) {
    if (const auto times = take(Step::kTimes)) scale = *times->c.number;
  }
  Node named = node;
  named.name = name;
  auto& layer =
      out.add("Power", out.layer_name(named), {out.blob_in_place(x, node.output)}, {out.blob(node.output)})
          .proto;
  auto& param = *layer.mutable_power_param();
  if (power != 1) param.set_power(static_cast<float>(power));
  if (scale != 1) param.set_scale(static_cast<float>(scale));
  if (shift != 0) param.set_shift(static_cast<float>(shift));
}

template <class Param>
void set_span(Param& param, const Operand& c) {
  if (c.first != 1) param.set_axis(static_cast<int>(c.first));
  if (c.blob.rank() != 1) param.set_num_axes(static_cast<int>(c.blob.rank()));
}

/// x * scale [+ bias], or x + bias, along the axes of the blobs.
void export_scale(CaffeExport& out, const Node& node, Step step) {
  Node named = node;
  ValueId x = step.x;
  std::optional<Tensor> scale, bias;
  (step.kind == Step::kTimes ? scale : bias) = step.c.blob;
  const auto filled = [&](double value) {
    Operand c = step.c;
    for_all(c, [&](double) { return value; });
    return c.blob;
  };
  if (step.negative) {
    scale = filled(-1);
  } else if (step.kind == Step::kPlus) {
    if (auto before = step_before(out, x, Step::kTimes, step.c)) {
      out.absorb(*before->first);
      named.name = shared_layer_name(before->first->name, node.name);
      x = before->second.x;
      scale = before->second.c.blob;
    }
  }
  // OpenCV knows no Bias layers.
  if (!scale && !out.has_feature("bias")) scale = filled(1);
  const std::string bottom = out.blob_in_place(x, node.output);
  CaffeLayer& layer =
      out.add(scale ? "Scale" : "Bias", out.layer_name(named), {bottom}, {out.blob(node.output)});
  if (scale) {
    set_span(*layer.proto.mutable_scale_param(), step.c);
    if (bias) layer.proto.mutable_scale_param()->set_bias_term(true);
    layer.blobs.push_back(std::move(*scale));
  } else {
    set_span(*layer.proto.mutable_bias_param(), step.c);
  }
  if (bias) layer.blobs.push_back(std::move(*bias));
}

bool is_part(const std::string& name, const std::string& layer, const std::string& prefix) {
  if (!name.starts_with(layer + "/" + prefix)) return false;
  const std::string rest = name.substr(layer.size() + 1 + prefix.size());
  return !rest.empty() &&
         std::all_of(rest.begin(), rest.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

struct Term {
  ValueId value;
  float coeff;
};

/// The bottoms of an Eltwise layer that importing took apart: pairs LAYER/I, coefficients LAYER/coeffI.
void gather(CaffeExport& out, const Node& head, OpType type, ValueId id, float coeff,
            std::vector<Term>& terms) {
  const Node* node = out.sole_producer(id);
  const bool sum = type == OpType::kAdd;
  if (node != nullptr && is_part(node->name, head.name, "")) {
    const bool minus = sum && node->type == OpType::kSub;
    const bool taken = (node->type == type || minus) && coeff == 1;
    if (taken && out.shape(node->inputs[0]) == out.shape(node->inputs[1]) &&
        !out.graph.is_constant(node->inputs[0]) && !out.graph.is_constant(node->inputs[1])) {
      out.absorb(*node);
      gather(out, head, type, node->inputs[0], 1, terms);
      gather(out, head, type, node->inputs[1], minus ? -1.0F : 1.0F, terms);
      return;
    }
  }
  if (sum && coeff == 1 && node != nullptr && is_part(node->name, head.name, "coeff")) {
    const auto step = parse_step(out.graph, *node);
    if (step && step->kind == Step::kTimes && step->c.number) {
      out.absorb(*node);
      terms.push_back({step->x, static_cast<float>(*step->c.number)});
      return;
    }
  }
  terms.push_back({id, coeff});
}

void export_eltwise(CaffeExport& out, const Node& node) {
  const bool minus = node.type == OpType::kSub;
  const OpType type = minus ? OpType::kAdd : node.type;
  std::vector<Term> terms;
  gather(out, node, type, node.inputs[0], 1, terms);
  gather(out, node, type, node.inputs[1], minus ? -1.0F : 1.0F, terms);
  const auto is_one = [](const Term& term) { return term.coeff == 1; };
  std::vector<std::string> bottoms;
  for (const Term& term : terms) bottoms.push_back(out.blob(term.value));
  auto& layer = out.add("Eltwise", out.layer_name(node), bottoms, {out.blob(node.output)}).proto;
  if (type == OpType::kAdd && std::all_of(terms.begin(), terms.end(), is_one)) return;
  auto& param = *layer.mutable_eltwise_param();
  if (type == OpType::kMul) param.set_operation(caffe::EltwiseParameter::PROD);
  if (type == OpType::kMax) param.set_operation(caffe::EltwiseParameter::MAX);
  if (std::all_of(terms.begin(), terms.end(), is_one)) return;
  for (const Term& term : terms) param.add_coeff(term.coeff);
}

/// x * y or x + y, where y's extents, less trailing ones, are those of x from some axis on.
void export_broadcast(CaffeExport& out, const Node& node) {
  ValueId x = node.inputs[0], y = node.inputs[1];
  if (out.shape(x) != out.shape(node.output)) std::swap(x, y);
  const Dims &whole = out.shape(x), &part = out.shape(y);
  const auto refuse = [&] {
    return not_in_caffe(node, "it combines shapes " + to_string(out.shape(node.inputs[0])) + " and " +
                                  to_string(out.shape(node.inputs[1])));
  };
  if ((node.type != OpType::kMul && node.type != OpType::kAdd) || whole != out.shape(node.output))
    throw refuse();
  const size_t axis = whole.size() - part.size();
  Dims own = part;
  while (!own.empty() && own.back() == 1) own.pop_back();
  if (own.empty() || !std::equal(own.begin(), own.end(), whole.begin() + static_cast<std::ptrdiff_t>(axis)))
    throw refuse();
  std::string factor = out.blob(y);
  if (own != part) {
    if (own[0] != kBatch || own.size() < 2) throw refuse();
    factor = out.fresh_blob(factor + "/aligned");
    add_reshape(out, out.layer_name(node, "aligned"), out.blob(y), factor, Dims(own.begin() + 1, own.end()));
  }
  const bool times = node.type == OpType::kMul;
  auto& layer =
      out.add(times ? "Scale" : "Bias", out.layer_name(node), {out.blob(x), factor}, {out.blob(node.output)})
          .proto;
  if (times) {
    layer.mutable_scale_param()->set_axis(static_cast<int>(axis));
  } else {
    layer.mutable_bias_param()->set_axis(static_cast<int>(axis));
  }
}

/// max(x, 0)
bool is_relu(const CaffeExport& out, const Node& node) {
  if (node.type != OpType::kMax || out.shape(node.inputs[0]) != out.shape(node.output)) return false;
  const auto c = operand(out.graph, node.inputs[1], out.shape(node.inputs[0]));
  return c && c->number == 0.0;
}

}  // namespace

void export_arithmetic(CaffeExport& out, const Node& node) {
  if (auto step = parse_step(out.graph, node)) {
    return step->c.number ? export_power(out, node, std::move(*step))
                          : export_scale(out, node, std::move(*step));
  }
  if (is_relu(out, node)) {
    out.add("ReLU", out.layer_name(node), {out.blob_in_place(node.inputs[0], node.output)},
            {out.blob(node.output)});
    return;
  }
  const bool constant = out.graph.is_constant(node.inputs[0]) || out.graph.is_constant(node.inputs[1]);
  if (constant || node.type == OpType::kDiv || node.type == OpType::kPow) {
    throw not_in_caffe(node, "operands of shapes " + to_string(out.shape(node.inputs[0])) + " and " +
                                 to_string(out.shape(node.inputs[1])) +
                                 (constant ? ", one of them constant" : ""));
  }
  if (out.shape(node.inputs[0]) == out.shape(node.inputs[1])) return export_eltwise(out, node);
  export_broadcast(out, node);
}

void export_activation_node(CaffeExport& out, const Node& node) {
  const std::string bottom = out.blob_in_place(node.inputs[0], node.output), top = out.blob(node.output);
  switch (node.type) {
    case OpType::kRelu:
      out.add("ReLU", out.layer_name(node), {bottom}, {top});
      return;
    case OpType::kLeakyRelu:
      out.add("ReLU", out.layer_name(node), {bottom}, {top})
          .proto.mutable_relu_param()
          ->set_negative_slope(node.as<LeakyReluAttrs>().alpha);
      return;
    case OpType::kSigmoid:
      out.add("Sigmoid", out.layer_name(node), {bottom}, {top});
      return;
    case OpType::kClip: {
      const auto& a = node.as<ClipAttrs>();
      if (a.min == 0 && std::isinf(a.max)) {
        out.add("ReLU", out.layer_name(node), {bottom}, {top});
        return;
      }
      if (!out.has_feature("clip")) throw not_in_caffe(node, "ReLU6 and its like are in forks only");
      auto& param = *out.add("Clip", out.layer_name(node), {bottom}, {top}).proto.mutable_clip_param();
      param.set_min(a.min);
      param.set_max(a.max);
      return;
    }
    default:
      // An Identity that stands between two names.
      out.add("Split", out.layer_name(node), {bottom}, {top});
  }
}

}  // namespace xdn
