#include <algorithm>

#include "formats/caffe/exporter.h"
#include "graph/window.h"

namespace xdn {
namespace {

/// One spatial axis of a pooling window, as the graph means it and as Caffe, padding both ends by pad, does.
struct Axis {
  int64_t in, out, kernel, stride, pad, pad_end;

  int64_t start(int64_t o) const { return o * stride - pad; }
};

/// The extent that Caffe gives a layer, which rounds up unless told. Where any axis has a pad, a last window
/// beyond the input and its pad is dropped.
int64_t caffe_extent(const Axis& a, bool round_up, bool any_pad) {
  const int64_t room = a.in + 2 * a.pad - a.kernel;
  int64_t out = (round_up ? ceil_div(room, a.stride) : floor_div(room, a.stride)) + 1;
  if (any_pad && (out - 1) * a.stride >= a.in + a.pad) --out;
  return out;
}

/// Whether Caffe divides every window's sum by what the graph says.
bool same_divisors(const Axis& a, bool count_include_pad) {
  for (int64_t o = 0; o < a.out; ++o) {
    // Between the first and last windows all lie inside.
    if (a.start(o) >= 0 && o + 1 < a.out && a.start(o) + a.kernel <= a.in) {
      const int64_t last_inside = std::min(a.out - 1, floor_div(a.in - a.kernel + a.pad, a.stride));
      if (last_inside > o) o = last_inside - 1;
      continue;
    }
    const int64_t begin = a.start(o), end = begin + a.kernel;
    const int64_t theirs = std::min(end, a.in + a.pad) - begin;
    const int64_t ours = count_include_pad ? std::min(end, a.in + a.pad_end) - begin
                                           : std::min(end, a.in) - std::max<int64_t>(begin, 0);
    if (ours != theirs) return false;
  }
  return true;
}

void set_pair(int64_t h, int64_t w, int64_t fallback, caffe::PoolingParameter& param,
              void (caffe::PoolingParameter::*both)(uint32_t),
              void (caffe::PoolingParameter::*set_h)(uint32_t),
              void (caffe::PoolingParameter::*set_w)(uint32_t)) {
  if (h == w) {
    if (h != fallback) (param.*both)(static_cast<uint32_t>(h));
    return;
  }
  (param.*set_h)(static_cast<uint32_t>(h));
  (param.*set_w)(static_cast<uint32_t>(w));
}

caffe::PoolingParameter pooling_parameter(bool average, const Axis& h, const Axis& w) {
  using P = caffe::PoolingParameter;
  P param;
  param.set_pool(average ? P::AVE : P::MAX);
  set_pair(h.pad, w.pad, 0, param, &P::set_pad, &P::set_pad_h, &P::set_pad_w);
  set_pair(h.kernel, w.kernel, 0, param, &P::set_kernel_size, &P::set_kernel_h, &P::set_kernel_w);
  set_pair(h.stride, w.stride, 0, param, &P::set_stride, &P::set_stride_h, &P::set_stride_w);
  return param;
}

struct Extents {
  int64_t h, w;
  bool operator==(const Extents&) const = default;
};

/// Layers that keep the first positions of a blob; Silence takes what is cut off.
void add_crop(CaffeExport& out, const Node& node, std::string from, const std::string& top, Extents whole,
              Extents kept) {
  std::vector<std::string> rests;
  const auto cut = [&](int axis, int64_t extent, bool last) {
    const std::string suffix = axis == 2 ? "rows" : "columns";
    const std::string to = last ? top : out.fresh_blob(top + "/" + suffix);
    rests.push_back(out.fresh_blob(top + "/" + suffix + "_beyond"));
    auto& param = *out.add("Slice", out.layer_name(node, suffix), {from}, {to, rests.back()})
                       .proto.mutable_slice_param();
    param.set_axis(axis);
    param.add_slice_point(static_cast<uint32_t>(extent));
    from = to;
  };
  if (whole.h > kept.h) cut(2, kept.h, whole.w == kept.w);
  if (whole.w > kept.w) cut(3, kept.w, true);
  out.add("Silence", out.layer_name(node, "silence"), rests, {});
}

void expect_image(const CaffeExport& out, const Node& node) {
  const Dims& x = out.shape(node.inputs[0]);
  if (x.size() != 4) throw not_in_caffe(node, "its input " + to_string(x) + " has not two spatial axes");
  if (out.graph.is_constant(node.inputs[0])) throw not_in_caffe(node, "it reads a constant");
}

void add_global_average(CaffeExport& out, const Node& node, const std::string& top) {
  auto& param = *out.add("Pooling", out.layer_name(node), {out.blob(node.inputs[0])}, {top})
                     .proto.mutable_pooling_param();
  param.set_pool(caffe::PoolingParameter::AVE);
  param.set_global_pooling(true);
}

}  // namespace

void export_pool(CaffeExport& out, const Node& node) {
  const auto& attrs = node.as<PoolAttrs>();
  const Window& window = attrs.window;
  const bool average = node.type == OpType::kAveragePool;
  expect_image(out, node);
  const Dims &x = out.shape(node.inputs[0]), &y = out.shape(node.output);
  const auto axis = [&](size_t i) {
    return Axis{x[i + 2],          y[i + 2], window.kernel[i], window.strides[i], window.pads_begin[i],
                window.pads_end[i]};
  };
  const Axis h = axis(0), w = axis(1);
  if (window.dilations != Dims{1, 1}) throw not_in_caffe(node, "its window is dilated");
  if (average && !(same_divisors(h, attrs.count_include_pad) && same_divisors(w, attrs.count_include_pad)))
    throw not_in_caffe(node, "Caffe's average counts the padding, both ends alike");

  const bool any_pad = h.pad > 0 || w.pad > 0;
  const auto fits = [&](bool round_up) {
    return caffe_extent(h, round_up, any_pad) == h.out && caffe_extent(w, round_up, any_pad) == w.out;
  };
  const bool told_to_floor = !fits(true) && out.has_feature("round_mode") && fits(false);
  const Extents kept{h.out, w.out},
      whole{caffe_extent(h, !told_to_floor, any_pad), caffe_extent(w, !told_to_floor, any_pad)};
  if (whole.h < kept.h || whole.w < kept.w) {
    throw not_in_caffe(node, "no padding that is alike at both ends gives the size " + to_string(y));
  }
  const std::string final_top = out.blob(node.output);
  std::string bottom = out.blob(node.inputs[0]), top = final_top;
  if (whole != kept && any_pad) top = out.fresh_blob(top + "/rounded_up");
  if (whole != kept && !any_pad) {
    // Without padding the input ends where the last window does; Caffe would not even drop a window that lies
    // wholly beyond it.
    const auto reach = [](const Axis& a, bool shorten) {
      return shorten ? (a.out - 1) * a.stride + a.kernel : a.in;
    };
    const std::string inside = out.fresh_blob(bottom + "/inside");
    add_crop(out, node, bottom, inside, {h.in, w.in},
             {reach(h, whole.h > kept.h), reach(w, whole.w > kept.w)});
    bottom = inside;
  }
  auto& layer = out.add("Pooling", out.layer_name(node), {bottom}, {top}).proto;
  *layer.mutable_pooling_param() = pooling_parameter(average, h, w);
  if (told_to_floor) layer.mutable_pooling_param()->set_round_mode(caffe::PoolingParameter::FLOOR);
  if (whole != kept && any_pad) add_crop(out, node, top, final_top, whole, kept);
}

void export_global_pool(CaffeExport& out, const Node& node) {
  expect_image(out, node);
  const std::string& top = out.blob(node.output);
  if (node.type == OpType::kGlobalAveragePool) return add_global_average(out, node, top);
  const auto& attrs = node.as<ReduceAttrs>();
  if (attrs.axes != Dims{2, 3}) throw not_in_caffe(node, "its mean is not over the two spatial axes");
  if (attrs.keepdims) return add_global_average(out, node, top);
  const std::string pooled = out.fresh_blob(top + "/mean");
  add_global_average(out, node, pooled);
  out.add("Flatten", out.layer_name(node, "flatten"), {pooled}, {top});
}

void export_lrn(CaffeExport& out, const Node& node) {
  const auto& attrs = node.as<LrnAttrs>();
  expect_image(out, node);
  if (attrs.size % 2 == 0) throw not_in_caffe(node, "its size is even");
  if (attrs.within_channel && attrs.bias != 1) throw not_in_caffe(node, "its bias within a channel is not 1");
  auto& param = *out.add("LRN", out.layer_name(node), {out.blob(node.inputs[0])}, {out.blob(node.output)})
                     .proto.mutable_lrn_param();
  param.set_local_size(static_cast<uint32_t>(attrs.size));
  param.set_alpha(attrs.alpha);
  param.set_beta(attrs.beta);
  if (attrs.bias != 1) param.set_k(attrs.bias);
  if (attrs.within_channel) param.set_norm_region(caffe::LRNParameter::WITHIN_CHANNEL);
}

}  // namespace xdn
