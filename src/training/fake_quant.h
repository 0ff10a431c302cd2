#pragma once

#include <torch/types.h>

#include "base/tensor.h"

namespace xdn::training {

/// The levels that a tensor's numbers are rounded to, less their zero points: low ... high, by channel along
/// one axis or one for all.
struct LevelGrid {
  int64_t axis = 0;        ///< of the channels, where there are several
  at::Tensor low, high;    ///< f64 [channels] or [1], on the CPU
  at::Tensor zero;         ///< i64, likewise
  bool is_wide = false;    ///< levels of more than 22 bits, computed in f64
  bool has_batch = false;  ///< the first axis counts images
  int64_t channels() const { return low.numel(); }
};

/// q * scale with q = clamp(round(x / scale), low, high): half to even, the quotient and the product in f32
/// (a wide grid's quotient in f64), as QuantizeLinear and DequantizeLinear compute it. NaN stays NaN, so that
/// a run that diverges is seen.
///
/// x and scale [channels] or [1] are f32. Gradients, y being the result:
///   dx = dy where low <= round(x / scale) <= high, else 0        (straight through)
///   dscale = sum of dy * (q - x / scale where inside, else q) / sqrt(n * max(high, -low))
/// over the n elements of a channel, of one image where the grid has a batch: Esser et al., Learned Step Size
/// Quantization, ICLR 2020. One pass over memory each way on a CPU, of the same bits for any number of
/// threads; elsewhere, and by_ops, libtorch's operators.
at::Tensor fake_quantize(const at::Tensor& x, const at::Tensor& scale, const LevelGrid& grid,
                         bool by_ops = false);

/// What the levels stand for: (level - zero) * scale in f32.
at::Tensor from_levels(const Tensor& levels, const at::Tensor& scale, const LevelGrid& grid);
/// The levels that fake_quantize rounds to, with their zero points, in the type of `before`: a tensor of the
/// shape of x, whose levels stay where they already stand for x exactly.
Tensor to_levels(const at::Tensor& x, const at::Tensor& scale, const LevelGrid& grid, const Tensor& before);

}  // namespace xdn::training
