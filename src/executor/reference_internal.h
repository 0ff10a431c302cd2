#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "executor/reference.h"
#include "graph/graph.h"

namespace xdn {

/// One node to evaluate: its attributes and its inputs by position.
struct Evaluation {
  const Node& node;
  std::span<const Tensor* const> inputs;

  /// The input, which the operator needs: an input error where it is absent.
  const Tensor& input(size_t i) const;
  /// Null where it is absent.
  const Tensor* optional(size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
};

// One function per family of operators: each evaluates what evaluate_node sends it.
Tensor evaluate_conv(const Evaluation& e);
Tensor evaluate_pool(const Evaluation& e);
Tensor evaluate_lrn(const Evaluation& e);
Tensor evaluate_gemm(const Evaluation& e);
Tensor evaluate_matmul(const Evaluation& e);
Tensor evaluate_binary(const Evaluation& e);
Tensor evaluate_pow(const Evaluation& e);
Tensor evaluate_unary(const Evaluation& e);
Tensor evaluate_batch_norm(const Evaluation& e);
Tensor evaluate_softmax(const Evaluation& e);
Tensor evaluate_reduce_mean(const Evaluation& e);
Tensor evaluate_quantize(const Evaluation& e);
Tensor evaluate_dequantize(const Evaluation& e);
Tensor evaluate_reshape(const Evaluation& e);
Tensor evaluate_flatten(const Evaluation& e);
Tensor evaluate_transpose(const Evaluation& e);
Tensor evaluate_concat(const Evaluation& e);
Tensor evaluate_slice(const Evaluation& e);
Tensor evaluate_pad(const Evaluation& e);
Tensor evaluate_gather(const Evaluation& e);

// reference_types.cc
/// The elements in the type arithmetic happens in: W is double for any type, or the 64-bit integer of the
/// tensor's signedness.
template <class W>
std::vector<W> widen(const Tensor& tensor);
/// Back to the type that is stored: floating types round once, integers keep their low bits.
template <class W>
Tensor narrow(DType dtype, Dims dims, const std::vector<W>& values);

/// Calls f.template operator()<W>() with the type arithmetic on dtype happens in. b8 is an input error.
template <class F>
decltype(auto) dispatch_wide(DType dtype, F&& f) {
  if (is_floating(dtype)) return f.template operator()<double>();
  switch (dtype) {
    case DType::kU8:
    case DType::kU16:
    case DType::kU32:
    case DType::kU64:
      return f.template operator()<uint64_t>();
    case DType::kBool:
      throw input_error("expected numbers, got b8");
    default:
      return f.template operator()<int64_t>();
  }
}

/// Input errors unless the condition on the tensor holds; `what` names the input.
void require_floating(const Tensor& tensor, const char* what);
void require_same_dtype(const Tensor& a, const Tensor& b);
void require_rank(const Tensor& tensor, size_t least, const char* what);
/// `what` has exactly `size` elements, or an input error.
void require_size(const Tensor& tensor, int64_t size, const char* what);
/// axis as an index into dims; an input error unless 0 <= axis < rank.
size_t require_axis(int64_t axis, size_t rank);

/// The product of dims[first, last).
int64_t product(const Dims& dims, size_t first, size_t last);
/// The extents a and b broadcast to, as numpy does it, or an input error.
Dims broadcast_dims(const Dims& a, const Dims& b);
/// Strides for reading a dense tensor of extents `from` as `to`; 0 along broadcast axes. An input error where
/// it does not broadcast to that.
Dims broadcast_strides(const Dims& from, const Dims& to);

void apply_activation(const Activation& act, std::vector<double>& values);

}  // namespace xdn
