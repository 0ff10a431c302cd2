#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "executor/dense_step.h"
#include "kernels/gemm_block.h"

namespace xdn {

using kernels::GemmF32Args;
using kernels::GemmPair;
using kernels::KernelTable;

bool stem_pays(int64_t ic, int64_t kernel_h, int64_t kernel_w, int64_t group) {
  return group == 1 && ic < 8 && kernel_h * kernel_w > 1 && kernel_w * ic <= 256 && kernel_h <= 32;
}

namespace {

/// Rows of patches packed before they are multiplied: 48 rows of 160 floats fill a 32 KiB L1 cache.
constexpr int64_t kPatchRows = 48;

class StemStep final : public Step {
 public:
  StemStep(Plan& plan, const DenseSpec& spec, const PixelMap* pixels, const Dims& input_shape,
           const KernelTable& table);
  void run(const TileContext& context) const override;

 private:
  void fold(const DenseSpec& spec, const PixelMap* pixels);
  void pack_patch(const TileContext& context, int64_t y, int64_t x, int64_t image, float* dst) const;

  /// Output positions of one line that share a bias, at most kPatchRows of them.
  struct Run {
    int64_t y, x, count;
    int32_t bias;
  };

  const KernelTable& table_;
  const std::vector<Buffer>& buffers_;
  DenseOperand operand_;
  BufferId dst_;
  bool from_pixels_;
  int64_t src_h_, src_w_, src_c_;
  int64_t k_, ldk_;
  ActArgs act_;
  std::vector<Panel> panels_;
  int64_t panel_floats_ = 0;
  PackedWeights weights_;  ///< [panel][k][columns], k = (ky, kx, c)
  std::vector<std::vector<float>> biases_;
  std::vector<Run> runs_;
};

StemStep::StemStep(Plan& plan, const DenseSpec& spec, const PixelMap* pixels, const Dims& input_shape,
                   const KernelTable& table)
    : table_(table),
      buffers_(plan.buffers),
      operand_(spec.operands[0]),
      dst_(spec.dst),
      from_pixels_(pixels != nullptr),
      src_h_(input_shape[1]),
      src_w_(input_shape[2]),
      src_c_(input_shape[0]),
      k_(operand_.kernel_h * operand_.kernel_w * src_c_),
      ldk_(padded_row(k_)),
      act_(act_args(spec.act)) {
  const Buffer& dst = plan.buffers[static_cast<size_t>(dst_)];
  panels_ = make_panels(dst.channels, table, false);
  for (const Panel& panel : panels_) panel_floats_ += panel.vectors * table.lanes;
  fold(spec, pixels);
  operand_.weights = nullptr;
  plan.scratch_floats = std::max(plan.scratch_floats, std::max(kPatchRows, plan.tile) * ldk_);
  if (!from_pixels_) reads = {operand_.src};
  writes = {dst_};
  weight_bytes = weights_.floats * static_cast<int64_t>(sizeof(float));
  kernel = fmt::format("stem_f32 {} from {} over {}x{}x{} patches", table.bundle, from_pixels_ ? "u8" : "f32",
                       operand_.kernel_h, operand_.kernel_w, src_c_);
}

/// w'[ky][kx][c] = w[ky][kx][m] * scale[m], bias'[position] = bias + sum of w * shift over the taps inside
/// the image, for the model channel m that byte channel c feeds; in double.
void StemStep::fold(const DenseSpec& spec, const PixelMap* pixels) {
  const Buffer& dst = buffers_[static_cast<size_t>(dst_)];
  const int64_t oc = dst.channels, kh = operand_.kernel_h, kw = operand_.kernel_w;
  const float* w = operand_.weights->data<float>().data();
  weights_ = PackedWeights(k_ * panel_floats_);
  std::vector<double> tap_shift(static_cast<size_t>(kh * kw * oc), 0.0);
  for (const Panel& panel : panels_) {
    const int64_t columns = panel.vectors * table_.lanes;
    float* block = weights_.data() + k_ * panel.first;
    for (int64_t j = 0; j < std::min(columns, oc - panel.first); ++j) {
      for (int64_t m = 0; m < src_c_; ++m) {
        const int64_t c = pixels == nullptr ? m : pixels->source_channel[static_cast<size_t>(m)];
        const double scale =
            pixels == nullptr ? 1.0 : static_cast<double>(pixels->scale[static_cast<size_t>(m)]);
        const double shift =
            pixels == nullptr ? 0.0 : static_cast<double>(pixels->shift[static_cast<size_t>(m)]);
        for (int64_t t = 0; t < kh * kw; ++t) {
          const double weight = static_cast<double>(w[((panel.first + j) * src_c_ + m) * kh * kw + t]);
          // Two model channels may read the same byte (grey images): their weights add up.
          block[(t * src_c_ + c) * columns + j] += static_cast<float>(weight * scale);
          tap_shift[static_cast<size_t>(t * oc + panel.first + j)] += weight * shift;
        }
      }
    }
  }
  std::map<std::vector<bool>, int32_t> classes;
  for (int64_t y = 0; y < dst.height; ++y) {
    for (int64_t x = 0; x < dst.width; ++x) {
      std::vector<bool> inside(static_cast<size_t>(kh * kw));
      for (int64_t t = 0; t < kh * kw; ++t) {
        const int64_t sy = y * operand_.stride_h - operand_.pad_top + t / kw * operand_.dilation_h;
        const int64_t sx = x * operand_.stride_w - operand_.pad_left + t % kw * operand_.dilation_w;
        inside[static_cast<size_t>(t)] = sy >= 0 && sy < src_h_ && sx >= 0 && sx < src_w_;
        if (inside[static_cast<size_t>(t)]) macs += oc * src_c_;
      }
      std::vector<bool> key = pixels == nullptr ? std::vector<bool>() : inside;
      const auto [found, added] = classes.try_emplace(std::move(key), static_cast<int32_t>(biases_.size()));
      if (added) {
        std::vector<float> bias(static_cast<size_t>(panel_floats_), 0.0f);
        for (int64_t j = 0; j < oc; ++j) {
          double sum = spec.bias == nullptr ? 0.0 : static_cast<double>(spec.bias[j]);
          for (int64_t t = 0; t < kh * kw; ++t) {
            if (inside[static_cast<size_t>(t)]) sum += tap_shift[static_cast<size_t>(t * oc + j)];
          }
          bias[static_cast<size_t>(j)] = static_cast<float>(sum);
        }
        biases_.push_back(std::move(bias));
      }
      if (x > 0 && runs_.back().bias == found->second && runs_.back().count < kPatchRows) {
        ++runs_.back().count;
      } else {
        runs_.push_back({y, x, 1, found->second});
      }
    }
  }
}

void StemStep::pack_patch(const TileContext& context, int64_t y, int64_t x, int64_t image, float* dst) const {
  const int64_t kw = operand_.kernel_w, line = kw * src_c_;
  const int64_t x0 = x * operand_.stride_w - operand_.pad_left;
  const bool dense = operand_.dilation_w == 1;
  const int64_t first = dense ? std::clamp<int64_t>(-x0, 0, kw) : 0;
  const int64_t last = dense ? std::clamp<int64_t>(src_w_ - x0, first, kw) : 0;
  const auto zero = [](float* p, int64_t count) {
    for (int64_t i = 0; i < count; ++i) p[i] = 0.0f;
  };
  for (int64_t ky = 0; ky < operand_.kernel_h; ++ky, dst += line) {
    const int64_t sy = y * operand_.stride_h - operand_.pad_top + ky * operand_.dilation_h;
    if (sy < 0 || sy >= src_h_) {
      zero(dst, line);
      continue;
    }
    if (from_pixels_ && dense) {
      const uint8_t* src = context.pixels + ((image * src_h_ + sy) * src_w_ + x0) * src_c_;
      zero(dst, first * src_c_);
      table_.u8_to_f32(dst + first * src_c_, src + first * src_c_, (last - first) * src_c_);
      zero(dst + last * src_c_, (kw - last) * src_c_);
      continue;
    }
    for (int64_t kx = 0; kx < kw; ++kx) {
      const int64_t sx = x0 + kx * operand_.dilation_w;
      float* d = dst + kx * src_c_;
      if (sx < 0 || sx >= src_w_) {
        zero(d, src_c_);
      } else if (from_pixels_) {
        table_.u8_to_f32(d, context.pixels + ((image * src_h_ + sy) * src_w_ + sx) * src_c_, src_c_);
      } else {
        const Buffer& src = buffers_[static_cast<size_t>(operand_.src)];
        const float* s = context.arena + src.offset + ((sy * src_w_ + sx) * context.n + image) * src.ld;
        for (int64_t c = 0; c < src_c_; ++c) d[c] = s[c];
      }
    }
  }
}

void StemStep::run(const TileContext& context) const {
  const Buffer& dst = buffers_[static_cast<size_t>(dst_)];
  const Share share = share_of(static_cast<int64_t>(runs_.size()), context.part, context.parts);
  const int64_t n = context.n;
  const int64_t chunk = std::max<int64_t>(1, kPatchRows / n);
  for (int64_t i = share.first; i < share.last; ++i) {
    const Run& r = runs_[static_cast<size_t>(i)];
    for (int64_t at = 0; at < r.count; at += chunk) {
      const int64_t positions = std::min(chunk, r.count - at);
      for (int64_t p = 0; p < positions; ++p) {
        for (int64_t image = 0; image < n; ++image) {
          pack_patch(context, r.y, r.x + at + p, image, context.scratch + (p * n + image) * ldk_);
        }
      }
      for (const Panel& panel : panels_) {
        const int64_t columns = panel.vectors * table_.lanes;
        const GemmPair pair{context.scratch, weights_.data() + k_ * panel.first, k_, ldk_};
        GemmF32Args args{};
        args.pairs = &pair;
        args.n_pairs = 1;
        args.c = context.arena + dst.offset + (r.y * dst.width + r.x + at) * n * dst.ld + panel.first;
        args.ldc = dst.ld;
        args.bias = biases_[static_cast<size_t>(r.bias)].data() + panel.first;
        args.act = act_.act;
        args.lo = act_.lo;
        args.hi = act_.hi;
        args.panel_columns = columns;
        args.store_columns = panel.columns;
        gemm_f32_rows(table_, panel.vectors, args, positions * n);
      }
    }
  }
}

}  // namespace

std::unique_ptr<Step> make_stem_step(Plan& plan, const DenseSpec& spec, const PixelMap* pixels,
                                     const Dims& input_shape, const KernelTable& table) {
  return std::make_unique<StemStep>(plan, spec, pixels, input_shape, table);
}

}  // namespace xdn
