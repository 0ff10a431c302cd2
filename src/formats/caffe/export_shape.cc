#include <algorithm>

#include "formats/caffe/exporter.h"

namespace xdn {
namespace {

void expect_computed(const CaffeExport& out, const Node& node) {
  for (const ValueId id : node.inputs) {
    if (out.graph.is_constant(id)) throw not_in_caffe(node, "it reads a constant");
  }
}

/// The parts of one Slice node: a cut along one axis.
struct Cut {
  int64_t axis, start, end;
};

Cut cut_of(const Node& node, const Dims& x) {
  const auto& attrs = node.as<SliceAttrs>();
  const int64_t axis = attrs.axes[0], extent = x[static_cast<size_t>(axis)];
  return {axis, std::clamp<int64_t>(attrs.starts[0], 0, extent),
          std::clamp<int64_t>(attrs.ends[0], 0, extent)};
}

bool is_plain_cut(const Node& node) {
  if (node.type != OpType::kSlice) return false;
  const auto& attrs = node.as<SliceAttrs>();
  return attrs.axes.size() == 1 && attrs.axes[0] != 0 && attrs.steps[0] == 1;
}

/// The nodes that, this one among them, cut the same value into parts without gap or overlap, in the order of
/// the parts; empty where there are none.
std::vector<const Node*> parts_with(const CaffeExport& out, const Node& node) {
  if (!is_plain_cut(node)) return {};
  const Dims& x = out.shape(node.inputs[0]);
  const int64_t axis = cut_of(node, x).axis;
  std::vector<const Node*> parts;
  for (const NodeId id : out.readers(node.inputs[0])) {
    const Node& other = out.graph.node(id);
    if (is_plain_cut(other) && cut_of(other, x).axis == axis) parts.push_back(&other);
  }
  std::sort(parts.begin(), parts.end(),
            [&](const Node* a, const Node* b) { return cut_of(*a, x).start < cut_of(*b, x).start; });
  int64_t at = 0;
  for (const Node* part : parts) {
    const Cut cut = cut_of(*part, x);
    if (cut.start != at || cut.end <= cut.start) return {};
    at = cut.end;
  }
  return at == x[static_cast<size_t>(axis)] ? parts : std::vector<const Node*>{};
}

void add_slice(CaffeExport& out, const std::string& name, const std::string& bottom, int64_t axis,
               const Dims& points, const std::vector<std::string>& tops) {
  auto& param = *out.add("Slice", name, {bottom}, tops).proto.mutable_slice_param();
  param.set_axis(static_cast<int>(axis));
  for (const int64_t point : points) param.add_slice_point(static_cast<uint32_t>(point));
}

/// One layer for all parts; it stands where the first of the nodes does.
void export_parts(CaffeExport& out, const Node& node, const std::vector<const Node*>& parts) {
  const auto position = [&](const Node* part) {
    const auto& order = out.readers(node.inputs[0]);
    return std::find_if(order.begin(), order.end(),
                        [&](NodeId id) { return out.graph.node(id).output == part->output; });
  };
  const bool first = std::all_of(parts.begin(), parts.end(),
                                 [&](const Node* part) { return position(part) >= position(&node); });
  if (!first) return;
  const Dims& x = out.shape(node.inputs[0]);
  Dims points;
  std::vector<std::string> tops;
  for (const Node* part : parts) {
    if (part != parts.front()) points.push_back(cut_of(*part, x).start);
    tops.push_back(out.blob(part->output));
  }
  Node named = node;
  const size_t slash = node.name.rfind('/');
  if (parts.size() > 1 && slash != std::string::npos && slash > 0) named.name = node.name.substr(0, slash);
  add_slice(out, out.layer_name(named), out.blob(node.inputs[0]), cut_of(node, x).axis, points, tops);
}

}  // namespace

void add_reshape(CaffeExport& out, const std::string& name, const std::string& bottom, const std::string& top,
                 const Dims& image) {
  auto& shape = *out.add("Reshape", name, {bottom}, {top}).proto.mutable_reshape_param()->mutable_shape();
  shape.add_dim(0);
  for (const int64_t extent : image) shape.add_dim(extent);
}

void export_reshape(CaffeExport& out, const Node& node) {
  expect_computed(out, node);
  const Dims &from = out.shape(node.inputs[0]), &to = out.shape(node.output);
  if (from.empty() || to.empty() || from[0] != to[0] || std::count(to.begin(), to.end(), 0) > 0) {
    throw not_in_caffe(node, to_string(from) + " becomes " + to_string(to) + ", another batch");
  }
  add_reshape(out, out.layer_name(node), out.blob(node.inputs[0]), out.blob(node.output),
              Dims(to.begin() + 1, to.end()));
}

void export_flatten(CaffeExport& out, const Node& node) {
  if (node.as<FlattenAttrs>().axis != 1) return export_reshape(out, node);
  expect_computed(out, node);
  if (out.shape(node.inputs[0]).size() < 2) return export_reshape(out, node);
  out.add("Flatten", out.layer_name(node), {out.blob(node.inputs[0])}, {out.blob(node.output)});
}

void export_concat(CaffeExport& out, const Node& node) {
  expect_computed(out, node);
  const int64_t axis = node.as<AxisAttrs>().axis;
  if (axis == 0) throw not_in_caffe(node, "it joins batches");
  std::vector<std::string> bottoms;
  for (const ValueId id : node.inputs) bottoms.push_back(out.blob(id));
  auto& layer = out.add("Concat", out.layer_name(node), bottoms, {out.blob(node.output)}).proto;
  layer.mutable_concat_param()->set_axis(static_cast<int>(axis));
}

void export_slice(CaffeExport& out, const Node& node) {
  expect_computed(out, node);
  const auto parts = parts_with(out, node);
  if (!parts.empty()) return export_parts(out, node, parts);
  const auto& attrs = node.as<SliceAttrs>();
  Dims x = out.shape(node.inputs[0]);
  std::string from = out.blob(node.inputs[0]);
  const std::string& top = out.blob(node.output);
  std::vector<std::string> rests;
  Dims strides(x.size(), 1);
  for (size_t i = 0; i < attrs.axes.size(); ++i) {
    strides[static_cast<size_t>(attrs.axes[i])] = attrs.steps[i];
    if (attrs.steps[i] < 1 || (attrs.steps[i] > 1 && attrs.axes[i] < 2))
      throw not_in_caffe(node, "it steps back, or over channels or images");
  }
  const bool steps = strides != Dims(x.size(), 1);
  for (size_t i = 0; i < attrs.axes.size(); ++i) {
    Node single = node;
    single.attrs = SliceAttrs{{attrs.axes[i]}, {attrs.starts[i]}, {attrs.ends[i]}, {1}};
    if (!is_plain_cut(single)) throw not_in_caffe(node, "it cuts the batch");
    const Cut cut = cut_of(single, x);
    int64_t& extent = x[static_cast<size_t>(cut.axis)];
    if (cut.end <= cut.start) throw not_in_caffe(node, "nothing is left");
    const bool last = i + 1 == attrs.axes.size();
    if (steps && cut.start == 0 && cut.end == extent) continue;
    const std::string to = last && !steps ? top : out.fresh_blob(top + "/cut");
    std::vector<std::string> tops;
    Dims points;
    const auto rest = [&] {
      rests.push_back(out.fresh_blob(top + "/rest"));
      return rests.back();
    };
    if (cut.start > 0) {
      tops.push_back(rest());
      points.push_back(cut.start);
    }
    tops.push_back(to);
    if (cut.end < extent) {
      tops.push_back(rest());
      points.push_back(cut.end);
    }
    const std::string name = attrs.axes.size() == 1 && !steps
                                 ? out.layer_name(node)
                                 : out.layer_name(node, "axis" + std::to_string(cut.axis));
    add_slice(out, name, from, cut.axis, points, tops);
    extent = cut.end - cut.start;
    from = to;
  }
  if (steps) {
    const Dims none(x.size() - 2, 0);
    add_selection(out, out.layer_name(node), from, top, x,
                  {Dims(strides.begin() + 2, strides.end()), none, none});
  }
  if (!rests.empty()) out.add("Silence", out.layer_name(node, "silence"), rests, {});
}

void export_pad(CaffeExport& out, const Node& node) {
  expect_computed(out, node);
  const auto& attrs = node.as<PadAttrs>();
  const Dims& x = out.shape(node.inputs[0]);
  const auto negative = [](int64_t pad) { return pad < 0; };
  if (attrs.mode != PadMode::kConstant || attrs.value != 0)
    throw not_in_caffe(node, "it pads with more than zeros");
  if (x.size() < 3 || attrs.begin[0] != 0 || attrs.end[0] != 0 ||
      std::any_of(attrs.begin.begin(), attrs.begin.end(), negative) ||
      std::any_of(attrs.end.begin(), attrs.end.end(), negative)) {
    throw not_in_caffe(node, "it pads the batch, or a matrix, or crops");
  }
  add_selection(out, out.layer_name(node), out.blob(node.inputs[0]), out.blob(node.output), x,
                {Dims(x.size() - 2, 1), Dims(attrs.begin.begin() + 2, attrs.begin.end()),
                 Dims(attrs.end.begin() + 2, attrs.end.end()), attrs.begin[1], attrs.end[1]});
}

void export_softmax(CaffeExport& out, const Node& node) {
  expect_computed(out, node);
  const auto& attrs = node.as<SoftmaxAttrs>();
  const Dims& x = out.shape(node.inputs[0]);
  if (attrs.axis == 0) throw not_in_caffe(node, "it normalises over the batch");
  const bool one_axis = !attrs.to_end || std::all_of(x.begin() + attrs.axis + 1, x.end(),
                                                     [](int64_t extent) { return extent == 1; });
  if (!one_axis) throw not_in_caffe(node, "it normalises over several axes");
  auto& layer =
      out.add("Softmax", out.layer_name(node), {out.blob(node.inputs[0])}, {out.blob(node.output)}).proto;
  if (attrs.axis != 1) layer.mutable_softmax_param()->set_axis(static_cast<int>(attrs.axis));
}

}  // namespace xdn
