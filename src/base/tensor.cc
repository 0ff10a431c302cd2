#include "base/tensor.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/error.h"

namespace xdn {

int64_t element_count(const Dims& dims, size_t element_size) {
  int64_t bytes = static_cast<int64_t>(element_size);
  bool empty = false;
  for (const int64_t dim : dims) {
    if (dim < 0) throw input_error("negative extent in shape " + to_string(dims));
    empty = empty || dim == 0;
  }
  if (empty) return 0;
  int64_t count = 1;
  for (const int64_t dim : dims) {
    if (__builtin_mul_overflow(bytes, dim, &bytes) || bytes > kMaxTensorBytes) {
      throw input_error("shape " + to_string(dims) + " is larger than " +
                        std::to_string(kMaxTensorBytes >> 30) + " GiB");
    }
    count *= dim;
  }
  return count;
}

std::string to_string(const Dims& dims) {
  std::string out = "[";
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i != 0) out += ',';
    out += dims[i] == kBatch ? "N" : std::to_string(dims[i]);
  }
  return out + "]";
}

void AlignedDelete::operator()(void* p) const { std::free(p); }

AlignedBytes allocate_aligned(size_t bytes, size_t alignment, bool zeroed) {
  const size_t rounded = (bytes / alignment + 1) * alignment;
  void* p = std::aligned_alloc(alignment, rounded);
  if (p == nullptr) throw failure("out of memory: " + std::to_string(bytes) + " bytes");
  if (zeroed) std::memset(p, 0, rounded);
  return AlignedBytes(static_cast<std::byte*>(p));
}

Tensor::Tensor(DType dtype, Dims dims)
    : dtype_(dtype), dims_(std::move(dims)), size_(element_count(dims_, dtype_size(dtype))), writable_(true) {
  AlignedBytes storage = allocate_aligned(bytes());
  data_ = storage.get();
  owner_ =
      std::shared_ptr<const void>(storage.release(), [](const void* p) { std::free(const_cast<void*>(p)); });
}

Tensor Tensor::view(DType dtype, Dims dims, std::shared_ptr<const void> owner, const void* data) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.size_ = element_count(dims, dtype_size(dtype));
  tensor.dims_ = std::move(dims);
  tensor.owner_ = std::move(owner);
  tensor.data_ = data;
  return tensor;
}

void* Tensor::mutable_raw() {
  if (size_ == 0) return const_cast<void*>(data_);
  if (!writable_ || owner_.use_count() != 1) {
    Tensor copy(dtype_, dims_);
    std::memcpy(const_cast<void*>(copy.data_), data_, bytes());
    *this = std::move(copy);
  }
  return const_cast<void*>(data_);
}

void Tensor::assign(const void* src, size_t count) {
  XDN_CHECK(count == bytes());
  if (count != 0) std::memcpy(mutable_raw(), src, count);
}

void Tensor::check_type(DType expected) const { XDN_CHECK(expected == dtype_); }

Tensor Tensor::reshaped(Dims dims) const {
  XDN_CHECK(element_count(dims) == size_);
  Tensor out = *this;
  out.dims_ = std::move(dims);
  return out;
}

namespace {

template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat16>) {
    return convert<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>) {
    return To(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != From{};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // Outside the range the C++ conversion is undefined: saturate, and NaN becomes 0.
    if (!(value == value)) return To{};
    if (value >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    if (value <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace

double Tensor::as_double(int64_t i) const {
  return dispatch_dtype(dtype_,
                        [&]<class T>() { return convert<double>(data<T>()[static_cast<size_t>(i)]); });
}

int64_t Tensor::as_int(int64_t i) const {
  return dispatch_dtype(dtype_,
                        [&]<class T>() { return convert<int64_t>(data<T>()[static_cast<size_t>(i)]); });
}

std::vector<int64_t> Tensor::to_ints() const {
  std::vector<int64_t> out(static_cast<size_t>(size_));
  for (size_t i = 0; i < out.size(); ++i) out[i] = as_int(static_cast<int64_t>(i));
  return out;
}

Tensor Tensor::converted(DType to) const {
  if (to == dtype_) return *this;
  Tensor out(to, dims_);
  dispatch_dtype(dtype_, [&]<class From>() {
    dispatch_dtype(to, [&]<class To>() {
      const auto src = data<From>();
      const auto dst = out.mutable_data<To>();
      for (size_t i = 0; i < src.size(); ++i) dst[i] = convert<To>(src[i]);
    });
  });
  return out;
}

}  // namespace xdn
