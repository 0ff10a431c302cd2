#include "base/tensor.h"

#include <sys/mman.h>

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

namespace {

/// From here on a tensor has pages of its own: they come zeroed without being touched, and go back to the
/// system when the tensor goes, whatever the allocator would keep.
constexpr size_t kOwnPages = size_t{1} << 20;

std::shared_ptr<const void> allocate_pages(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw failure("out of memory: " + std::to_string(bytes) + " bytes");
  madvise(p, bytes, MADV_HUGEPAGE);
  return {p, [bytes](const void* pages) { munmap(const_cast<void*>(pages), bytes); }};
}

std::shared_ptr<const void> allocate_storage(size_t bytes, bool zeroed) {
  if (bytes >= kOwnPages) return allocate_pages(bytes);
  return {allocate_aligned(bytes, 64, zeroed).release(),
          [](const void* p) { std::free(const_cast<void*>(p)); }};
}

}  // namespace

Tensor::Tensor(DType dtype, Dims dims, bool zeroed)
    : dtype_(dtype),
      dims_(std::move(dims)),
      size_(element_count(dims_, dtype_size(dtype))),
      owner_(allocate_storage(bytes(), zeroed)),
      data_(owner_.get()),
      writable_(true) {}

Tensor::Tensor(DType dtype, Dims dims) : Tensor(dtype, std::move(dims), true) {}

Tensor Tensor::uninitialized(DType dtype, Dims dims) { return {dtype, std::move(dims), false}; }

Tensor Tensor::copy(DType dtype, Dims dims, const void* data, size_t bytes) {
  Tensor tensor = uninitialized(dtype, std::move(dims));
  XDN_CHECK(bytes == tensor.bytes());
  if (bytes != 0) std::memcpy(tensor.mutable_raw(), data, bytes);
  return tensor;
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
    *this = copy(dtype_, dims_, data_, bytes());
  }
  return const_cast<void*>(data_);
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
  Tensor out = uninitialized(to, dims_);
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
