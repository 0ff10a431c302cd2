#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"

namespace xdn {

/// Extents, outermost first. In a Graph, and only there, kBatch stands for the free batch dimension.
using Dims = std::vector<int64_t>;
inline constexpr int64_t kBatch = -1;

/// The product of dims. Throws an input error on a negative extent or when the product, or the product times
/// element_size, would not fit in kMaxTensorBytes.
int64_t element_count(const Dims& dims, size_t element_size = 1);
inline constexpr int64_t kMaxTensorBytes = int64_t{1} << 36;

/// "[N,3,32,32]"
std::string to_string(const Dims& dims);

/// A dense row-major array. Copies share the storage; mutable_data() makes it unshared first.
class Tensor {
 public:
  Tensor() = default;
  /// Zero-filled. Throws as element_count does.
  Tensor(DType dtype, Dims dims);
  /// For a caller who writes every element: what they hold until then is unspecified.
  static Tensor uninitialized(DType dtype, Dims dims);
  /// Reads memory that owner keeps alive; it is copied only if somebody wants to write.
  static Tensor view(DType dtype, Dims dims, std::shared_ptr<const void> owner, const void* data);
  /// The elements stand in `bytes` bytes at data.
  static Tensor copy(DType dtype, Dims dims, const void* data, size_t bytes);
  template <class T>
  static Tensor of(Dims dims, std::span<const T> values) {
    return copy(DTypeOf<T>::value, std::move(dims), values.data(), values.size_bytes());
  }
  template <class T>
  static Tensor of(Dims dims, const std::vector<T>& values) {
    return of(std::move(dims), std::span<const T>(values));
  }
  template <class T>
  static Tensor scalar(T value) {
    return of(Dims{}, std::span<const T>(&value, 1));
  }

  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  int64_t dim(size_t axis) const { return dims_[axis]; }
  size_t rank() const { return dims_.size(); }
  int64_t size() const { return size_; }
  size_t bytes() const { return static_cast<size_t>(size_) * dtype_size(dtype_); }

  const void* raw() const { return data_; }
  void* mutable_raw();
  /// The elements; T must be the element type.
  template <class T>
  std::span<const T> data() const {
    check_type(DTypeOf<T>::value);
    return {static_cast<const T*>(data_), static_cast<size_t>(size_)};
  }
  template <class T>
  std::span<T> mutable_data() {
    check_type(DTypeOf<T>::value);
    return {static_cast<T*>(mutable_raw()), static_cast<size_t>(size_)};
  }

  /// The same elements under other extents of the same product.
  Tensor reshaped(Dims dims) const;
  /// Element i converted to double or int64 (truncating); for small attribute-like tensors.
  double as_double(int64_t i) const;
  int64_t as_int(int64_t i) const;
  /// All elements as int64.
  std::vector<int64_t> to_ints() const;
  /// A copy with elements converted by C++ conversion rules (Half and BFloat16 through float).
  Tensor converted(DType to) const;

 private:
  Tensor(DType dtype, Dims dims, bool zeroed);
  void check_type(DType expected) const;

  DType dtype_ = DType::kF32;
  Dims dims_{0};
  int64_t size_ = 0;
  std::shared_ptr<const void> owner_;
  const void* data_ = nullptr;
  bool writable_ = false;  ///< storage is ours, not a view
};

/// 64-byte aligned memory, zero-filled on request. Never null; throws failure() when memory is short.
struct AlignedDelete {
  void operator()(void* p) const;
};
using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;
AlignedBytes allocate_aligned(size_t bytes, size_t alignment = 64, bool zeroed = true);

}  // namespace xdn
