#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/op.h"

namespace xdn::onnx_io {

/// An integer known when the model is loaded, the free batch N (at least 1) itself, or something computed
/// from it.
struct SymInt {
  enum class Kind : uint8_t { kKnown, kBatch, kUnknown };
  Kind kind = Kind::kUnknown;
  int64_t value = 0;  ///< of kKnown

  static SymInt known(int64_t value) { return {Kind::kKnown, value}; }
  static SymInt batch() { return {Kind::kBatch, 0}; }
  static SymInt unknown() { return {}; }
  bool is_known() const { return kind == Kind::kKnown; }
  bool is_known(int64_t wanted) const { return is_known() && value == wanted; }
  bool is_batch() const { return kind == Kind::kBatch; }
  bool operator==(const SymInt&) const = default;
};

/// A small integer tensor as shape computations use them: i64, i32 or b8; extents are known.
struct SymTensor {
  DType dtype = DType::kI64;
  Dims dims;
  std::vector<SymInt> elements;

  bool is_known() const;
};

/// More elements than any shape computation has are not tracked.
inline constexpr int64_t kMaxSymElements = int64_t{1} << 16;

bool is_shape_dtype(DType dtype);
/// Nothing for other element types or too many elements.
std::optional<SymTensor> sym_from_tensor(const Tensor& tensor);
/// The vector [shape...], N where the shape has kBatch.
SymTensor sym_from_shape(const Dims& shape);
/// All elements must be known.
Tensor tensor_from_sym(const SymTensor& sym);
using xdn::to_string;
/// "[N,3,?]"
std::string to_string(const SymTensor& sym);

/// One op of the list on tracked tensors. Nothing where the op is not evaluated here or the result would be
/// too large; an input error where operands do not fit.
std::optional<SymTensor> evaluate_sym(OpType type, const OpAttrs& attrs,
                                      std::span<const SymTensor* const> inputs);

/// Operators of shape computations that the graph does not have.
std::optional<SymTensor> sym_min(const SymTensor& a, const SymTensor& b);
std::optional<SymTensor> sym_equal(const SymTensor& a, const SymTensor& b);
std::optional<SymTensor> sym_where(const SymTensor& condition, const SymTensor& a, const SymTensor& b);

}  // namespace xdn::onnx_io
