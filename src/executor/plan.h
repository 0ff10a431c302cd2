#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "kernels/kernel_table.h"

namespace xdn {

/// An activation of one tile of n images. Layout H x W x N x C: element (h, w, image, c) stands at
/// ((h * width + w) * n + image) * ld + c, so the n rows of one position are contiguous and every tap of a
/// convolution is a plain matrix. Values of other ranks than 4 are one position whose channels are their
/// elements.
struct Buffer {
  int64_t height = 1, width = 1, channels = 0;
  int64_t ld = 0;      ///< floats from row to row: channels rounded up, and kept off multiples of 4 KiB
  int64_t offset = 0;  ///< floats from the arena's start
  int first_step = 0, last_step = 0;  ///< lifetime, for the arena

  int64_t positions() const { return height * width; }
  int64_t floats(int64_t n) const { return positions() * n * ld; }
};
using BufferId = int32_t;

/// Channels rounded up to whole vectors of 16, plus one vector where rows would otherwise lie 2 KiB or 4 KiB
/// multiples apart: 12 such rows share one set of an 8-way L1 cache (39 against 55 GMAC/s at 1024 channels;
/// bench/kernels).
int64_t padded_row(int64_t channels);

/// What a step sees while it runs: one tile of n images, and its share of the work (part of parts threads).
struct TileContext {
  int64_t n;
  float* arena;
  float* scratch;         ///< this thread's own, Plan::scratch_floats
  const uint8_t* pixels;  ///< n images NHWC, or null
  const float* nchw;      ///< n images NCHW, or null
  int part, parts;
};

/// One unit of work of a plan. run() neither throws nor allocates (FallbackStep excepted, which says so) and
/// may be called by several threads at once on different parts.
class Step {
 public:
  virtual ~Step() = default;
  virtual void run(const TileContext& context) const = 0;

  std::string layer;    ///< name of the graph node
  std::string kernel;   ///< what runs it, for people
  std::string refused;  ///< faster candidates that were refused, with reasons
  int64_t macs = 0;     ///< per image, effective
  int64_t weight_bytes = 0;
  std::vector<BufferId> reads, writes;
};

/// Everything that does not change from run to run.
struct Plan {
  std::vector<Buffer> buffers;
  std::vector<std::unique_ptr<Step>> steps;
  int64_t tile = 1;
  int64_t arena_floats = 0;
  int64_t scratch_floats = 0;
  Dims input_shape;  ///< c, h, w
  BufferId output = -1;
  int64_t output_size = 0;  ///< elements per image
};

/// Gives every buffer an offset so that buffers alive at the same step do not overlap, for tiles of plan.tile
/// images.
void plan_arena(Plan& plan);

/// Splits `count` units over parts; [first, last) is part's share.
struct Share {
  int64_t first, last;
};
inline Share share_of(int64_t count, int part, int parts) {
  return {count * part / parts, count * (part + 1) / parts};
}

}  // namespace xdn
