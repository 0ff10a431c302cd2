#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "executor/lowering.h"

namespace xdn {
namespace {

constexpr int32_t kSignedShift = 128;

bool is_levels(DType dtype) { return dtype == DType::kU8 || dtype == DType::kI8; }

}  // namespace

std::optional<QuantScale> Lowering::scalar_quant(const Node& node) const {
  const ValueId scale = node.input(1), zero = node.input(2);
  const DType dtype = node.type == OpType::kQuantizeLinear ? graph_.value(node.output).dtype
                                                           : graph_.value(node.input(0)).dtype;
  if (!graph_.is_constant(scale) || graph_.constant(scale).size() != 1 || !is_levels(dtype) ||
      graph_.constant(scale).dtype() != DType::kF32) {
    return std::nullopt;
  }
  if (zero != kNoValue && (!graph_.is_constant(zero) || graph_.constant(zero).size() != 1))
    return std::nullopt;
  QuantScale quant;
  quant.scale = graph_.constant(scale).data<float>()[0];
  if (!std::isfinite(quant.scale) || quant.scale <= 0) return std::nullopt;
  if (zero != kNoValue) quant.zero = static_cast<int32_t>(graph_.constant(zero).as_int(0));
  if (dtype == DType::kI8) quant.zero += kSignedShift;
  return quant;
}

std::optional<Lowering::Levels> Lowering::levels_of(ValueId weights, int64_t oc, bool transposed,
                                                    std::string& refused) const {
  const NodeId producer = graph_.value(weights).producer;
  if (producer == kNoNode || graph_.is_constant(weights)) {
    refused = "the weights are not quantized";
    return std::nullopt;
  }
  const Node& node = graph_.node(producer);
  const Tensor& tensor = graph_.constant(node.input(0));
  const Tensor& scale = graph_.constant(node.input(1));
  if (!is_levels(tensor.dtype()) || scale.dtype() != DType::kF32) {
    refused = "the weights are not 8-bit levels of an f32 scale";
    return std::nullopt;
  }
  const auto rank = static_cast<int64_t>(tensor.rank());
  const int64_t axis = (node.as<QuantizeAttrs>().axis + rank) % rank;
  if (scale.size() != 1 && (scale.size() != oc || axis != (transposed ? 1 : 0))) {
    refused = "the weights' scales are not per output channel";
    return std::nullopt;
  }
  Levels out;
  out.levels.resize(static_cast<size_t>(tensor.size()));
  out.scale.resize(static_cast<size_t>(oc));
  const int64_t k = tensor.size() / oc;
  const Tensor* zero = node.input(2) == kNoValue ? nullptr : &graph_.constant(node.input(2));
  const bool is_signed = tensor.dtype() == DType::kI8;
  const auto* raw = static_cast<const uint8_t*>(tensor.raw());
  for (int64_t j = 0; j < oc; ++j) {
    out.scale[static_cast<size_t>(j)] = scale.data<float>()[scale.size() == 1 ? 0 : static_cast<size_t>(j)];
    const int64_t zero_point = zero == nullptr ? 0 : zero->as_int(zero->size() == 1 ? 0 : j);
    for (int64_t i = 0; i < k; ++i) {
      const uint8_t byte = raw[transposed ? i * oc + j : j * k + i];
      const int64_t level = (is_signed ? static_cast<int64_t>(static_cast<int8_t>(byte)) : byte) - zero_point;
      if (level < -128 || level > 127) {
        refused = "the weights' levels less their zero points exceed 8 bits";
        return std::nullopt;
      }
      out.levels[static_cast<size_t>(j * k + i)] = static_cast<int8_t>(level);
    }
  }
  return out;
}

/// Whether `add` sums the chain's value and another of the same shape that is there already.
bool Lowering::joins_residual(const Node& add, ValueId chain_value, ValueId& other) const {
  if (add.type != OpType::kAdd) return false;
  other = add.input(0) == chain_value ? add.input(1) : add.input(0);
  return other != chain_value && !known(other) && placed(other) && shape(other) == shape(add.output) &&
         shape(chain_value) == shape(add.output) && buffer(place(other).buffer).image_stride == 0;
}

Lowering::Chain Lowering::follow(const Node& node, Activation act, ValueId residual) {
  Chain chain;
  chain.end = node.output;
  (waits_in_integers(residual) ? chain.joined : chain.residual) = residual;
  (chain.residual == kNoValue ? chain.act : chain.last_act) = act;
  const auto pass = [&](const Node& passed) {
    chain.absorbed.push_back(readers(chain.end)[0]);
    chain.end = passed.output;
  };
  while (const Node* next = only_reader(chain.end)) {
    const bool joined = chain.residual != kNoValue;
    Activation& now = joined ? chain.last_act : chain.act;
    ValueId other = kNoValue;
    if (next->type == OpType::kIdentity ||
        ((next->type == OpType::kFlatten || next->type == OpType::kReshape) && one_row(chain.end) &&
         one_row(next->output))) {
      pass(*next);
    } else if (next->type == OpType::kRelu && now.kind == ActKind::kNone) {
      now = {ActKind::kRelu, 0, 0};
      pass(*next);
    } else if (next->type == OpType::kClip && now.kind == ActKind::kNone) {
      now = {ActKind::kClip, next->as<ClipAttrs>().min, next->as<ClipAttrs>().max};
      pass(*next);
    } else if (!joined && now.kind == ActKind::kNone && joins_residual(*next, chain.end, other)) {
      chain.residual = other;
      pass(*next);
    } else if (!joined && chain.joined == kNoValue && now.kind == ActKind::kNone &&
               joins_waiting(*next, chain.end, other)) {
      chain.joined = other;
      pass(*next);
    } else if (next->type == OpType::kQuantizeLinear) {
      const auto quant = scalar_quant(*next);
      if (!quant.has_value()) break;
      const Node* back = only_reader(next->output);
      const Node* add =
          back != nullptr && back->type == OpType::kDequantizeLinear && scalar_quant(*back) == quant
              ? only_reader(back->output)
              : nullptr;
      if (!joined && add != nullptr && joins_residual(*add, back->output, other)) {
        chain.middle = quant;
        chain.residual = other;
        pass(*next);
        pass(*back);
        pass(*add);
        continue;
      }
      chain.quant = quant;
      pass(*next);
      break;
    } else {
      break;
    }
  }
  return chain;
}

/// Readers of levels see them through their DequantizeLinear, at once: a residual may be wanted before its
/// turn in the order.
void Lowering::define_levels(ValueId id, BufferId levels, QuantScale quant) {
  define(id, levels, quant);
  for (const NodeId reader : readers(id)) {
    const Node& node = graph_.node(reader);
    if (node.type != OpType::kDequantizeLinear || node.input(0) != id) continue;
    if (const auto back = scalar_quant(node)) {
      define(node.output, levels, back);
      done_[static_cast<size_t>(reader)] = true;
    }
  }
}

bool Lowering::lower_quantize(const Node& node) {
  const auto quant = scalar_quant(node);
  if (!quant.has_value()) {
    throw input_error(
        "expected one constant positive scale and zero point of 8 bits for the whole tensor; only "
        "--isa ref runs others");
  }
  const ValueId src = node.input(0);
  check_value(graph_.value(src), node.name);
  if (quantized(src)) {
    const QuantScale from = *place(src).quant;
    if (from == *quant) {
      define_levels(node.output, place(src).buffer, *quant);
      return true;
    }
    std::vector<uint8_t> levels(256);
    std::iota(levels.begin(), levels.end(), uint8_t{0});
    std::vector<float> numbers(256);
    table_.convert(Elem::kF32, numbers.data(), Elem::kU8, levels.data(), from, 256);
    table_.convert(Elem::kU8, levels.data(), Elem::kF32, numbers.data(), *quant, 256);
    const BufferId dst = make_buffer(shape(node.output), Elem::kU8);
    define_levels(node.output, dst, *quant);
    add(make_lookup_step(*plan_, place(src).buffer, dst, std::move(levels)), node);
    return true;
  }
  const BufferId dst = make_buffer(shape(node.output), Elem::kU8);
  define_levels(node.output, dst, *quant);
  add(make_convert_step(*plan_, place(src).buffer, dst, *quant, table_), node);
  return true;
}

bool Lowering::lower_dequantize(const Node& node) {
  if (!quantized(node.input(0)) || !scalar_quant(node).has_value()) {
    throw input_error(
        "expected levels of QuantizeLinear with one scale for the whole tensor; only --isa ref runs "
        "others");
  }
  define(node.output, place(node.input(0)).buffer, scalar_quant(node));
  return true;
}

/// Null where the sum is not quantized again.
std::unique_ptr<Step> Lowering::lower_quantized_add(const Node& node) {
  const ValueId a = node.input(0), b = node.input(1);
  if (!quantized(a) || !quantized(b) || shape(a) != shape(node.output) || shape(b) != shape(node.output))
    return nullptr;
  // A residual of the sum itself keeps `follow` from taking another.
  Chain chain = follow(node, {}, a);
  if (!chain.quant.has_value()) return nullptr;
  const QuantScale qa = *place(a).quant, qb = *place(b).quant, end = *chain.quant;
  const auto wide = [](float x) { return static_cast<double>(x); };
  const double scale_a = wide(qa.scale) / wide(end.scale), scale_b = wide(qb.scale) / wide(end.scale);
  const auto level = [&](float x) { return static_cast<float>(wide(x) / wide(end.scale) + end.zero); };
  QuantizedSum sum{static_cast<float>(scale_a), static_cast<float>(scale_b),
                   static_cast<float>(end.zero - qa.zero * scale_a - qb.zero * scale_b), 0, 255};
  if (!std::isfinite(sum.scale_a) || !std::isfinite(sum.scale_b) || !std::isfinite(sum.shift)) return nullptr;
  if (chain.last_act.kind == ActKind::kRelu) sum.lo = level(0);
  if (chain.last_act.kind == ActKind::kClip) {
    sum.lo = level(chain.last_act.a);
    sum.hi = level(chain.last_act.b);
  }
  sum.lo = std::clamp(sum.lo, 0.0f, 255.0f);
  sum.hi = std::clamp(sum.hi, 0.0f, 255.0f);
  for (const NodeId id : chain.absorbed) done_[static_cast<size_t>(id)] = true;
  const BufferId dst = make_buffer(shape(chain.end), Elem::kU8);
  define_levels(chain.end, dst, end);
  return make_add_u8_step(*plan_, place(a).buffer, place(b).buffer, dst, sum, table_);
}

/// A function of levels is a table of 256. Null where the result is not quantized again.
std::unique_ptr<Step> Lowering::lower_quantized_unary(const Node& node, kernels::UnaryKind kind, float a,
                                                      float b) {
  const ValueId src = node.input(0);
  const Node* next = only_reader(node.output);
  if (!quantized(src) || next == nullptr || next->type != OpType::kQuantizeLinear) return nullptr;
  const auto quant = scalar_quant(*next);
  if (!quant.has_value()) return nullptr;
  std::vector<uint8_t> levels(256);
  std::iota(levels.begin(), levels.end(), uint8_t{0});
  std::vector<float> numbers(256);
  table_.convert(Elem::kF32, numbers.data(), Elem::kU8, levels.data(), *place(src).quant, 256);
  table_.unary(kind, a, b, numbers.data(), numbers.data(), 256);
  table_.convert(Elem::kU8, levels.data(), Elem::kF32, numbers.data(), *quant, 256);
  done_[static_cast<size_t>(readers(node.output)[0])] = true;
  const BufferId dst = make_buffer(shape(node.output), Elem::kU8);
  define_levels(next->output, dst, *quant);
  return make_lookup_step(*plan_, place(src).buffer, dst, std::move(levels));
}

}  // namespace xdn
