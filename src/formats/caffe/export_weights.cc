#include <algorithm>
#include <optional>

#include "formats/caffe/exporter.h"
#include "graph/window.h"

namespace xdn {
namespace {

/// Floats times a factor, rounded once.
Tensor times(const Tensor& tensor, float factor) {
  if (factor == 1) return tensor;
  Tensor out = tensor;
  for (float& value : out.mutable_data<float>()) {
    value = static_cast<float>(static_cast<double>(value) * static_cast<double>(factor));
  }
  return out;
}

/// The addend of a matrix product as one number per column; nothing where it differs from row to row.
std::optional<Tensor> column_bias(const Tensor& tensor, int64_t columns) {
  if (tensor.size() == 1) {
    return Tensor::of(Dims{columns},
                      std::vector<float>(static_cast<size_t>(columns), tensor.data<float>()[0]));
  }
  if (tensor.size() != columns || tensor.dims().back() != columns) return std::nullopt;
  return tensor.reshaped({columns});
}

/// weight [out, in, kernel...] with zeros put before and after the taps of every spatial axis.
Tensor with_zero_taps(const Tensor& weight, const Dims& before, const Dims& after) {
  Dims dims = weight.dims();
  for (size_t i = 0; i < before.size(); ++i) dims[i + 2] += before[i] + after[i];
  Tensor out(DType::kF32, dims);
  const auto src = weight.data<float>();
  const auto dst = out.mutable_data<float>();
  for (size_t i = 0; i < src.size(); ++i) {
    size_t rest = i, to = 0, step = 1;
    for (size_t axis = dims.size(); axis-- > 0;) {
      const auto extent = static_cast<size_t>(weight.dim(axis));
      const size_t shift = axis < 2 ? 0 : static_cast<size_t>(before[axis - 2]);
      to += (rest % extent + shift) * step;
      rest /= extent;
      step *= static_cast<size_t>(dims[axis]);
    }
    dst[to] = src[i];
  }
  return out;
}

/// Caffe pads both ends alike. Padding behind the last window does not matter; elsewhere taps of zero weight
/// make up for the difference.
void make_pads_equal(Window& window, Tensor& weight, const Dims& in) {
  Dims before, after;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    int64_t &begin = window.pads_begin[i], &end = window.pads_end[i];
    const auto extent = [&](int64_t pads_end) {
      return conv_output_extent(in[i + 2], window.kernel[i], window.strides[i], window.dilations[i], begin,
                                pads_end);
    };
    if (extent(end) == extent(begin)) end = begin;
    const int64_t most = std::max(begin, end), dilation = window.dilations[i];
    if ((most - begin) % dilation != 0 || (most - end) % dilation != 0) {
      throw input_error("pads " + std::to_string(begin) + " and " + std::to_string(end) + " with dilation " +
                        std::to_string(dilation) + ", Caffe pads both ends alike");
    }
    before.push_back((most - begin) / dilation);
    after.push_back((most - end) / dilation);
    begin = end = most;
    window.kernel[i] += before.back() + after.back();
  }
  if (Dims(weight.dims().begin() + 2, weight.dims().end()) != window.kernel)
    weight = with_zero_taps(weight, before, after);
}

bool all_equal(const Dims& list) {
  return std::adjacent_find(list.begin(), list.end(), std::not_equal_to<>()) == list.end();
}

void set_window(caffe::ConvolutionParameter& param, const Window& window) {
  const auto put = [](const Dims& list, int64_t fallback, auto add, auto set_h, auto set_w) {
    if (all_equal(list)) {
      if (list[0] != fallback) add(static_cast<uint32_t>(list[0]));
    } else if (list.size() == 2) {
      set_h(static_cast<uint32_t>(list[0]));
      set_w(static_cast<uint32_t>(list[1]));
    } else {
      for (const int64_t value : list) add(static_cast<uint32_t>(value));
    }
  };
  using U = uint32_t;
  put(
      window.pads_begin, 0, [&](U v) { param.add_pad(v); }, [&](U v) { param.set_pad_h(v); },
      [&](U v) { param.set_pad_w(v); });
  put(
      window.kernel, 0, [&](U v) { param.add_kernel_size(v); }, [&](U v) { param.set_kernel_h(v); },
      [&](U v) { param.set_kernel_w(v); });
  put(
      window.strides, 0, [&](U v) { param.add_stride(v); }, [&](U v) { param.set_stride_h(v); },
      [&](U v) { param.set_stride_w(v); });
  const auto add_dilation = [&](U v) { param.add_dilation(v); };
  if (all_equal(window.dilations)) {
    if (window.dilations[0] != 1) add_dilation(static_cast<U>(window.dilations[0]));
  } else {
    for (const int64_t value : window.dilations) add_dilation(static_cast<U>(value));
  }
}

/// Takes in the (x - mean) * std that importing made of Cambricon's parameters, or that MluLayer asks for;
/// returns what it normalises. A step that others read too stays a layer, and so does what is before it.
ValueId take_normalisation(CaffeExport& out, const Node& conv, caffe::ConvolutionParameter& param) {
  ValueId from = conv.inputs[0];
  const bool bytes = out.mlu(conv) != nullptr && out.mlu(conv)->bytes;
  if (!bytes && !out.has_feature("normalise")) return from;
  const Normalisation found = find_normalisation(out.graph, conv);
  const auto take = [&](const Node* step) {
    if (step == nullptr || out.sole_producer(from) != step) return false;
    out.absorb(*step);
    from = step->inputs[0];
    return true;
  };
  const auto operand = [&](const Node* step) { return out.graph.constant(step->inputs[1]).data<float>(); };
  if (take(found.std)) param.set_std(operand(found.std)[0]);
  if (take(found.mean)) {
    for (const float value : operand(found.mean)) param.add_mean_value(value);
  }
  if (bytes) {
    if (param.mean_value_size() == 0) {
      throw input_error("is to read bytes, but nothing of its own before it subtracts their mean");
    }
    // Where the file that the graph comes from named a format, PreservedFields puts that in its place.
    if (out.shape(from).at(1) == 3) param.set_input_format(caffe::ConvolutionParameter::BGR);
  }
  return from;
}

/// `named` gives the layer its name, `product` is the node that multiplies.
void export_inner_product(CaffeExport& out, const Node& named, const Node& product, ValueId x, int64_t axis,
                          Tensor weight, std::optional<Tensor> bias, const std::string& top) {
  CaffeLayer& layer = out.add("InnerProduct", out.layer_name(named), {out.blob(x)}, {top});
  auto& param = *layer.proto.mutable_inner_product_param();
  param.set_num_output(static_cast<uint32_t>(weight.dim(0)));
  if (!bias) param.set_bias_term(false);
  if (axis != 1) param.set_axis(static_cast<int>(axis));
  add_mlu_fields(out, product, layer.proto);
  layer.blobs.push_back(std::move(weight));
  if (bias) layer.blobs.push_back(std::move(*bias));
}

bool is_all(const Tensor& tensor, float value) {
  const auto data = tensor.data<float>();
  return std::all_of(data.begin(), data.end(), [&](float each) { return each == value; });
}

}  // namespace

Tensor transposed(const Tensor& matrix) {
  const auto rows = static_cast<size_t>(matrix.dim(0)), columns = static_cast<size_t>(matrix.dim(1));
  Tensor out = Tensor::uninitialized(DType::kF32, {matrix.dim(1), matrix.dim(0)});
  const auto src = matrix.data<float>();
  const auto dst = out.mutable_data<float>();
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) dst[j * rows + i] = src[i * columns + j];
  }
  return out;
}

void export_convolution(CaffeExport& out, const Node& node) {
  const auto& attrs = node.as<ConvAttrs>();
  Tensor weight = out.constant(node.inputs[1], "weights");
  std::optional<Tensor> bias;
  if (node.input(2) != kNoValue) bias = out.constant(node.inputs[2], "bias");
  Window window = attrs.window;
  make_pads_equal(window, weight, out.shape(node.inputs[0]));

  const ValueId residual = node.input(3);
  if (out.graph.is_constant(node.inputs[0]) || (residual != kNoValue && out.graph.is_constant(residual)))
    throw not_in_caffe(node, "it reads a constant");
  const std::string top = out.blob(node.output);
  const std::string own_top = residual == kNoValue ? top : out.fresh_blob(top + "/conv");
  caffe::ConvolutionParameter param;
  param.set_num_output(static_cast<uint32_t>(weight.dim(0)));
  if (!bias) param.set_bias_term(false);
  set_window(param, window);
  if (attrs.group != 1) param.set_group(static_cast<uint32_t>(attrs.group));
  const ValueId x = take_normalisation(out, node, param);
  CaffeLayer& layer = out.add("Convolution", out.layer_name(node), {out.blob(x)}, {own_top});
  *layer.proto.mutable_convolution_param() = std::move(param);
  add_mlu_fields(out, node, layer.proto);
  layer.blobs.push_back(std::move(weight));
  if (bias) layer.blobs.push_back(std::move(*bias));
  if (residual != kNoValue) {
    out.add("Eltwise", out.layer_name(node, "sum"), {own_top, out.blob(residual)}, {top});
  }
  out.add_activation(node, attrs.act, top);
}

void add_selection(CaffeExport& out, const std::string& name, const std::string& bottom,
                   const std::string& top, const Dims& x, const Selection& selection) {
  const int64_t channels = x[1], before = selection.channels_before,
                made = before + channels + selection.channels_after;
  const bool depthwise = made == channels;
  Dims dims{made, depthwise ? 1 : channels};
  dims.resize(x.size(), 1);
  Tensor weight(DType::kF32, dims);
  const auto data = weight.mutable_data<float>();
  for (int64_t c = 0; c < channels; ++c)
    data[static_cast<size_t>(depthwise ? c : (before + c) * channels + c)] = 1;
  const Dims ones(x.size() - 2, 1);
  Window window{ones, selection.strides, ones, selection.pads_begin, selection.pads_end};
  make_pads_equal(window, weight, x);
  CaffeLayer& layer = out.add("Convolution", name, {bottom}, {top});
  auto& param = *layer.proto.mutable_convolution_param();
  param.set_num_output(static_cast<uint32_t>(made));
  param.set_bias_term(false);
  set_window(param, window);
  if (depthwise) param.set_group(static_cast<uint32_t>(channels));
  layer.blobs.push_back(std::move(weight));
}

void export_gemm(CaffeExport& out, const Node& node) {
  const auto& attrs = node.as<GemmAttrs>();
  if (attrs.trans_a) throw not_in_caffe(node, "it transposes its input");
  if (out.graph.is_constant(node.inputs[0])) throw not_in_caffe(node, "it reads a constant");
  Tensor weight = times(out.constant(node.inputs[1], "weights"), attrs.alpha);
  if (!attrs.trans_b) weight = transposed(weight);
  std::optional<Tensor> bias;
  if (node.input(2) != kNoValue && attrs.beta != 0) {
    bias = column_bias(times(out.constant(node.inputs[2], "bias"), attrs.beta), weight.dim(0));
    if (!bias) throw not_in_caffe(node, "its bias differs from row to row");
  }
  // InnerProduct flattens by itself; importing made that a node.
  ValueId x = node.inputs[0];
  const Node* flatten = out.sole_producer(x);
  if (flatten != nullptr && flatten->type == OpType::kFlatten && flatten->as<FlattenAttrs>().axis == 1 &&
      flatten->name == layer_name(out.graph, node) + "/flatten") {
    out.absorb(*flatten);
    x = flatten->inputs[0];
  }
  const std::string top = out.blob(node.output);
  export_inner_product(out, node, node, x, 1, std::move(weight), std::move(bias), top);
  out.add_activation(node, attrs.act, top);
}

namespace {

void export_product(CaffeExport& out, const Node& node, const Node& named, std::optional<Tensor> bias,
                    const std::string& top) {
  const ValueId x = node.inputs[0];
  if (out.graph.is_constant(x) || out.shape(x).size() < 2) throw not_in_caffe(node, "its input has no batch");
  const Tensor& matrix = out.constant(node.inputs[1], "second operand");
  if (matrix.rank() != 2) throw not_in_caffe(node, "the second operand is no matrix");
  export_inner_product(out, named, node, x, static_cast<int64_t>(out.shape(x).size()) - 1, transposed(matrix),
                       std::move(bias), top);
}

}  // namespace

void export_matmul(CaffeExport& out, const Node& node) {
  export_product(out, node, node, std::nullopt, out.blob(node.output));
}

bool export_biased_matmul(CaffeExport& out, const Node& node) {
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const ValueId addend = node.inputs[1 - i];
    if (!out.graph.is_constant(addend) || out.graph.is_constant(node.inputs[i])) continue;
    const Node* product = out.sole_producer(node.inputs[i]);
    if (product == nullptr || product->type != OpType::kMatMul || !out.graph.is_constant(product->inputs[1]))
      return false;
    const Tensor &matrix = out.graph.constant(product->inputs[1]), &c = out.graph.constant(addend);
    if (matrix.rank() != 2 || c.dtype() != DType::kF32 || out.shape(node.inputs[i]) != out.shape(node.output))
      return false;
    auto bias = column_bias(c, matrix.dim(1));
    if (!bias) return false;
    out.absorb(*product);
    Node named = node;
    named.name = shared_layer_name(product->name, node.name);
    export_product(out, *product, named, std::move(bias), out.blob(node.output));
    return true;
  }
  return false;
}

void export_batch_norm(CaffeExport& out, const Node& node) {
  const Tensor& scale = out.constant(node.inputs[1], "scale");
  const Tensor& bias = out.constant(node.inputs[2], "bias");
  const Tensor& mean = out.constant(node.inputs[3], "mean");
  const Tensor& variance = out.constant(node.inputs[4], "variance");
  const std::string bottom = out.blob_in_place(node.inputs[0], node.output), top = out.blob(node.output);
  CaffeLayer& layer = out.add("BatchNorm", out.layer_name(node), {bottom}, {top});
  auto& param = *layer.proto.mutable_batch_norm_param();
  param.set_use_global_stats(true);
  param.set_eps(node.as<BatchNormAttrs>().epsilon);
  layer.blobs = {mean, variance, Tensor::of(Dims{1}, std::vector<float>{1})};
  if (is_all(scale, 1) && is_all(bias, 0)) return;
  CaffeLayer& affine = out.add("Scale", out.layer_name(node, "scale"), {top}, {top});
  affine.proto.mutable_scale_param()->set_bias_term(true);
  affine.blobs = {scale, bias};
}

void export_prelu(CaffeExport& out, const Node& node) {
  const Tensor& slope = out.constant(node.inputs[1], "slope");
  const Dims& x = out.shape(node.inputs[0]);
  const bool shared = slope.size() == 1;
  // Per channel: the extents are [c, 1, ...], 1s before them allowed.
  Dims own = slope.dims();
  while (own.size() + 1 > x.size() && !own.empty() && own[0] == 1) own.erase(own.begin());
  const bool per_channel =
      x.size() >= 2 && own.size() + 1 == x.size() && own[0] == x[1] && slope.size() == x[1];
  if (!shared && !per_channel)
    throw not_in_caffe(node, "its slopes " + to_string(slope.dims()) + " are not per channel");
  CaffeLayer& layer = out.add("PReLU", out.layer_name(node), {out.blob_in_place(node.inputs[0], node.output)},
                              {out.blob(node.output)});
  if (shared) layer.proto.mutable_prelu_param()->set_channel_shared(true);
  layer.blobs.push_back(slope.reshaped({slope.size()}));
}

}  // namespace xdn
