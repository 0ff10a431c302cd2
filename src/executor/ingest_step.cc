#include <algorithm>
#include <array>
#include <cmath>

#include "base/dtype.h"
#include "executor/simple_steps.h"
#include "executor/unit_step.h"

namespace xdn {
namespace {

template <class T>
T element_of(float x, const QuantScale& quant) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return BFloat16(x);
  } else {
    // ONNX's QuantizeLinear.
    const float scaled = x / quant.scale;
    const float level = (std::isnan(scaled) ? 0.0f : std::nearbyint(scaled)) + static_cast<float>(quant.zero);
    return static_cast<uint8_t>(std::clamp(level, 0.0f, 255.0f));
  }
}

template <class T>
class IngestStep final : public Step {
 public:
  IngestStep(const Plan& plan, const IngestSpec& spec)
      : dst_{&plan, spec.dst}, spec_(spec), border_(element_of<T>(0.0f, spec.quant)) {
    kernel = std::string("ingest ") + (spec.pixels != nullptr ? "u8" : "f32");
    writes = {spec.dst};
    from_pixels_ = spec.pixels != nullptr;
    spec_.pixels = nullptr;
    for (size_t c = 0; from_pixels_ && c < spec.pixels->scale.size(); ++c) {
      source_channel_.push_back(spec.pixels->source_channel[c]);
      for (size_t byte = 0; byte < 256; ++byte) {
        const float x = static_cast<float>(byte) * spec.pixels->scale[c] + spec.pixels->shift[c];
        levels_.push_back(element_of<T>(x, spec.quant));
      }
    }
  }

  void run(const TileContext& context) const override {
    const Buffer& b = dst_.get();
    // Threads share the lines of all images.
    const Share share = share_of(context.n * b.height, context.part, context.parts);
    for (int64_t unit = share.first; unit < share.last; ++unit) {
      const int64_t image = unit / b.height, y = unit % b.height;
      T* line = dst_.row<T>(context, y * b.width, image);
      const int64_t step = b.image_stride > 0 ? b.channels : context.n * b.ld;
      const int64_t inner = y - spec_.pad_top;
      if (inner < 0 || inner >= spec_.height) {
        fill(line, 0, b.width, step);
        continue;
      }
      const int64_t right = std::min(spec_.pad_left + spec_.width, b.width);
      fill(line, 0, spec_.pad_left, step);
      from_pixels_ ? copy_pixels(context, image, inner, line, right, step)
                   : copy_floats(context, image, inner, line, right, step);
      fill(line, right, b.width, step);
      if (b.image_stride > 0 && y + 1 == b.height) {
        std::fill(line + b.width * b.channels, dst_.row<T>(context, 0, image) + b.image_stride, border_);
      }
    }
  }

 private:
  void fill(T* line, int64_t first, int64_t last, int64_t step) const {
    for (int64_t x = first; x < last; ++x) std::fill_n(line + x * step, dst_.get().channels, border_);
  }
  void copy_pixels(const TileContext& context, int64_t image, int64_t y, T* line, int64_t right,
                   int64_t step) const {
    const auto channels = static_cast<int64_t>(source_channel_.size());
    const uint8_t* src = context.pixels + (image * spec_.height + y) * spec_.width * channels;
    for (int64_t x = spec_.pad_left; x < right; ++x, src += channels) {
      for (int64_t c = 0; c < channels; ++c) {
        line[x * step + c] =
            levels_[static_cast<size_t>(c * 256 + src[source_channel_[static_cast<size_t>(c)]])];
      }
    }
  }
  void copy_floats(const TileContext& context, int64_t image, int64_t y, T* line, int64_t right,
                   int64_t step) const {
    const int64_t channels = dst_.get().channels, plane = spec_.height * spec_.width;
    const float* src = context.nchw + image * channels * plane + y * spec_.width;
    for (int64_t c = 0; c < channels; ++c, src += plane) {
      for (int64_t x = spec_.pad_left; x < right; ++x) {
        line[x * step + c] = element_of<T>(src[x - spec_.pad_left], spec_.quant);
      }
    }
  }

  BufferRef dst_;
  IngestSpec spec_;
  T border_;  ///< what stands for zero
  bool from_pixels_;
  std::vector<int> source_channel_;
  std::vector<T> levels_;  ///< [channel][byte]
};

}  // namespace

std::unique_ptr<Step> make_ingest_step(const Plan& plan, const IngestSpec& spec) {
  switch (plan.buffer(spec.dst).elem) {
    case Elem::kF32:
      return std::make_unique<IngestStep<float>>(plan, spec);
    case Elem::kBf16:
      return std::make_unique<IngestStep<BFloat16>>(plan, spec);
    case Elem::kU8:
      break;
  }
  return std::make_unique<IngestStep<uint8_t>>(plan, spec);
}

}  // namespace xdn
