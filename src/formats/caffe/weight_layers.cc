#include <cmath>

#include "base/error.h"
#include "formats/caffe/layer_builder.h"

namespace xdn {
namespace {

Tensor transposed(const Tensor& matrix) {
  const auto rows = static_cast<size_t>(matrix.dim(0)), columns = static_cast<size_t>(matrix.dim(1));
  Tensor out(DType::kF32, {matrix.dim(1), matrix.dim(0)});
  const auto src = matrix.data<float>();
  const auto dst = out.mutable_data<float>();
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) dst[j * rows + i] = src[i * columns + j];
  }
  return out;
}

Tensor filled(int64_t count, float value) {
  return Tensor::of(Dims{count}, std::vector<float>(static_cast<size_t>(count), value));
}

/// The axes [first, last) of x over which a Scale or Bias blob spans.
struct Span {
  size_t first, last;
};

Span blob_span(const LayerBuilder& builder, int axis_value, int num_axes, const Dims& x) {
  const auto first = static_cast<size_t>(builder.axis(axis_value, x.size(), "axis", num_axes == 0));
  if (num_axes < -1) throw input_error("num_axes is " + std::to_string(num_axes) + ", expected -1 or more");
  const size_t last = num_axes == -1 ? x.size() : first + static_cast<size_t>(num_axes);
  if (last > x.size()) {
    throw input_error("axis and num_axes reach axis " + std::to_string(last) + " of a blob of " +
                      std::to_string(x.size()) + " axes");
  }
  if (first == 0 && last > first) throw input_error("weights over the batch axis are not supported");
  return {first, last};
}

Dims blob_dims(const Dims& x, Span span) {
  return Dims(x.begin() + static_cast<std::ptrdiff_t>(span.first),
              x.begin() + static_cast<std::ptrdiff_t>(span.last));
}

/// The blob's extents followed by 1 up to the end of x, so that numpy's rule aligns them.
Dims broadcast_dims(const Dims& x, Span span) {
  Dims out = blob_dims(x, span);
  if (!out.empty()) out.resize(x.size() - span.first, 1);
  return out;
}

/// The second bottom, its extents those of x from `axis` on, with 1 appended until numpy's rule aligns them.
ValueId aligned_operand(LayerBuilder& builder, int axis_value) {
  const Dims x = builder.shape(builder.bottom(0)), y = builder.shape(builder.bottom(1));
  const auto first = static_cast<size_t>(builder.axis(axis_value, x.size(), "axis", y.empty()));
  const auto mismatch = [&] {
    return input_error("bottoms of shapes " + to_string(x) + " and " + to_string(y) +
                       " do not match from axis " + std::to_string(first));
  };
  if (first + y.size() > x.size()) throw mismatch();
  for (size_t i = 0; i < y.size(); ++i) {
    if (y[i] != x[first + i]) throw mismatch();
  }
  if (first + y.size() == x.size()) return builder.bottom(1);
  Dims shape = y;
  shape.resize(x.size() - first, 1);
  return builder.emit(OpType::kReshape, ReshapeAttrs{shape}, {builder.bottom(1)}, "align");
}

}  // namespace

void convert_inner_product(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto& param = builder.layer.inner_product_param();
  const Dims in = builder.shape(builder.bottom(0));
  const auto axis = static_cast<size_t>(builder.axis_within_image(param.axis(), in.size()));
  const int64_t k = extent_product(in, axis, in.size()), n = param.num_output();
  if (n == 0) throw input_error("num_output is 0, expected at least 1");
  std::vector<Dims> expected{param.transpose() ? Dims{k, n} : Dims{n, k}};
  if (param.bias_term()) expected.push_back({n});
  std::vector<Tensor> blobs = builder.weights(expected);

  ValueId x = builder.bottom(0);
  if (axis == 1) {
    if (in.size() != 2) x = builder.emit(OpType::kFlatten, FlattenAttrs{1}, {x}, "flatten");
    GemmAttrs attrs;
    attrs.trans_b = !param.transpose();
    std::vector<ValueId> inputs{x, builder.constant("weight", std::move(blobs[0]))};
    if (param.bias_term()) inputs.push_back(builder.constant("bias", std::move(blobs[1])));
    builder.emit_top(OpType::kGemm, attrs, std::move(inputs));
    return;
  }
  if (axis + 1 != in.size()) {
    Dims flat(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(axis));
    flat.push_back(k);
    x = builder.emit(OpType::kReshape, ReshapeAttrs{std::move(flat)}, {x}, "flatten");
  }
  const ValueId weight = builder.constant("weight", param.transpose() ? blobs[0] : transposed(blobs[0]));
  if (!param.bias_term()) {
    builder.emit_top(OpType::kMatMul, NoAttrs{}, {x, weight});
    return;
  }
  const ValueId product = builder.emit(OpType::kMatMul, NoAttrs{}, {x, weight}, "");
  builder.emit_top(OpType::kAdd, NoAttrs{}, {product, builder.constant("bias", std::move(blobs[1]))}, "bias");
}

void convert_batch_norm(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto& param = builder.layer.batch_norm_param();
  const Dims in = builder.shape(builder.bottom(0));
  if (in.size() < 2) throw input_error("bottom has shape " + to_string(in) + ", expected channels");
  if (!(param.eps() >= 0.0F) || !std::isfinite(param.eps())) throw input_error("eps must not be negative");
  // use_global_stats: false would ask for the statistics of the batch, which only training wants.
  const int64_t c = in[1];
  std::vector<Dims> expected{{c}, {c}};
  // The third blob may be absent; then the statistics are final.
  if (builder.blob_count() != 2) expected.push_back({1});
  std::vector<Tensor> blobs = builder.weights(expected);
  if (blobs.size() == 3) {
    // mean and variance are sums over what the factor counts; a factor of 0 means that nothing was counted.
    const double factor = blobs[2].as_double(0);
    for (size_t i = 0; i < 2 && factor != 1.0; ++i) {
      for (float& value : blobs[i].mutable_data<float>()) {
        value = factor == 0.0 ? 0.0F : static_cast<float>(static_cast<double>(value) / factor);
      }
    }
  }
  const ValueId scale = builder.constant("scale", filled(c, 1.0F));
  const ValueId bias = builder.constant("bias", filled(c, 0.0F));
  const ValueId mean = builder.constant("mean", std::move(blobs[0]));
  const ValueId variance = builder.constant("variance", std::move(blobs[1]));
  builder.emit_top(OpType::kBatchNorm, BatchNormAttrs{param.eps()},
                   {builder.bottom(0), scale, bias, mean, variance});
}

void convert_scale(LayerBuilder& builder) {
  builder.expect(1, 2);
  const auto& param = builder.layer.scale_param();
  const Dims x = builder.shape(builder.bottom(0));
  ValueId factor = kNoValue;
  std::vector<Tensor> blobs;
  Dims bias_dims;
  if (builder.bottom_count() == 1) {
    const Span span = blob_span(builder, param.axis(), param.num_axes(), x);
    std::vector<Dims> expected(param.bias_term() ? 2 : 1, blob_dims(x, span));
    blobs = builder.weights(expected);
    bias_dims = broadcast_dims(x, span);
    factor = builder.constant("scale", blobs[0].reshaped(bias_dims));
  } else {
    factor = aligned_operand(builder, param.axis());
    if (param.bias_term()) {
      const auto axes = static_cast<int>(builder.shape(builder.bottom(1)).size());
      const Span span = blob_span(builder, param.axis(), axes, x);
      blobs = builder.weights({blob_dims(x, span)});
      bias_dims = broadcast_dims(x, span);
    }
  }
  if (!param.bias_term()) {
    builder.emit_top(OpType::kMul, NoAttrs{}, {builder.bottom(0), factor});
    return;
  }
  const ValueId scaled = builder.emit(OpType::kMul, NoAttrs{}, {builder.bottom(0), factor}, "");
  const ValueId bias = builder.constant("bias", blobs.back().reshaped(bias_dims));
  builder.emit_top(OpType::kAdd, NoAttrs{}, {scaled, bias}, "bias");
}

void convert_bias(LayerBuilder& builder) {
  builder.expect(1, 2);
  builder.needs("bias");
  const auto& param = builder.layer.bias_param();
  ValueId bias = kNoValue;
  if (builder.bottom_count() == 1) {
    const Dims x = builder.shape(builder.bottom(0));
    const Span span = blob_span(builder, param.axis(), param.num_axes(), x);
    bias =
        builder.constant("bias", builder.weights({blob_dims(x, span)})[0].reshaped(broadcast_dims(x, span)));
  } else {
    bias = aligned_operand(builder, param.axis());
  }
  builder.emit_top(OpType::kAdd, NoAttrs{}, {builder.bottom(0), bias});
}

void convert_prelu(LayerBuilder& builder) {
  builder.expect(1, 1);
  const Dims x = builder.shape(builder.bottom(0));
  if (x.size() < 2) throw input_error("bottom has shape " + to_string(x) + ", expected channels");
  const bool shared = builder.layer.prelu_param().channel_shared();
  const Dims slope{shared ? 1 : x[1]};
  Dims broadcast(x.size() - 1, 1);
  broadcast[0] = slope[0];
  const Tensor blob = builder.weights({slope})[0].reshaped(broadcast);
  builder.emit_top(OpType::kPRelu, NoAttrs{}, {builder.bottom(0), builder.constant("slope", blob)});
}

}  // namespace xdn
