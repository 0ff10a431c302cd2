#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "executor/executor.h"
#include "kernels/kernel_table.h"

namespace xdn {

using kernels::Elem;
using kernels::QuantScale;

/// An activation of one tile of n images. Layout H x W x N x C: element (h, w, image, c) stands at
/// ((h * width + w) * n + image) * ld + c, so the n rows of one position are contiguous and every tap of a
/// convolution is a plain matrix. Values of other ranks than 4 are one position whose channels are their
/// elements.
///
/// image_stride > 0: N x H x W x C instead, without gaps inside an image, border included: what a convolution
/// of few channels reads. Element (h, w, image, c) stands at image * image_stride + (h * width + w) *
/// channels + c.
struct Buffer {
  int64_t height = 1, width = 1, channels = 0;
  Elem elem = Elem::kF32;
  int64_t ld = 0;  ///< elements from row to row: channels rounded up, and kept off multiples of 4 KiB
  int64_t image_stride = 0;           ///< elements
  int64_t offset = 0;                 ///< bytes from the arena's start
  int first_step = 0, last_step = 0;  ///< lifetime, for the arena
  int32_t in_place_of = -1;           ///< the buffer whose memory this one takes over

  int64_t positions() const { return height * width; }
  int64_t row_bytes() const { return ld * kernels::elem_bytes(elem); }
  /// From one position to the next, and from one image to the next, for a tile of n.
  int64_t position_bytes(int64_t n) const {
    return image_stride > 0 ? channels * kernels::elem_bytes(elem) : n * row_bytes();
  }
  int64_t image_bytes() const {
    return image_stride > 0 ? image_stride * kernels::elem_bytes(elem) : row_bytes();
  }
  int64_t bytes(int64_t n) const {
    return image_stride > 0 ? n * image_bytes() : positions() * n * row_bytes();
  }
};
using BufferId = int32_t;

/// Channels rounded up to whole vectors of 16, plus one cache line where rows would otherwise lie 2 KiB or 4
/// KiB multiples apart: 12 such rows share one set of an 8-way L1 cache (39 against 55 GMAC/s at 1024 f32
/// channels; bench/kernels).
int64_t padded_row(int64_t channels, Elem elem = Elem::kF32);

/// What a step sees while it runs: one tile of n images, and its share of the work (part of parts threads).
struct TileContext {
  int64_t n;
  std::byte* arena;
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

  std::string layer;                            ///< name of the graph node
  std::string kernel;                           ///< what runs it, for people
  std::string refused;                          ///< faster candidates that were refused, with reasons
  kernels::Arith arith = kernels::Arith::kF32;  ///< whose peak the MACs are measured against
  int64_t macs = 0;                             ///< per image, effective
  int64_t weight_bytes = 0;
  LayerLayout layout;  ///< see StepReport
  std::vector<BufferId> reads, writes;
  /// One of `reads` whose elements are each read just before the same element of the only one of `writes` is
  /// stored, and by no other way: it may share its memory. -1: none.
  BufferId overwrites = -1;
};

/// A value that somebody wants to see, complete in its buffer once the step has run.
struct ObservedBuffer {
  size_t index;  ///< in LowerOptions::observed
  BufferId buffer;
  size_t step;
};

/// Everything that does not change from run to run.
struct Plan {
  std::vector<Buffer> buffers;
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<ObservedBuffer> observed;  ///< by step
  int64_t tile = 1;
  bool huge_pages = true;  ///< asked for, for packed weights
  int64_t arena_bytes = 0;
  Dims input_shape;  ///< c, h, w
  BufferId output = -1;
  int64_t output_size = 0;  ///< elements per image

  const Buffer& buffer(BufferId id) const { return buffers[static_cast<size_t>(id)]; }
};

/// Fills the buffers' lifetimes from the steps, lets results take over the memory of what they overwrite
/// where that is not needed later, and gives every buffer an offset so that buffers alive at the same step do
/// not overlap, for tiles of plan.tile images.
void plan_arena(Plan& plan);

/// Splits `count` units over parts; [first, last) is part's share.
struct Share {
  int64_t first, last;
};
inline Share share_of(int64_t count, int part, int parts) {
  return {count * part / parts, count * (part + 1) / parts};
}

}  // namespace xdn
