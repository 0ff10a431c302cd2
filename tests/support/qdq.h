#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/nets.h"

namespace xdn::testing {

/// A scale and a zero point for a whole tensor.
struct Quant {
  float scale = 1;
  int zero = 0;
  DType dtype = DType::kU8;
};

/// How a layer's weights are stored.
enum class WeightForm {
  kPerChannelS8,
  kPerTensorS8,
  kCentredU8,        ///< zero point 128
  kShiftedU8,        ///< another zero point; levels within 8 bits of it
  kShiftedS8,        ///< zero point 9; levels within 8 bits of it
  kZeroPerChannel,   ///< u8, a zero point per channel
  kWideU8,           ///< zero point 3 and levels up to 255: no s8 holds their difference
  kPerInputChannel,  ///< s8, scales along axis 1
  kFloat,
};
enum class BiasForm { kNone, kFloat, kS32 };

/// Builds graphs in QuantizeLinear/DequantizeLinear form with random weights. Activations are of order one.
class QdqBuilder : public NetBuilder {
 public:
  using NetBuilder::NetBuilder;

  ValueId quantize(ValueId x, const Quant& q) {
    const ValueId scale = graph.add_constant(name("scale"), Tensor::scalar(q.scale));
    return add(OpType::kQuantizeLinear, QuantizeAttrs{1, q.dtype}, {x, scale, zero_of(q)});
  }
  ValueId dequantize(ValueId levels, const Quant& q) {
    const ValueId scale = graph.add_constant(name("scale"), Tensor::scalar(q.scale));
    return add(OpType::kDequantizeLinear, QuantizeAttrs{1, q.dtype}, {levels, scale, zero_of(q)});
  }
  /// QuantizeLinear and DequantizeLinear.
  ValueId qdq(ValueId x, const Quant& q) { return dequantize(quantize(x, q), q); }

  /// Weights [oc, k...], or [k, oc] where transposed, through DequantizeLinear; real values within about
  /// `most`.
  ValueId weights(const Dims& dims, WeightForm form, float most, bool transposed = false) {
    if (form == WeightForm::kFloat) return graph.add_constant(name("w"), random(dims, most));
    const size_t axis = transposed ? 1 : form == WeightForm::kPerInputChannel ? 1 : 0;
    const bool many = form == WeightForm::kPerChannelS8 || form == WeightForm::kZeroPerChannel ||
                      form == WeightForm::kPerInputChannel;
    const int64_t channels = many ? dims[axis] : 1, size = element_count(dims);
    const int64_t inner = element_count(Dims(dims.begin() + static_cast<int64_t>(axis) + 1, dims.end()));
    const bool is_u8 = form == WeightForm::kCentredU8 || form == WeightForm::kShiftedU8 ||
                       form == WeightForm::kZeroPerChannel || form == WeightForm::kWideU8;
    std::vector<float> scales(static_cast<size_t>(channels));
    std::vector<int> zeros(static_cast<size_t>(channels), zero_of(form));
    for (size_t j = 0; j < scales.size(); ++j) {
      scales[j] = most / 127 * (channels == 1 ? 1.0f : 0.3f + 0.7f * std::fabs(uniform_()));
      if (form == WeightForm::kZeroPerChannel) zeros[j] = static_cast<int>(uniform_.between(100, 150));
    }
    std::vector<uint8_t> levels(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) {
      const int zero = zeros[channels == 1 ? 0 : static_cast<size_t>(i / inner % channels)];
      const int lowest = std::max(is_u8 ? 0 : -128, zero - 128);
      const int highest = std::min(is_u8 ? 255 : 127, form == WeightForm::kWideU8 ? 255 : zero + 127);
      levels[static_cast<size_t>(i)] = static_cast<uint8_t>(uniform_.between(lowest, highest));
    }
    const Dims per{channels};
    const auto scale_dims = many ? per : Dims{};
    const ValueId s = graph.add_constant(name("w.scale"), Tensor::of(scale_dims, scales));
    std::vector<uint8_t> zero_bytes(zeros.begin(), zeros.end());
    const DType dtype = is_u8 ? DType::kU8 : DType::kI8;
    const ValueId z = graph.add_constant(
        name("w.zero"), Tensor::copy(dtype, scale_dims, zero_bytes.data(), zero_bytes.size()));
    const ValueId q =
        graph.add_constant(name("w.levels"), Tensor::copy(dtype, dims, levels.data(), levels.size()));
    return add(OpType::kDequantizeLinear, QuantizeAttrs{static_cast<int64_t>(axis), dtype}, {q, s, z});
  }

  ValueId bias(int64_t oc, BiasForm form) {
    if (form == BiasForm::kNone) return kNoValue;
    if (form == BiasForm::kFloat) return graph.add_constant(name("b"), random({oc}, 0.3f));
    std::vector<int32_t> levels(static_cast<size_t>(oc));
    for (int32_t& level : levels) level = static_cast<int32_t>(uniform_.between(-3000, 3000));
    const ValueId scale = graph.add_constant(name("b.scale"), Tensor::scalar(1e-4f));
    const ValueId q = graph.add_constant(name("b.levels"), Tensor::of({oc}, levels));
    return add(OpType::kDequantizeLinear, QuantizeAttrs{0, DType::kI32}, {q, scale});
  }

  struct QConvOptions {
    int64_t kernel = 1, stride = 1, pad = 0, group = 1, dilation = 1;
    WeightForm weights = WeightForm::kPerChannelS8;
    BiasForm bias = BiasForm::kS32;
    ActKind act = ActKind::kNone;  ///< a node of its own
  };
  /// The float result of a convolution with quantized weights.
  ValueId qconv(ValueId x, int64_t ic, int64_t oc, const QConvOptions& o) {
    const float most = 2.5f / std::sqrt(static_cast<float>(ic / o.group * o.kernel * o.kernel));
    const ValueId w = weights({oc, ic / o.group, o.kernel, o.kernel}, o.weights, most);
    ConvAttrs attrs;
    attrs.window = {
        {o.kernel, o.kernel}, {o.stride, o.stride}, {o.dilation, o.dilation}, {o.pad, o.pad}, {o.pad, o.pad}};
    attrs.group = o.group;
    std::vector<ValueId> inputs{x, w};
    if (const ValueId b = bias(oc, o.bias); b != kNoValue) inputs.push_back(b);
    return activate(add(OpType::kConv, attrs, std::move(inputs)), o.act);
  }
  ValueId activate(ValueId x, ActKind act) {
    switch (act) {
      case ActKind::kRelu:
        return add(OpType::kRelu, NoAttrs{}, {x});
      case ActKind::kLeakyRelu:
        return add(OpType::kLeakyRelu, LeakyReluAttrs{0.1f}, {x});
      case ActKind::kClip:
        return add(OpType::kClip, ClipAttrs{-0.4f, 0.7f}, {x});
      case ActKind::kNone:
        break;
    }
    return x;
  }
  /// A Gemm with a transposed weight [classes, k], or a MatMul with [k, classes] and no bias.
  ValueId qgemm(ValueId x, int64_t k, int64_t classes, bool matmul = false) {
    const float most = 2.5f / std::sqrt(static_cast<float>(k));
    if (matmul) {
      return add(OpType::kMatMul, NoAttrs{},
                 {x, weights({k, classes}, WeightForm::kPerChannelS8, most, true)});
    }
    GemmAttrs attrs;
    attrs.trans_b = true;
    return add(OpType::kGemm, attrs,
               {x, weights({classes, k}, WeightForm::kPerChannelS8, most), bias(classes, BiasForm::kS32)});
  }

 private:
  ValueId zero_of(const Quant& q) {
    if (q.dtype == DType::kU8)
      return graph.add_constant(name("zero"), Tensor::scalar(static_cast<uint8_t>(q.zero)));
    return graph.add_constant(name("zero"), Tensor::scalar(static_cast<int8_t>(q.zero)));
  }
  static int zero_of(WeightForm form) {
    switch (form) {
      case WeightForm::kCentredU8:
        return 128;
      case WeightForm::kShiftedU8:
        return 101;
      case WeightForm::kShiftedS8:
        return 9;
      case WeightForm::kWideU8:
        return 3;
      default:
        return 0;
    }
  }
  std::string name(const char* what) { return std::string(what) + std::to_string(++names_); }

  int names_ = 0;
};

}  // namespace xdn::testing
