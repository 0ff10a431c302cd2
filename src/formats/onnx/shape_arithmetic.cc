#include "formats/onnx/shape_arithmetic.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace xdn::onnx_io {
namespace {

using Binary = SymInt (*)(const SymInt&, const SymInt&);

/// value by reference: it is written while the first argument is evaluated, in whatever order that happens.
SymInt checked(bool overflow, const int64_t& value) {
  return overflow ? SymInt::unknown() : SymInt::known(value);
}

SymInt add(const SymInt& a, const SymInt& b) {
  int64_t value = 0;
  if (a.is_known() && b.is_known()) return checked(__builtin_add_overflow(a.value, b.value, &value), value);
  if (a.is_known(0)) return b;
  return b.is_known(0) ? a : SymInt::unknown();
}

SymInt sub(const SymInt& a, const SymInt& b) {
  int64_t value = 0;
  if (a.is_known() && b.is_known()) return checked(__builtin_sub_overflow(a.value, b.value, &value), value);
  if (a.is_batch() && b.is_batch()) return SymInt::known(0);
  return b.is_known(0) ? a : SymInt::unknown();
}

SymInt mul(const SymInt& a, const SymInt& b) {
  int64_t value = 0;
  if (a.is_known() && b.is_known()) return checked(__builtin_mul_overflow(a.value, b.value, &value), value);
  if (a.is_known(0) || b.is_known(0)) return SymInt::known(0);
  if (a.is_known(1)) return b;
  return b.is_known(1) ? a : SymInt::unknown();
}

SymInt div(const SymInt& a, const SymInt& b) {
  if (b.is_known(0)) throw input_error("divides a shape by zero");
  if (b.is_known(1)) return a;
  if (a.is_batch() && b.is_batch()) return SymInt::known(1);
  const bool overflow = a.is_known(std::numeric_limits<int64_t>::min()) && b.is_known(-1);
  if (!a.is_known() || !b.is_known() || overflow) return SymInt::unknown();
  return SymInt::known(a.value / b.value);
}

SymInt max(const SymInt& a, const SymInt& b) {
  if (a.is_known() && b.is_known()) return SymInt::known(std::max(a.value, b.value));
  if (a.is_batch() && (b.is_batch() || (b.is_known() && b.value <= 1))) return a;
  if (b.is_batch() && a.is_known() && a.value <= 1) return b;
  return SymInt::unknown();
}

SymInt min(const SymInt& a, const SymInt& b) {
  if (a.is_known() && b.is_known()) return SymInt::known(std::min(a.value, b.value));
  if (a.is_batch() && b.is_batch()) return a;
  if (a.is_batch() && b.is_known() && b.value <= 1) return b;
  if (b.is_batch() && a.is_known() && a.value <= 1) return a;
  return SymInt::unknown();
}

SymInt equal(const SymInt& a, const SymInt& b) {
  if (a.is_known() && b.is_known()) return SymInt::known(a.value == b.value ? 1 : 0);
  if (a.is_batch() && b.is_batch()) return SymInt::known(1);
  if (a.is_batch() && b.is_known() && b.value < 1) return SymInt::known(0);
  if (b.is_batch() && a.is_known() && a.value < 1) return SymInt::known(0);
  return SymInt::unknown();
}

SymInt select(const SymInt& condition, const SymInt& a, const SymInt& b) {
  if (condition.is_known()) return condition.value != 0 ? a : b;
  return a == b ? a : SymInt::unknown();
}

/// Values that an i32 tensor cannot hold would wrap; shapes never do, so they just become unknown.
SymInt within(DType dtype, const SymInt& x) {
  const bool fits =
      dtype != DType::kI32 || !x.is_known() ||
      (x.value >= std::numeric_limits<int32_t>::min() && x.value <= std::numeric_limits<int32_t>::max());
  return fits ? x : SymInt::unknown();
}

bool is_small(const Dims& dims) { return element_count(dims) <= kMaxSymElements; }

Dims broadcast_dims(const Dims& a, const Dims& b) {
  Dims out(std::max(a.size(), b.size()), 1);
  for (const Dims* dims : {&a, &b}) {
    for (size_t i = 0; i < dims->size(); ++i) {
      int64_t& extent = out[out.size() - dims->size() + i];
      const int64_t other = (*dims)[i];
      if (extent != other && extent != 1 && other != 1) {
        throw input_error("shapes " + to_string(a) + " and " + to_string(b) + " do not broadcast");
      }
      if (extent == 1) extent = other;
    }
  }
  return out;
}

/// Walks an index over dims, row-major. Returns false after the last one.
bool advance(Dims& index, const Dims& dims) {
  for (size_t i = dims.size(); i-- > 0;) {
    if (++index[i] < dims[i]) return true;
    index[i] = 0;
  }
  return false;
}

size_t offset_of(const Dims& index, const Dims& dims) {
  int64_t offset = 0;
  for (size_t i = 0; i < dims.size(); ++i) offset = offset * dims[i] + index[i];
  return static_cast<size_t>(offset);
}

/// The element of x that a broadcast index meets.
const SymInt& broadcast_at(const SymTensor& x, const Dims& index) {
  const size_t skip = index.size() - x.dims.size();
  int64_t offset = 0;
  for (size_t i = 0; i < x.dims.size(); ++i)
    offset = offset * x.dims[i] + (x.dims[i] == 1 ? 0 : index[skip + i]);
  return x.elements[static_cast<size_t>(offset)];
}

/// A tensor of the given extents, each element computed from its index.
template <class F>
std::optional<SymTensor> generate(DType dtype, const Dims& dims, F&& element) {
  if (!is_small(dims)) return std::nullopt;
  SymTensor out{dtype, dims, {}};
  const int64_t count = element_count(dims);
  out.elements.reserve(static_cast<size_t>(count));
  if (count == 0) return out;
  Dims index(dims.size(), 0);
  do {
    out.elements.push_back(within(dtype, element(index)));
  } while (advance(index, dims));
  return out;
}

std::optional<SymTensor> elementwise(Binary op, DType dtype, const SymTensor& a, const SymTensor& b) {
  if (a.dtype != b.dtype) return std::nullopt;
  return generate(dtype, broadcast_dims(a.dims, b.dims),
                  [&](const Dims& index) { return op(broadcast_at(a, index), broadcast_at(b, index)); });
}

std::optional<SymTensor> arithmetic(Binary op, std::span<const SymTensor* const> inputs) {
  if (inputs[0]->dtype == DType::kBool) return std::nullopt;
  return elementwise(op, inputs[0]->dtype, *inputs[0], *inputs[1]);
}

std::optional<SymTensor> reshape(const SymTensor& x, const Dims& dims) {
  if (std::find(dims.begin(), dims.end(), kBatch) != dims.end() ||
      element_count(dims) != element_count(x.dims)) {
    throw input_error("cannot reshape " + to_string(x.dims) + " to " + to_string(dims));
  }
  return SymTensor{x.dtype, dims, x.elements};
}

std::optional<SymTensor> transpose(const SymTensor& x, const Dims& perm) {
  Dims dims;
  for (const int64_t axis : perm) dims.push_back(x.dims[static_cast<size_t>(axis)]);
  return generate(x.dtype, dims, [&](const Dims& index) {
    Dims from(index.size());
    for (size_t i = 0; i < index.size(); ++i) from[static_cast<size_t>(perm[i])] = index[i];
    return x.elements[offset_of(from, x.dims)];
  });
}

std::optional<SymTensor> concat(std::span<const SymTensor* const> parts, int64_t axis) {
  const auto at = static_cast<size_t>(axis);
  Dims dims = parts[0]->dims;
  if (at >= dims.size()) throw input_error("cannot concatenate along axis " + std::to_string(axis));
  dims[at] = 0;
  for (const SymTensor* part : parts) {
    if (part->dtype != parts[0]->dtype) return std::nullopt;
    bool fits = part->dims.size() == dims.size();
    for (size_t i = 0; fits && i < dims.size(); ++i) fits = i == at || part->dims[i] == dims[i];
    if (!fits) {
      throw input_error("cannot concatenate " + to_string(parts[0]->dims) + " and " + to_string(part->dims) +
                        " along axis " + std::to_string(axis));
    }
    dims[at] += part->dims[at];
  }
  size_t part = 0;
  int64_t first = 0;
  return generate(parts[0]->dtype, dims, [&](const Dims& index) {
    if (index[at] < first) part = 0, first = 0;
    while (index[at] - first >= parts[part]->dims[at]) first += parts[part++]->dims[at];
    Dims from = index;
    from[at] -= first;
    return parts[part]->elements[offset_of(from, parts[part]->dims)];
  });
}

int64_t slice_extent(int64_t start, int64_t end, int64_t step) {
  const int64_t distance = step > 0 ? end - start : start - end;
  const int64_t stride = step > 0 ? step : -step;
  return distance <= 0 ? 0 : (distance - 1) / stride + 1;
}

std::optional<SymTensor> slice(const SymTensor& x, const SliceAttrs& a) {
  Dims dims = x.dims, starts(dims.size(), 0), steps(dims.size(), 1);
  for (size_t i = 0; i < a.axes.size(); ++i) {
    const auto axis = static_cast<size_t>(a.axes[i]);
    dims[axis] = slice_extent(a.starts[i], a.ends[i], a.steps[i]);
    starts[axis] = a.starts[i];
    steps[axis] = a.steps[i];
  }
  return generate(x.dtype, dims, [&](const Dims& index) {
    Dims from(index.size());
    for (size_t i = 0; i < index.size(); ++i) from[i] = starts[i] + index[i] * steps[i];
    return x.elements[offset_of(from, x.dims)];
  });
}

std::optional<SymTensor> gather(const SymTensor& x, const SymTensor& indices, int64_t axis) {
  const auto at = static_cast<size_t>(axis);
  if (!indices.is_known()) throw input_error("gathers at positions that depend on the batch");
  Dims dims(x.dims.begin(), x.dims.begin() + axis);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), x.dims.begin() + axis + 1, x.dims.end());
  for (const SymInt& i : indices.elements) {
    if (i.value < -x.dims[at] || i.value >= x.dims[at]) {
      throw input_error("gathers element " + std::to_string(i.value) + " of " + std::to_string(x.dims[at]));
    }
  }
  return generate(x.dtype, dims, [&](const Dims& index) {
    const auto middle = index.begin() + axis;
    const auto rest = middle + static_cast<std::ptrdiff_t>(indices.dims.size());
    const int64_t i = indices.elements[offset_of(Dims(middle, rest), indices.dims)].value;
    Dims from(index.begin(), middle);
    from.push_back(i < 0 ? i + x.dims[at] : i);
    from.insert(from.end(), rest, index.end());
    return x.elements[offset_of(from, x.dims)];
  });
}

std::optional<SymTensor> cast(const SymTensor& x, DType to) {
  if (!is_shape_dtype(to)) return std::nullopt;
  SymTensor out{to, x.dims, x.elements};
  for (SymInt& e : out.elements) {
    if (to == DType::kBool) {
      if (e.is_batch() || e.is_known()) e = SymInt::known(e.is_batch() || e.value != 0 ? 1 : 0);
    } else if (e.is_known() && to == DType::kI32) {
      e.value = static_cast<int32_t>(e.value);
    }
  }
  return out;
}

Dims flattened(const Dims& dims, int64_t axis) {
  const auto middle = dims.begin() + axis;
  return {element_count(Dims(dims.begin(), middle)), element_count(Dims(middle, dims.end()))};
}

}  // namespace

bool SymTensor::is_known() const {
  return std::all_of(elements.begin(), elements.end(), [](const SymInt& e) { return e.is_known(); });
}

bool is_shape_dtype(DType dtype) {
  return dtype == DType::kI64 || dtype == DType::kI32 || dtype == DType::kBool;
}

std::optional<SymTensor> sym_from_tensor(const Tensor& tensor) {
  if (!is_shape_dtype(tensor.dtype()) || tensor.size() > kMaxSymElements) return std::nullopt;
  SymTensor out{tensor.dtype(), tensor.dims(), {}};
  for (const int64_t value : tensor.to_ints()) out.elements.push_back(SymInt::known(value));
  return out;
}

SymTensor sym_from_shape(const Dims& shape) {
  SymTensor out{DType::kI64, {static_cast<int64_t>(shape.size())}, {}};
  for (const int64_t extent : shape) {
    out.elements.push_back(extent == kBatch ? SymInt::batch() : SymInt::known(extent));
  }
  return out;
}

Tensor tensor_from_sym(const SymTensor& sym) {
  std::vector<int64_t> values;
  for (const SymInt& e : sym.elements) {
    XDN_CHECK(e.is_known());
    values.push_back(e.value);
  }
  return Tensor::of(sym.dims, values).converted(sym.dtype);
}

std::string to_string(const SymTensor& sym) {
  std::string out = "[";
  for (size_t i = 0; i < sym.elements.size(); ++i) {
    const SymInt& e = sym.elements[i];
    if (i != 0) out += ',';
    out += e.is_batch() ? "N" : e.is_known() ? std::to_string(e.value) : "?";
  }
  return out + "]";
}

std::optional<SymTensor> evaluate_sym(OpType type, const OpAttrs& attrs,
                                      std::span<const SymTensor* const> inputs) {
  const SymTensor& x = *inputs[0];
  switch (type) {
    case OpType::kAdd:
      return arithmetic(add, inputs);
    case OpType::kSub:
      return arithmetic(sub, inputs);
    case OpType::kMul:
      return arithmetic(mul, inputs);
    case OpType::kDiv:
      return arithmetic(div, inputs);
    case OpType::kMax:
      return arithmetic(max, inputs);
    case OpType::kIdentity:
      return x;
    case OpType::kReshape:
      return reshape(x, std::get<ReshapeAttrs>(attrs).shape);
    case OpType::kFlatten:
      return reshape(x, flattened(x.dims, std::get<FlattenAttrs>(attrs).axis));
    case OpType::kTranspose:
      return transpose(x, std::get<TransposeAttrs>(attrs).perm);
    case OpType::kConcat:
      return concat(inputs, std::get<AxisAttrs>(attrs).axis);
    case OpType::kSlice:
      return slice(x, std::get<SliceAttrs>(attrs));
    case OpType::kGather:
      return gather(x, *inputs[1], std::get<AxisAttrs>(attrs).axis);
    case OpType::kCast:
      return cast(x, std::get<CastAttrs>(attrs).to);
    default:
      return std::nullopt;
  }
}

std::optional<SymTensor> sym_min(const SymTensor& a, const SymTensor& b) {
  return elementwise(min, a.dtype, a, b);
}

std::optional<SymTensor> sym_equal(const SymTensor& a, const SymTensor& b) {
  return elementwise(equal, DType::kBool, a, b);
}

std::optional<SymTensor> sym_where(const SymTensor& condition, const SymTensor& a, const SymTensor& b) {
  if (a.dtype != b.dtype) return std::nullopt;
  const Dims dims = broadcast_dims(condition.dims, broadcast_dims(a.dims, b.dims));
  return generate(a.dtype, dims, [&](const Dims& index) {
    return select(broadcast_at(condition, index), broadcast_at(a, index), broadcast_at(b, index));
  });
}

}  // namespace xdn::onnx_io
