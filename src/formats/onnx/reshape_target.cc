#include "formats/onnx/reshape_target.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "formats/onnx/tensor_proto.h"

namespace xdn::onnx_io {
namespace {

/// A product of extents: fixed, or fixed times N.
struct Product {
  int64_t fixed = 1;
  int64_t batches = 0;
};

Product product_of(const Dims& dims) {
  Dims fixed;
  std::copy_if(dims.begin(), dims.end(), std::back_inserter(fixed),
               [](int64_t extent) { return extent != kBatch; });
  return {element_count(fixed), static_cast<int64_t>(dims.size() - fixed.size())};
}

/// The extent that makes from = rest * extent; nothing where there is none, or it would mix the batch with
/// others.
std::optional<int64_t> remaining_extent(const Product& from, const Product& rest) {
  if (from.batches == rest.batches) {
    if (rest.fixed == 0 || from.fixed % rest.fixed != 0) return std::nullopt;
    return from.fixed / rest.fixed;
  }
  if (from.batches == rest.batches + 1 && from.fixed == rest.fixed) return kBatch;
  return std::nullopt;
}

struct Target {
  Dims dims;                      ///< 1 at the extent that remains
  std::optional<size_t> remains;  ///< its place
};

/// Nothing unless the target has exactly the elements of `from`.
std::optional<Dims> solve(const Dims& from, Target target) {
  if (target.remains) {
    const auto extent = remaining_extent(product_of(from), product_of(target.dims));
    if (!extent) return std::nullopt;
    target.dims[*target.remains] = *extent;
  }
  const Product have = product_of(from), want = product_of(target.dims);
  if (have.fixed != want.fixed || have.batches != want.batches) return std::nullopt;
  return target.dims;
}

}  // namespace

Dims reshape_target(const Dims& from, const SymTensor& target, bool allow_zero, bool leading_one_is_batch) {
  const std::string wanted = to_string(target);
  if (target.elements.size() > kMaxRank) throw input_error("cannot reshape to more than 16 dimensions");
  Target resolved;
  for (size_t i = 0; i < target.elements.size(); ++i) {
    const SymInt& e = target.elements[i];
    if (e.is_batch()) {
      resolved.dims.push_back(kBatch);
    } else if (e.is_known(0) && !allow_zero) {
      if (i >= from.size()) {
        throw input_error("cannot reshape " + to_string(from) + " to " + wanted + ": there is no dimension " +
                          std::to_string(i) + " to copy");
      }
      resolved.dims.push_back(from[i]);
    } else if (!e.is_known() || e.value == -1) {
      if (resolved.remains)
        throw input_error("cannot reshape to " + wanted + ": more than one extent is open");
      resolved.remains = i;
      resolved.dims.push_back(1);
    } else {
      if (e.value < 0) throw input_error("cannot reshape to " + wanted + ": an extent is negative");
      resolved.dims.push_back(e.value);
    }
  }
  if (const auto dims = solve(from, resolved)) return *dims;
  const bool leading_one = !target.elements.empty() && target.elements[0].is_known(1);
  if (leading_one_is_batch && leading_one) {
    resolved.dims[0] = kBatch;
    if (const auto dims = solve(from, resolved)) return *dims;
  }
  throw input_error("cannot reshape " + to_string(from) + " to " + wanted);
}

}  // namespace xdn::onnx_io
