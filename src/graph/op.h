#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <variant>

#include "base/tensor.h"

namespace xdn {

/// Each attribute struct lists its fields once, in visit(); printing, parsing and comparing follow from it.
#define XDN_FIELDS(...)                  \
  template <class Self, class F>         \
  static void visit(Self& self, F&& f) { \
    __VA_ARGS__                          \
  }
#define XDN_FIELD(name) f(#name, self.name);

/// What an epilogue applies to a finished sum. Clip uses [a, b]; leaky_relu the slope a.
enum class ActKind : uint8_t { kNone, kRelu, kLeakyRelu, kClip };
struct Activation {
  ActKind kind = ActKind::kNone;
  float a = 0, b = 0;
  bool operator==(const Activation&) const = default;
};

/// A window over the spatial axes (all axes after n and c); every list has one entry per spatial axis.
/// Output extent: floor((in + pads_begin + pads_end - dilation * (kernel - 1) - 1) / stride) + 1.
struct Window {
  Dims kernel, strides, dilations, pads_begin, pads_end;
  bool operator==(const Window&) const = default;
};

struct NoAttrs {
  XDN_FIELDS((void)self; (void)f;)
};
struct ConvAttrs {
  Window window;
  int64_t group = 1;
  Activation act;  ///< applied after bias and residual
  XDN_FIELDS(XDN_FIELD(window) XDN_FIELD(group) XDN_FIELD(act))
};
struct GemmAttrs {
  float alpha = 1, beta = 1;
  bool trans_a = false, trans_b = false;
  Activation act;
  XDN_FIELDS(XDN_FIELD(alpha) XDN_FIELD(beta) XDN_FIELD(trans_a) XDN_FIELD(trans_b) XDN_FIELD(act))
};
struct BatchNormAttrs {
  float epsilon = 1e-5f;
  XDN_FIELDS(XDN_FIELD(epsilon))
};
struct LeakyReluAttrs {
  float alpha = 0.01f;
  XDN_FIELDS(XDN_FIELD(alpha))
};
struct ClipAttrs {
  float min = -std::numeric_limits<float>::infinity(), max = std::numeric_limits<float>::infinity();
  XDN_FIELDS(XDN_FIELD(min) XDN_FIELD(max))
};
struct HardSigmoidAttrs {
  float alpha = 0.2f, beta = 0.5f;
  XDN_FIELDS(XDN_FIELD(alpha) XDN_FIELD(beta))
};
struct PoolAttrs {
  Window window;
  bool ceil_mode =
      false;  ///< round the output extent up, then drop a last window starting at or beyond in + pads_begin
  /// Average only. false: divide by the elements inside the input; true: by those inside the padded input
  /// (what ceil_mode adds beyond it never counts).
  bool count_include_pad = false;
  XDN_FIELDS(XDN_FIELD(window) XDN_FIELD(ceil_mode) XDN_FIELD(count_include_pad))
};
struct ReduceAttrs {
  Dims axes;  ///< non-negative, ascending, never empty
  bool keepdims = true;
  XDN_FIELDS(XDN_FIELD(axes) XDN_FIELD(keepdims))
};
struct ReshapeAttrs {
  Dims shape;  ///< resolved: extents, or kBatch for the free batch; no ONNX 0 or -1
  XDN_FIELDS(XDN_FIELD(shape))
};
struct FlattenAttrs {
  int64_t axis = 1;  ///< output is [product of dims before axis, product of the rest]
  XDN_FIELDS(XDN_FIELD(axis))
};
struct TransposeAttrs {
  Dims perm;
  XDN_FIELDS(XDN_FIELD(perm))
};
struct AxisAttrs {
  int64_t axis = 1;
  XDN_FIELDS(XDN_FIELD(axis))
};
struct SliceAttrs {
  /// One entry per sliced axis. starts and ends are clamped to the extent; with a negative step, ends may be
  /// -1 (before the first element). No negative-from-the-end indices here.
  Dims axes, starts, ends, steps;
  XDN_FIELDS(XDN_FIELD(axes) XDN_FIELD(starts) XDN_FIELD(ends) XDN_FIELD(steps))
};
enum class PadMode : uint8_t { kConstant, kReflect, kEdge };
struct PadAttrs {
  PadMode mode = PadMode::kConstant;
  Dims begin, end;  ///< one entry per axis; negative ones crop
  float value = 0;
  XDN_FIELDS(XDN_FIELD(mode) XDN_FIELD(begin) XDN_FIELD(end) XDN_FIELD(value))
};
struct CastAttrs {
  DType to = DType::kF32;
  XDN_FIELDS(XDN_FIELD(to))
};
struct SoftmaxAttrs {
  int64_t axis = 1;
  bool to_end = false;  ///< normalise over all axes from axis on (ONNX before opset 13), not axis alone
  XDN_FIELDS(XDN_FIELD(axis) XDN_FIELD(to_end))
};
/// y = x / (bias + alpha / n * sum of squares)^beta; n is size channels around, or size x size positions of
/// the same channel (within_channel, Caffe; n counts the positions inside Caffe's padded map).
struct LrnAttrs {
  int64_t size = 5;
  float alpha = 1e-4f, beta = 0.75f, bias = 1;
  bool within_channel = false;
  XDN_FIELDS(XDN_FIELD(size) XDN_FIELD(alpha) XDN_FIELD(beta) XDN_FIELD(bias) XDN_FIELD(within_channel))
};
struct QuantizeAttrs {
  int64_t axis = 1;          ///< of a per-axis scale
  DType dtype = DType::kU8;  ///< element type of the quantized side
  XDN_FIELDS(XDN_FIELD(axis) XDN_FIELD(dtype))
};

/// Attributes of one operator type need not be of one C++ type only: the operator is OpType, not the variant
/// index.
using OpAttrs =
    std::variant<NoAttrs, ConvAttrs, GemmAttrs, BatchNormAttrs, LeakyReluAttrs, ClipAttrs, HardSigmoidAttrs,
                 PoolAttrs, ReduceAttrs, ReshapeAttrs, FlattenAttrs, TransposeAttrs, AxisAttrs, SliceAttrs,
                 PadAttrs, CastAttrs, SoftmaxAttrs, LrnAttrs, QuantizeAttrs>;

enum class OpType : uint8_t {
#define XDN_OP(Name, Attrs, least, most) k##Name,
#include "graph/ops.inc"
};

struct OpInfo {
  std::string_view name;
  size_t least_inputs, most_inputs;
  OpAttrs default_attrs;
};
const OpInfo& op_info(OpType type);
std::optional<OpType> parse_op(std::string_view name);

}  // namespace xdn
