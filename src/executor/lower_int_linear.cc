#include <cmath>
#include <utility>

#include "base/error.h"
#include "executor/image_lines.h"
#include "executor/lowering.h"

namespace xdn {
namespace {

/// Half of what 32 bits hold: the zero points' correction may be as large as the sum.
constexpr int64_t kMostProducts = (int64_t{1} << 30) / (255 * 128);

double wide(float x) { return static_cast<double>(x); }

struct Bounds {
  float lo, hi;
};
/// The numbers an activation lets through, as levels of `quant`; saturation to u8 included.
Bounds bounds_of(const Activation& act, const QuantScale& quant) {
  const auto level = [&](float x) { return static_cast<float>(wide(x) / wide(quant.scale) + quant.zero); };
  Bounds bounds{0, 255};
  if (act.kind == ActKind::kRelu) bounds.lo = level(0);
  if (act.kind == ActKind::kClip) bounds = {level(act.a), level(act.b)};
  return {std::clamp(bounds.lo, 0.0f, 255.0f), std::clamp(bounds.hi, 0.0f, 255.0f)};
}

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

int64_t taps_of(const DenseOperand& operand) { return operand.kernel_h * operand.kernel_w; }
int64_t products_of(const DenseOperand& operand) { return operand.channels * taps_of(operand); }

}  // namespace

/// Whether the layer alone runs in integers; its levels are filled in. Else refused_ says why not.
bool Lowering::take_levels(Linear& linear) {
  const DenseOperand& operand = linear.spec.operands[0];
  const auto refuse = [&](const std::string& reason) {
    refused_ = "brgemm_i8: " + reason;
    return false;
  };
  if (linear.act.kind == ActKind::kLeakyRelu) return refuse("leaky ReLU");
  if (products_of(operand) >= kMostProducts) return refuse("sums may exceed 32 bits");
  const bool image = buffer(place(linear.src).buffer).image_stride > 0;
  if (!image && taps_of(operand) > kMostTaps) return refuse("too many taps");
  std::string reason;
  linear.levels = levels_of(linear.weights, linear.oc, linear.transposed, reason);
  return linear.levels.has_value() || refuse(reason);
}

/// Whether the quantized convolution's result only enters a sum that a later convolution may carry: its
/// reader, or the other one of an Add's.
bool Lowering::joins_sum(const Node& node) const {
  const auto plain = [&](const Node& conv) {
    return conv.type == OpType::kConv && conv.as<ConvAttrs>().group == 1 && known(conv.input(1)) &&
           (conv.input(2) == kNoValue || known(conv.input(2)));
  };
  const auto bare = [&](const Node& conv) {
    return plain(conv) && conv.input(3) == kNoValue && conv.as<ConvAttrs>().act.kind == ActKind::kNone;
  };
  const Node* reader = only_reader(node.output);
  const ValueId src = node.input(0);
  if (!options_.integers || reader == nullptr || !bare(node) || !on_map(node.output) || !quantized(src) ||
      buffer(place(src).buffer).image_stride > 0) {
    return false;
  }
  if (reader->type == OpType::kConv) return reader->input(3) == node.output && plain(*reader);
  if (reader->type != OpType::kAdd) return false;
  const ValueId other = reader->input(reader->input(0) == node.output ? 1 : 0);
  const NodeId carrier = graph_.value(other).producer;
  return carrier != kNoNode && !placed(other) && !waiting_.contains(other) && only_reader(other) == reader &&
         bare(graph_.node(carrier)) && shape(other) == shape(node.output);
}

/// Whether `add` sums the chain's value and a convolution's that waits for that.
bool Lowering::joins_waiting(const Node& add, ValueId chain_value, ValueId& other) const {
  if (add.type != OpType::kAdd) return false;
  other = add.input(add.input(0) == chain_value ? 1 : 0);
  return waits_in_integers(other) && shape(other) == shape(add.output) &&
         shape(chain_value) == shape(add.output);
}

bool Lowering::waits_in_integers(ValueId id) const {
  const auto found = waiting_.find(id);
  return found != waiting_.end() && found->second.linear.levels.has_value();
}

/// Why the two cannot share their accumulators, or nothing.
std::string Lowering::why_apart(const Linear& a, const Linear& b) const {
  const DenseOperand &x = a.spec.operands[0], &y = b.spec.operands[0];
  const QuantScale qa = *place(a.src).quant, qb = *place(b.src).quant;
  if (a.spec.group != 1) return "groups";
  if (buffer(place(a.src).buffer).image_stride > 0) return "the source is an image with a border";
  if (taps_of(x) + taps_of(y) > kMostTaps) return "too many taps";
  if (products_of(x) + products_of(y) >= kMostProducts) return "sums may exceed 32 bits";
  // Of 255 levels, the result's error is a thousandth of one.
  constexpr double kTied = 1e-6;
  for (size_t j = 0; j < a.levels->scale.size(); ++j) {
    const double sa = wide(qa.scale) * wide(a.levels->scale[j]);
    const double sb = wide(qb.scale) * wide(b.levels->scale[j]);
    if (!(std::fabs(sa - sb) <= kTied * std::fmax(std::fabs(sa), std::fabs(sb)))) {
      return "the two sums' scales differ";
    }
  }
  return {};
}

/// A convolution that waits for an integer sum but is not taken gets a step of its own, and a float result.
void Lowering::release(ValueId id) {
  if (!waits_in_integers(id)) return;
  Waiting waiting = std::move(waiting_.extract(id).mapped());
  Chain chain;
  chain.end = id;
  std::string refused = std::exchange(refused_, {});
  auto step = lower_sums(std::move(waiting.linear), nullptr, chain);
  if (step == nullptr) throw input_error(refused_ + "; only --isa ref runs it").in_layer(waiting.node->name);
  add(std::move(step), *waiting.node);
  refused_ = std::move(refused);
}

std::unique_ptr<Step> Lowering::lower_int_linear(const Node& node, Linear linear) {
  if (waiting_.contains(linear.residual) && !waits_in_integers(linear.residual)) return nullptr;
  if (!take_levels(linear)) return nullptr;
  const Chain chain = follow(node, linear.act, linear.residual);
  if (chain.joined == kNoValue) return lower_sums(std::move(linear), nullptr, chain);
  const std::string apart = why_apart(linear, waiting_.at(chain.joined).linear);
  if (apart.empty()) {
    auto step = lower_sums(std::move(linear), &waiting_.at(chain.joined).linear, chain);
    if (step != nullptr) waiting_.erase(chain.joined);
    return step;
  }
  release(chain.joined);
  refused_ = "+conv: " + apart;
  const Chain alone = follow(node, linear.act, linear.residual);
  return lower_sums(std::move(linear), nullptr, alone);
}

/// Integer sums, then everything up to the next stored value in one epilogue; see kernels::GemmArgs. With
/// scales sx and sw[j], and levels of scale s and zero z where the sums are rounded first (the middle's, or
/// the end's):
///   v = sum * (sx * sw[j] / s) + (bias[j] / s + z)
/// `joined`, of the same sx * sw[j], enters the same sum. Null where a number is not finite.
std::unique_ptr<Step> Lowering::lower_sums(Linear linear, const Linear* joined, const Chain& chain) {
  DenseSpec& spec = linear.spec;
  DenseOperand& operand = spec.operands[0];
  const QuantScale end = chain.quant.value_or(QuantScale{});
  const QuantScale first = chain.middle.value_or(end);
  const QuantScale src = *place(linear.src).quant;

  Epilogue epilogue;
  double residual_shift = 0;
  if (chain.residual != kNoValue) {
    const Place& from = place(chain.residual);
    epilogue.residual = from.buffer;
    const QuantScale r = from.quant.value_or(QuantScale{});
    epilogue.residual_scale = static_cast<float>(wide(r.scale) / wide(end.scale));
    residual_shift = -r.zero * wide(r.scale) / wide(end.scale);
  }
  if (chain.middle.has_value()) {
    const Bounds bounds = bounds_of(chain.act, first);
    const double ratio = wide(first.scale) / wide(end.scale);
    epilogue.has_middle = true;
    epilogue.middle_lo = bounds.lo;
    epilogue.middle_hi = bounds.hi;
    epilogue.middle_scale = static_cast<float>(ratio);
    epilogue.middle_shift = static_cast<float>(end.zero - first.zero * ratio + residual_shift);
  }
  const Activation& act = chain.residual != kNoValue ? chain.last_act : chain.act;
  if (chain.quant.has_value() && act.kind != ActKind::kNone) {
    const Bounds bounds = bounds_of(act, end);
    epilogue.set({ActKind::kClip, bounds.lo, bounds.hi});
  } else {
    epilogue.set(act);
  }
  spec.scale.resize(static_cast<size_t>(linear.oc));
  spec.bias.resize(static_cast<size_t>(linear.oc), 0.0f);
  for (size_t j = 0; j < spec.scale.size(); ++j) {
    spec.scale[j] = static_cast<float>(wide(src.scale) * wide(linear.levels->scale[j]) * wide(linear.alpha) /
                                       wide(first.scale));
    double bias = wide(spec.bias[j]);
    if (joined != nullptr && !joined->spec.bias.empty()) bias += wide(joined->spec.bias[j]);
    bias = bias / wide(first.scale) + first.zero;
    if (!chain.middle.has_value()) bias += residual_shift;
    spec.bias[j] = static_cast<float>(bias);
  }
  if (!all_finite(spec.scale) || !all_finite(spec.bias) ||
      !all_finite({epilogue.residual_scale, epilogue.middle_scale, epilogue.middle_shift})) {
    refused_ = "brgemm_i8: scales whose quotients are not finite";
    return nullptr;
  }
  // With the middle's at most 255 levels, or the sums' at most, in steps of the end's.
  int64_t products = products_of(operand);
  if (joined != nullptr) products += products_of(joined->spec.operands[0]);
  double most = 255 * wide(epilogue.residual_scale);
  if (chain.middle.has_value()) {
    most += std::fabs(wide(epilogue.middle_shift)) + 255 * wide(epilogue.middle_scale);
  } else {
    double sums = 0;
    for (size_t j = 0; j < spec.scale.size(); ++j) {
      sums = std::max(sums, std::fabs(wide(spec.bias[j])) + 255.0 * 128.0 * static_cast<double>(products) *
                                                                std::fabs(wide(spec.scale[j])));
    }
    most += sums;
  }
  epilogue.in_range = most < 0x1p31 && (chain.residual == kNoValue || quantized(chain.residual));

  operand.src = place(linear.src).buffer;
  operand.zero = src.zero;
  std::vector<int8_t>& levels = linear.levels->levels;
  if (buffer(operand.src).image_stride > 0) levels = to_lines(operand, levels.data(), linear.oc);
  operand.levels = levels.data();
  if (joined != nullptr) {
    DenseOperand more = joined->spec.operands[0];
    more.src = place(joined->src).buffer;
    more.zero = place(joined->src).quant->zero;
    more.levels = joined->levels->levels.data();
    spec.operands.push_back(more);
  }
  spec.arith = kernels::Arith::kI8;
  spec.epilogue = epilogue;
  spec.dst = make_buffer(shape(chain.end), chain.quant.has_value() ? Elem::kU8 : store_elem(chain.end));
  for (const NodeId id : chain.absorbed) done_[static_cast<size_t>(id)] = true;
  if (chain.quant.has_value()) {
    define_levels(chain.end, spec.dst, *chain.quant);
  } else {
    define(chain.end, spec.dst);
  }
  return make_linear(spec);
}

}  // namespace xdn
