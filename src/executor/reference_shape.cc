#include <algorithm>

#include "executor/reference_internal.h"
#include "kernels/reference/movement.h"
#include "kernels/reference/walk.h"

namespace xdn {
namespace {

using IndexLists = std::vector<std::vector<int64_t>>;

/// Larger steps take one element, as this one does.
constexpr int64_t kMostStep = int64_t{1} << 62;

Tensor copy_indexed(const Tensor& x, const IndexLists& index, const void* fill) {
  Dims dims;
  for (const auto& list : index) dims.push_back(static_cast<int64_t>(list.size()));
  Tensor y(x.dtype(), dims);
  reference::copy_indexed(x.raw(), x.dims(), index, fill, dtype_size(x.dtype()), y.mutable_raw());
  return y;
}

/// Where position i, which may lie outside [0, extent), reads from.
int64_t pad_source(PadMode mode, int64_t i, int64_t extent) {
  if (i >= 0 && i < extent) return i;
  if (mode == PadMode::kConstant) return reference::kFill;
  if (mode == PadMode::kEdge) return std::clamp<int64_t>(i, 0, extent - 1);
  if (extent == 1) return 0;
  const int64_t period = 2 * (extent - 1);
  const int64_t phase = (i % period + period) % period;
  return std::min(phase, period - phase);
}

void require_entries(const Dims& list, size_t count, const char* what) {
  if (list.size() != count) {
    throw input_error("expected " + std::to_string(count) + " " + what + ", got " +
                      std::to_string(list.size()));
  }
}

}  // namespace

Tensor evaluate_reshape(const Evaluation& e) {
  const Tensor& x = e.input(0);
  Dims dims = e.node.as<ReshapeAttrs>().shape;
  const auto free = std::find(dims.begin(), dims.end(), kBatch);
  if (free != dims.end()) {
    *free = 1;
    const int64_t rest = element_count(dims);
    // Nothing to divide by: the batch then is x's own.
    *free = rest != 0 ? x.size() / rest : x.rank() == 0 ? 1 : x.dim(0);
  }
  if (element_count(dims) != x.size()) {
    throw input_error("expected " + std::to_string(x.size()) + " elements for shape " +
                      to_string(e.node.as<ReshapeAttrs>().shape) + ", got input shape " +
                      to_string(x.dims()));
  }
  return x.reshaped(dims);
}

Tensor evaluate_flatten(const Evaluation& e) {
  const Tensor& x = e.input(0);
  const size_t axis = require_axis(e.node.as<FlattenAttrs>().axis, x.rank() + 1);
  return x.reshaped({product(x.dims(), 0, axis), product(x.dims(), axis, x.rank())});
}

Tensor evaluate_transpose(const Evaluation& e) {
  const Tensor& x = e.input(0);
  const Dims& perm = e.node.as<TransposeAttrs>().perm;
  require_entries(perm, x.rank(), "axes in perm");
  const Dims dense = reference::dense_strides(x.dims());
  std::vector<bool> seen(x.rank(), false);
  Dims dims, strides;
  for (const int64_t entry : perm) {
    const size_t axis = require_axis(entry, x.rank());
    if (seen[axis]) throw input_error("expected a permutation, got " + to_string(perm));
    seen[axis] = true;
    dims.push_back(x.dim(axis));
    strides.push_back(dense[axis]);
  }
  Tensor y(x.dtype(), dims);
  reference::copy_strided(x.raw(), strides, dims, dtype_size(x.dtype()), y.mutable_raw());
  return y;
}

Tensor evaluate_concat(const Evaluation& e) {
  const Tensor& first = e.input(0);
  const size_t axis = require_axis(e.node.as<AxisAttrs>().axis, first.rank());
  Dims dims = first.dims();
  for (size_t i = 1; i < e.inputs.size(); ++i) {
    const Tensor& part = e.input(i);
    require_same_dtype(first, part);
    Dims expected = first.dims();
    if (part.rank() == first.rank()) expected[axis] = part.dim(axis);
    if (part.dims() != expected) {
      throw input_error("expected parts that differ along axis " + std::to_string(axis) +
                        " only, got shapes " + to_string(first.dims()) + " and " + to_string(part.dims()));
    }
    if (__builtin_add_overflow(dims[axis], part.dim(axis), &dims[axis])) {
      throw input_error("expected smaller parts, got shape " + to_string(part.dims()));
    }
  }
  Tensor y(first.dtype(), dims);
  if (y.size() == 0) return y;
  const int64_t outer = product(dims, 0, axis), inner = product(dims, axis + 1, dims.size());
  int64_t filled = 0;
  for (size_t i = 0; i < e.inputs.size(); ++i) {
    const Tensor& part = e.input(i);
    reference::copy_into_axis(part.raw(), outer, part.dim(axis), inner, filled, dims[axis],
                              dtype_size(part.dtype()), y.mutable_raw());
    filled += part.dim(axis);
  }
  return y;
}

Tensor evaluate_slice(const Evaluation& e) {
  const Tensor& x = e.input(0);
  const auto& attrs = e.node.as<SliceAttrs>();
  require_entries(attrs.starts, attrs.axes.size(), "starts");
  require_entries(attrs.ends, attrs.axes.size(), "ends");
  require_entries(attrs.steps, attrs.axes.size(), "steps");
  Dims dims = x.dims(), first(x.rank(), 0), steps(x.rank(), 1);
  for (size_t i = 0; i < attrs.axes.size(); ++i) {
    const size_t axis = require_axis(attrs.axes[i], x.rank());
    if (attrs.steps[i] == 0) throw input_error("expected steps other than 0");
    const int64_t extent = x.dim(axis);
    const int64_t step = std::clamp(attrs.steps[i], -kMostStep, kMostStep);
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? extent : extent - 1;
    const int64_t start = std::min(std::max(attrs.starts[i], low), high);
    const int64_t end = std::min(std::max(attrs.ends[i], low), high);
    const int64_t room = step > 0 ? end - start : start - end;
    dims[axis] = room <= 0 ? 0 : (room - 1) / std::abs(step) + 1;
    first[axis] = start;
    steps[axis] = step;
  }
  if (element_count(dims) == 0) return Tensor(x.dtype(), dims);
  IndexLists index(x.rank());
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    for (int64_t i = 0; i < dims[axis]; ++i) index[axis].push_back(first[axis] + i * steps[axis]);
  }
  return copy_indexed(x, index, nullptr);
}

Tensor evaluate_pad(const Evaluation& e) {
  const Tensor& x = e.input(0);
  const auto& attrs = e.node.as<PadAttrs>();
  require_entries(attrs.begin, x.rank(), "pads at the beginning");
  require_entries(attrs.end, x.rank(), "pads at the end");
  Dims dims = x.dims();
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    if (attrs.mode != PadMode::kConstant && x.dim(axis) == 0 &&
        (attrs.begin[axis] > 0 || attrs.end[axis] > 0)) {
      throw input_error("expected elements to repeat, got shape " + to_string(x.dims()));
    }
    if (__builtin_add_overflow(dims[axis], attrs.begin[axis], &dims[axis]) ||
        __builtin_add_overflow(dims[axis], attrs.end[axis], &dims[axis])) {
      throw input_error("expected smaller pads, got " + to_string(attrs.begin) + " and " +
                        to_string(attrs.end));
    }
  }
  if (element_count(dims, dtype_size(x.dtype())) == 0) return Tensor(x.dtype(), dims);
  IndexLists index(x.rank());
  for (size_t axis = 0; axis < x.rank(); ++axis) {
    for (int64_t i = 0; i < dims[axis]; ++i) {
      index[axis].push_back(pad_source(attrs.mode, i - attrs.begin[axis], x.dim(axis)));
    }
  }
  const Tensor fill = Tensor::scalar(attrs.value).converted(x.dtype());
  return copy_indexed(x, index, fill.raw());
}

Tensor evaluate_gather(const Evaluation& e) {
  const Tensor &x = e.input(0), &indices = e.input(1);
  const size_t axis = require_axis(e.node.as<AxisAttrs>().axis, x.rank());
  if (indices.dtype() != DType::kI32 && indices.dtype() != DType::kI64) {
    throw input_error("expected indices of type i32 or i64, got " + std::string(dtype_name(indices.dtype())));
  }
  const auto at = static_cast<std::ptrdiff_t>(axis);
  Dims dims(x.dims().begin(), x.dims().begin() + at);
  dims.insert(dims.end(), indices.dims().begin(), indices.dims().end());
  dims.insert(dims.end(), x.dims().begin() + at + 1, x.dims().end());
  Tensor y(x.dtype(), dims);
  if (y.size() == 0) return y;
  reference::gather(x.raw(), product(x.dims(), 0, axis), x.dim(axis), product(x.dims(), axis + 1, x.rank()),
                    indices.to_ints(), dtype_size(x.dtype()), y.mutable_raw());
  return y;
}

}  // namespace xdn
