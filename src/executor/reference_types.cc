#include <algorithm>
#include <type_traits>

#include "executor/reference_internal.h"
#include "kernels/reference/elementwise.h"
#include "kernels/reference/walk.h"

namespace xdn {
namespace {

template <class T>
inline constexpr bool kSmallFloat = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

template <class W, class T>
W load(T value) {
  if constexpr (kSmallFloat<T>) {
    return static_cast<W>(static_cast<float>(value));
  } else {
    return static_cast<W>(value);
  }
}

template <class T, class W>
T store(W value) {
  if constexpr (kSmallFloat<T>) {
    return T(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, bool>) {
    return value != W{0};
  } else {
    return static_cast<T>(value);
  }
}

}  // namespace

const Tensor& Evaluation::input(size_t i) const {
  const Tensor* tensor = optional(i);
  if (tensor == nullptr) throw input_error("expected an input at position " + std::to_string(i));
  return *tensor;
}

template <class W>
std::vector<W> widen(const Tensor& tensor) {
  XDN_CHECK((std::is_same_v<W, double> || !is_floating(tensor.dtype())));
  std::vector<W> values(static_cast<size_t>(tensor.size()));
  dispatch_dtype(tensor.dtype(), [&]<class T>() {
    if constexpr (std::is_same_v<W, double> || std::is_integral_v<T>) {
      const auto src = tensor.data<T>();
      std::transform(src.begin(), src.end(), values.begin(), [](T value) { return load<W>(value); });
    }
  });
  return values;
}

template <class W>
Tensor narrow(DType dtype, Dims dims, const std::vector<W>& values) {
  XDN_CHECK((std::is_same_v<W, double> == is_floating(dtype)));
  Tensor tensor(dtype, std::move(dims));
  XDN_CHECK(tensor.size() == static_cast<int64_t>(values.size()));
  dispatch_dtype(dtype, [&]<class T>() {
    if constexpr (std::is_same_v<W, double> != std::is_integral_v<T>) {
      const auto dst = tensor.mutable_data<T>();
      std::transform(values.begin(), values.end(), dst.begin(), [](W value) { return store<T>(value); });
    }
  });
  return tensor;
}

template std::vector<double> widen<double>(const Tensor&);
template std::vector<int64_t> widen<int64_t>(const Tensor&);
template std::vector<uint64_t> widen<uint64_t>(const Tensor&);
template Tensor narrow<double>(DType, Dims, const std::vector<double>&);
template Tensor narrow<int64_t>(DType, Dims, const std::vector<int64_t>&);
template Tensor narrow<uint64_t>(DType, Dims, const std::vector<uint64_t>&);

void require_floating(const Tensor& tensor, const char* what) {
  if (!is_floating(tensor.dtype())) {
    throw input_error(std::string("expected ") + what + " of a floating type, got " +
                      std::string(dtype_name(tensor.dtype())));
  }
}

void require_same_dtype(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype()) {
    throw input_error("expected inputs of one type, got " + std::string(dtype_name(a.dtype())) + " and " +
                      std::string(dtype_name(b.dtype())));
  }
}

void require_rank(const Tensor& tensor, size_t least, const char* what) {
  if (tensor.rank() < least) {
    throw input_error(std::string("expected ") + what + " of rank " + std::to_string(least) +
                      " or more, got shape " + to_string(tensor.dims()));
  }
}

void require_size(const Tensor& tensor, int64_t size, const char* what) {
  if (tensor.size() != size) {
    throw input_error(std::string("expected ") + what + " of " + std::to_string(size) +
                      " elements, got shape " + to_string(tensor.dims()));
  }
}

size_t require_axis(int64_t axis, size_t rank) {
  if (axis < 0 || axis >= static_cast<int64_t>(rank)) {
    throw input_error("expected an axis in [0," + std::to_string(rank) + "), got " + std::to_string(axis));
  }
  return static_cast<size_t>(axis);
}

int64_t product(const Dims& dims, size_t first, size_t last) {
  return element_count(Dims(dims.begin() + static_cast<std::ptrdiff_t>(first),
                            dims.begin() + static_cast<std::ptrdiff_t>(last)));
}

Dims broadcast_dims(const Dims& a, const Dims& b) {
  const Dims& longer = a.size() < b.size() ? b : a;
  const Dims& shorter = a.size() < b.size() ? a : b;
  Dims out = longer;
  const size_t shift = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& dim = out[shift + i];
    if (dim == 1) {
      dim = shorter[i];
    } else if (shorter[i] != 1 && shorter[i] != dim) {
      throw input_error("expected shapes that broadcast, got " + to_string(a) + " and " + to_string(b));
    }
  }
  return out;
}

Dims broadcast_strides(const Dims& from, const Dims& to) {
  const auto fail = [&] {
    return input_error("expected shape " + to_string(from) + " to broadcast to " + to_string(to));
  };
  if (from.size() > to.size()) throw fail();
  Dims strides(to.size(), 0);
  const Dims dense = reference::dense_strides(from);
  const size_t shift = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] == to[shift + i]) {
      strides[shift + i] = dense[i];
    } else if (from[i] != 1) {
      throw fail();
    }
  }
  return strides;
}

void apply_activation(const Activation& act, std::vector<double>& values) {
  const auto size = static_cast<int64_t>(values.size());
  switch (act.kind) {
    case ActKind::kNone:
      return;
    case ActKind::kRelu:
      return reference::unary(reference::Unary::kRelu, 0, 0, values.data(), size);
    case ActKind::kLeakyRelu:
      return reference::unary(reference::Unary::kLeakyRelu, act.a, 0, values.data(), size);
    case ActKind::kClip:
      return reference::unary(reference::Unary::kClip, act.a, act.b, values.data(), size);
  }
}

}  // namespace xdn
