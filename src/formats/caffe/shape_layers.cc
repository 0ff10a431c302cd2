#include <algorithm>
#include <optional>

#include "base/error.h"
#include "formats/caffe/layer_builder.h"

namespace xdn {
namespace {

/// A reshape that leaves the batch axis alone; an Identity where it changes nothing.
void emit_reshape(LayerBuilder& builder, const Dims& from, Dims to) {
  if (from == to) {
    builder.emit_top(OpType::kIdentity, NoAttrs{}, {builder.bottom(0)});
  } else {
    builder.emit_top(OpType::kReshape, ReshapeAttrs{std::move(to)}, {builder.bottom(0)});
  }
}

/// Fills the one -1 of `to` and makes its leading extent the batch. `to` is what the layer asks for a bottom
/// of shape `from`, in which the batch stands as `batch`.
Dims resolve_batch(const Dims& from, Dims to, std::optional<size_t> unknown, int64_t batch) {
  const auto fault = [&] {
    return input_error("cannot reshape " + to_string(from) + " so that the batch stays its leading axis");
  };
  if (to.empty()) throw fault();
  const int64_t image = extent_product(from, 1, from.size());
  if (unknown) {
    to[*unknown] = 1;
    const int64_t known = element_count(to, sizeof(float));
    int64_t total = 0;
    if (__builtin_mul_overflow(image, batch, &total) || known == 0 || total % known != 0) throw fault();
    to[*unknown] = total / known;
  }
  if (to[0] != batch || extent_product(to, 1, to.size()) != image) throw fault();
  to[0] = kBatch;
  return to;
}

}  // namespace

void convert_concat(LayerBuilder& builder) {
  builder.expect(1, INT32_MAX);
  const auto& param = builder.layer.concat_param();
  if (param.has_axis() && param.has_concat_dim())
    throw input_error("has both axis and concat_dim, expected one");
  const int64_t wanted = param.has_concat_dim() ? int64_t{param.concat_dim()} : int64_t{param.axis()};
  AxisAttrs attrs;
  attrs.axis = builder.axis_within_image(wanted, builder.shape(builder.bottom(0)).size());
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < builder.bottom_count(); ++i) inputs.push_back(builder.bottom(i));
  builder.emit_top(OpType::kConcat, attrs, std::move(inputs));
}

void convert_slice(LayerBuilder& builder) {
  builder.expect(1, 1, 1, INT32_MAX);
  const auto& param = builder.layer.slice_param();
  if (param.has_axis() && param.has_slice_dim())
    throw input_error("has both axis and slice_dim, expected one");
  const Dims in = builder.shape(builder.bottom(0));
  const int64_t wanted = param.has_slice_dim() ? int64_t{param.slice_dim()} : int64_t{param.axis()};
  const int64_t axis = builder.axis_within_image(wanted, in.size());
  const int64_t extent = in[static_cast<size_t>(axis)];
  const auto parts = static_cast<int64_t>(builder.top_count());

  Dims points{0};
  if (param.slice_point_size() > 0) {
    if (param.slice_point_size() != parts - 1) {
      throw input_error("has " + std::to_string(param.slice_point_size()) + " values of slice_point for " +
                        std::to_string(parts) + " tops, expected one fewer than tops");
    }
    points.insert(points.end(), param.slice_point().begin(), param.slice_point().end());
  } else {
    if (extent % parts != 0) {
      throw input_error("cannot cut extent " + std::to_string(extent) + " into " + std::to_string(parts) +
                        " equal parts");
    }
    for (int64_t i = 1; i < parts; ++i) points.push_back(i * (extent / parts));
  }
  points.push_back(extent);
  for (size_t i = 1; i < points.size(); ++i) {
    if (points[i] <= points[i - 1]) {
      throw input_error("slice_point must ascend within the extent " + std::to_string(extent));
    }
  }
  for (size_t i = 0; i < builder.top_count(); ++i) {
    const std::string suffix = builder.top_count() == 1 ? "" : builder.layer.top(static_cast<int>(i));
    builder.emit_top(OpType::kSlice, SliceAttrs{{axis}, {points[i]}, {points[i + 1]}, {1}},
                     {builder.bottom(0)}, suffix, i);
  }
}

void convert_split(LayerBuilder& builder) {
  builder.expect(1, 1, 1, INT32_MAX);
  for (size_t i = 0; i < builder.top_count(); ++i) {
    const std::string suffix = builder.top_count() == 1 ? "" : builder.layer.top(static_cast<int>(i));
    builder.emit_top(OpType::kIdentity, NoAttrs{}, {builder.bottom(0)}, suffix, i);
  }
}

void convert_flatten(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto& param = builder.layer.flatten_param();
  const Dims in = builder.shape(builder.bottom(0));
  const auto first = static_cast<size_t>(builder.axis_within_image(param.axis(), in.size()));
  const auto last = static_cast<size_t>(builder.axis(param.end_axis(), in.size(), "end_axis"));
  if (last < first) throw input_error("end_axis stands before axis");
  if (first == 1 && last + 1 == in.size()) {
    builder.emit_top(OpType::kFlatten, FlattenAttrs{1}, {builder.bottom(0)});
    return;
  }
  Dims out(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(first));
  out.push_back(extent_product(in, first, last + 1));
  out.insert(out.end(), in.begin() + static_cast<std::ptrdiff_t>(last + 1), in.end());
  emit_reshape(builder, in, std::move(out));
}

/// Axes [axis, axis + num_axes) of the bottom make way for shape: 0 keeps the extent at that place, -1 takes
/// the rest.
void convert_reshape(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto& param = builder.layer.reshape_param();
  const Dims in = builder.shape(builder.bottom(0));
  const auto rank = static_cast<int64_t>(in.size());
  const int64_t first = param.axis() >= 0 ? param.axis() : int64_t{param.axis()} + rank + 1;
  if (first < 0 || first > rank)
    throw input_error("axis " + std::to_string(param.axis()) + " is outside the bottom");
  if (param.num_axes() < -1) throw input_error("num_axes must be -1 or more");
  const int64_t last = param.num_axes() == -1 ? rank : first + param.num_axes();
  if (last > rank)
    throw input_error("axis and num_axes reach beyond the bottom's " + std::to_string(rank) + " axes");
  constexpr int kMostAxes = 8;
  const auto& shape = param.shape();
  if (rank - (last - first) + shape.dim_size() > kMostAxes) {
    throw input_error("gives more than " + std::to_string(kMostAxes) + " axes");
  }

  Dims from = in;
  from[0] = builder.declared_batch();
  Dims to(from.begin(), from.begin() + first);
  std::optional<size_t> unknown;
  for (int i = 0; i < shape.dim_size(); ++i) {
    int64_t dim = shape.dim(i);
    if (dim == 0) {
      if (first + i >= rank)
        throw input_error("dim 0 at place " + std::to_string(i) + " has no extent to keep");
      dim = from[static_cast<size_t>(first + i)];
    } else if (dim == -1) {
      if (unknown) throw input_error("has more than one dim of -1");
      unknown = to.size();
      dim = 1;
    } else if (dim < -1) {
      throw input_error("dim " + std::to_string(dim) + " is negative, expected -1, 0 or an extent");
    }
    to.push_back(dim);
  }
  to.insert(to.end(), from.begin() + last, from.end());
  emit_reshape(builder, in, resolve_batch(in, std::move(to), unknown, builder.declared_batch()));
}

}  // namespace xdn
