#pragma once

#include "formats/onnx/shape_arithmetic.h"

namespace xdn::onnx_io {

/// The extents that ONNX's Reshape gives x of shape `from`: 0 copies the extent at its place (unless
/// allow_zero), -1, or one extent computed from the batch, is what remains. The result has kBatch where it is
/// the free batch. leading_one_is_batch: where `from` has the batch and the target does not, a leading 1 of
/// the target is the batch. Throws an input error where the elements do not fit.
Dims reshape_target(const Dims& from, const SymTensor& target, bool allow_zero, bool leading_one_is_batch);

}  // namespace xdn::onnx_io
