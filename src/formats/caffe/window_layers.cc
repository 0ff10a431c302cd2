#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/caffe/layer_builder.h"

namespace xdn {
namespace {

// Far above any real window; keeps every product of two of them within 64 bits.
constexpr uint32_t kMaxWindowParameter = 1u << 20;

int64_t checked(uint32_t value, const char* field, uint32_t least) {
  if (value < least || value > kMaxWindowParameter) {
    throw input_error(std::string(field) + " is " + std::to_string(value) + ", expected " +
                      std::to_string(least) + " to " + std::to_string(kMaxWindowParameter));
  }
  return value;
}

/// One extent per spatial axis from a repeated field (none, one for all, or one each), or from its _h and _w.
struct WindowField {
  const char* name;
  const google::protobuf::RepeatedField<uint32_t>& values;
  bool has_h, has_w;
  uint32_t h, w;
  /// Where the file says nothing; negative: it must say something. A lone _h or _w leaves 0 for the other,
  /// which only a pad can be.
  int64_t fallback;
  uint32_t least;
};

Dims spatial_extents(const WindowField& field, size_t axes) {
  if (field.has_h || field.has_w) {
    if (axes != 2) throw input_error(std::string(field.name) + "_h and _w fit two spatial axes only");
    if (!field.values.empty()) {
      throw input_error(std::string("has both ") + field.name + " and its _h or _w, expected one of them");
    }
    if (!(field.has_h && field.has_w) && field.fallback != 0) {
      throw input_error(std::string(field.name) + " needs both _h and _w");
    }
    return {field.has_h ? checked(field.h, field.name, field.least) : field.fallback,
            field.has_w ? checked(field.w, field.name, field.least) : field.fallback};
  }
  if (field.values.empty()) {
    if (field.fallback < 0) throw input_error(std::string("has no ") + field.name);
    return Dims(axes, field.fallback);
  }
  const auto count = static_cast<size_t>(field.values.size());
  if (count != 1 && count != axes) {
    throw input_error(std::string("has ") + std::to_string(count) + " values of " + field.name +
                      ", expected 1 or " + std::to_string(axes));
  }
  Dims out;
  for (size_t i = 0; i < axes; ++i) {
    out.push_back(checked(field.values.Get(count == 1 ? 0 : static_cast<int>(i)), field.name, field.least));
  }
  return out;
}

Window convolution_window(const caffe::ConvolutionParameter& param, size_t axes) {
  Window window;
  window.kernel = spatial_extents({"kernel_size", param.kernel_size(), param.has_kernel_h(),
                                   param.has_kernel_w(), param.kernel_h(), param.kernel_w(), -1, 1},
                                  axes);
  window.strides = spatial_extents({"stride", param.stride(), param.has_stride_h(), param.has_stride_w(),
                                    param.stride_h(), param.stride_w(), 1, 1},
                                   axes);
  window.pads_begin = spatial_extents(
      {"pad", param.pad(), param.has_pad_h(), param.has_pad_w(), param.pad_h(), param.pad_w(), 0, 0}, axes);
  window.pads_end = window.pads_begin;
  window.dilations = spatial_extents({"dilation", param.dilation(), false, false, 0, 0, 1, 1}, axes);
  return window;
}

/// Cambricon's first convolution takes bytes and normalises them: (x - mean_value) * std. The vendor's Caffe
/// says no more; assumed is what training did, that the image is normalised and then padded with zeros, so
/// that a border is 0 and not (0 - mean_value) * std. The blob has the order of the weights and of
/// mean_value, which is BGR; input_format tells how the pixels lie in the chip's memory, a fourth byte among
/// them that no layer sees.
ValueId normalise_bytes(LayerBuilder& builder, ValueId x, int64_t channels, size_t axes) {
  const auto& param = builder.layer.convolution_param();
  if (param.mean_value_size() > 0 || param.has_std()) builder.needs("normalise");
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::all_of(param.mean_value().begin(), param.mean_value().end(), finite) || !finite(param.std()))
    throw input_error("mean_value and std must be finite");
  if (param.has_mean_file()) throw input_error("mean_file is not supported, expected mean_value");
  if (param.mean_value_size() > 0) {
    if (param.mean_value_size() != 1 && param.mean_value_size() != channels) {
      throw input_error("has " + std::to_string(param.mean_value_size()) +
                        " values of mean_value, expected 1 or " + std::to_string(channels));
    }
    const std::vector<float> mean(param.mean_value().begin(), param.mean_value().end());
    Dims dims(axes + 1, 1);
    dims[0] = static_cast<int64_t>(mean.size());
    x = builder.emit(OpType::kSub, NoAttrs{}, {x, builder.constant("mean_value", Tensor::of(dims, mean))},
                     "mean");
  }
  if (param.has_std() && param.std() != 1.0F) {
    x = builder.emit(OpType::kMul, NoAttrs{}, {x, builder.scalar("std_value", param.std())}, "std");
  }
  return x;
}

/// A window that overhangs the padded input by less than a stride gives one output when extents are rounded
/// up; cut it to what it can reach.
void cut_overhang(Window& window, const Dims& shape) {
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const int64_t padded = shape[i + 2] + window.pads_begin[i] + window.pads_end[i];
    const int64_t overhang = window.kernel[i] - padded;
    if (overhang > 0 && overhang < window.strides[i]) window.kernel[i] = padded;
  }
}

Window pooling_window(const caffe::PoolingParameter& param) {
  google::protobuf::RepeatedField<uint32_t> kernel, stride, pad;
  if (param.has_kernel_size()) kernel.Add(param.kernel_size());
  if (param.has_stride()) stride.Add(param.stride());
  if (param.has_pad()) pad.Add(param.pad());
  Window window;
  window.kernel = spatial_extents({"kernel_size", kernel, param.has_kernel_h(), param.has_kernel_w(),
                                   param.kernel_h(), param.kernel_w(), -1, 1},
                                  2);
  window.strides = spatial_extents({"stride", stride, param.has_stride_h(), param.has_stride_w(),
                                    param.stride_h(), param.stride_w(), 1, 1},
                                   2);
  window.pads_begin = spatial_extents(
      {"pad", pad, param.has_pad_h(), param.has_pad_w(), param.pad_h(), param.pad_w(), 0, 0}, 2);
  window.pads_end = window.pads_begin;
  window.dilations = {1, 1};
  for (size_t i = 0; i < 2; ++i) {
    if (window.pads_begin[i] >= window.kernel[i]) {
      throw input_error("pad " + std::to_string(window.pads_begin[i]) + " is not smaller than the kernel " +
                        std::to_string(window.kernel[i]));
    }
  }
  return window;
}

void expect_image(const Dims& shape) {
  if (shape.size() != 4) throw input_error("bottom has shape " + to_string(shape) + ", expected four axes");
}

}  // namespace

void convert_convolution(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto& param = builder.layer.convolution_param();
  const Dims in = builder.shape(builder.bottom(0));
  if (in.size() < 3) throw input_error("bottom has shape " + to_string(in) + ", expected spatial axes");
  if (builder.axis(param.axis(), in.size()) != 1) throw input_error("axis other than 1 is not supported");
  const size_t axes = in.size() - 2;
  ConvAttrs attrs;
  attrs.window = convolution_window(param, axes);
  attrs.group = checked(param.group(), "group", 1);
  const int64_t oc = checked(param.num_output(), "num_output", 1), ic = in[1];
  if (oc % attrs.group != 0 || ic % attrs.group != 0) {
    throw input_error("group " + std::to_string(attrs.group) + " does not divide the channels (" +
                      std::to_string(ic) + " in, " + std::to_string(oc) + " out)");
  }
  Dims weight{oc, ic / attrs.group};
  weight.insert(weight.end(), attrs.window.kernel.begin(), attrs.window.kernel.end());
  std::vector<Dims> expected{std::move(weight)};
  if (param.bias_term()) expected.push_back({oc});
  std::vector<Tensor> blobs = builder.weights(expected);

  std::vector<ValueId> inputs{normalise_bytes(builder, builder.bottom(0), ic, axes)};
  inputs.push_back(builder.constant("weight", std::move(blobs[0])));
  if (param.bias_term()) inputs.push_back(builder.constant("bias", std::move(blobs[1])));
  builder.emit_top(OpType::kConv, std::move(attrs), std::move(inputs));
}

void convert_pooling(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto& param = builder.layer.pooling_param();
  const Dims in = builder.shape(builder.bottom(0));
  expect_image(in);
  const bool average = param.pool() == caffe::PoolingParameter::AVE;
  if (!average && param.pool() != caffe::PoolingParameter::MAX)
    throw input_error("stochastic pooling is not supported");
  PoolAttrs attrs;
  if (param.global_pooling()) {
    if (param.has_kernel_size() || param.has_kernel_h() || param.has_kernel_w()) {
      throw input_error("has both global_pooling and a kernel size, expected one of them");
    }
    if (param.pad() != 0 || param.pad_h() != 0 || param.pad_w() != 0) {
      throw input_error("has both global_pooling and pad, expected one of them");
    }
    if (average) {
      builder.emit_top(OpType::kGlobalAveragePool, NoAttrs{}, {builder.bottom(0)});
      return;
    }
    attrs.window = {{in[2], in[3]}, {1, 1}, {1, 1}, {0, 0}, {0, 0}};
  } else {
    attrs.window = pooling_window(param);
    attrs.ceil_mode = param.round_mode() == caffe::PoolingParameter::CEIL;
    if (attrs.ceil_mode) cut_overhang(attrs.window, in);
    if (!attrs.ceil_mode) builder.needs("round_mode");
  }
  // Caffe divides by the window's area clipped to the padded input.
  attrs.count_include_pad = average;
  builder.emit_top(average ? OpType::kAveragePool : OpType::kMaxPool, std::move(attrs), {builder.bottom(0)});
}

void convert_lrn(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto& param = builder.layer.lrn_param();
  expect_image(builder.shape(builder.bottom(0)));
  LrnAttrs attrs;
  attrs.size = checked(param.local_size(), "local_size", 1);
  if (attrs.size % 2 == 0)
    throw input_error("local_size is " + std::to_string(attrs.size) + ", expected an odd one");
  attrs.alpha = param.alpha();
  attrs.beta = param.beta();
  attrs.within_channel = param.norm_region() == caffe::LRNParameter::WITHIN_CHANNEL;
  // Caffe knows k across channels only; within a channel it is always 1.
  attrs.bias = attrs.within_channel ? 1.0F : param.k();
  if (!std::isfinite(attrs.alpha) || !std::isfinite(attrs.beta) || !std::isfinite(attrs.bias)) {
    throw input_error("alpha, beta and k must be finite");
  }
  builder.emit_top(OpType::kLrn, attrs, {builder.bottom(0)});
}

}  // namespace xdn
