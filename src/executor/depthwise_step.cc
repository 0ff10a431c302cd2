#include <map>

#include "executor/simple_steps.h"

namespace xdn {
namespace {

constexpr int64_t kMostTaps = 256;

/// One filter per channel: rows of one position are contiguous, so a tap is an elementwise product by its row
/// of weights.
class DepthwiseStep final : public Step {
 public:
  DepthwiseStep(const Plan& plan, const DenseSpec& spec, const kernels::KernelTable& table)
      : table_(table),
        plan_(plan),
        operand_(spec.operands[0]),
        dst_(spec.dst),
        channels_(plan.buffer(spec.dst).channels),
        epilogue_(spec.epilogue),
        bias_(spec.bias),
        scale_(spec.scale) {
    arith = spec.arith;
    const int64_t taps = operand_.kernel_h * operand_.kernel_w;
    weights_.resize(static_cast<size_t>(taps * channels_));  // [tap][channel]
    for (int64_t c = 0; c < channels_; ++c) {
      for (int64_t t = 0; t < taps; ++t) {
        const auto from = static_cast<size_t>(c * taps + t);
        weights_[static_cast<size_t>(t * channels_ + c)] =
            operand_.levels != nullptr ? static_cast<float>(operand_.levels[from]) : operand_.weights[from];
      }
    }
    bias_.resize(static_cast<size_t>(channels_), 0.0f);
    operand_.weights = nullptr;
    operand_.levels = nullptr;
    reads = {operand_.src};
    if (epilogue_.residual >= 0) reads.push_back(epilogue_.residual);
    writes = {dst_};
    weight_bytes = static_cast<int64_t>(weights_.size() * sizeof(float));
    constexpr const char* kNames[] = {"f32", "bf16", "i8"};
    kernel = std::string("depthwise_") + kNames[static_cast<size_t>(arith)] + " " + table.bundle;
    add_starts();
  }

  void run(const TileContext& context) const override {
    const Buffer& src = plan_.buffer(operand_.src);
    const Buffer& dst = plan_.buffer(dst_);
    const int64_t n = context.n;
    const Share share = share_of(dst.positions(), context.part, context.parts);
    int64_t positions[kMostTaps];
    const float* weights[kMostTaps];
    const void* rows[kMostTaps];
    for (int64_t p = share.first; p < share.last; ++p) {
      const int64_t count = taps_at(p, positions, weights);
      for (int64_t i = 0; i < count; ++i) rows[i] = at(context, src, positions[i]);
      kernels::GemmArgs args{};
      epilogue_.apply(args);
      args.store_columns = channels_;
      args.c = at(context, dst, p);
      args.ldc = dst.row_bytes();
      args.c_elem = dst.elem;
      if (epilogue_.residual >= 0) {
        const Buffer& residual = plan_.buffer(epilogue_.residual);
        args.residual = at(context, residual, p);
        args.ldr = residual.row_bytes();
        args.residual_elem = residual.elem;
      }
      args.bias = bias_.data();
      args.scale = scale_.data();
      const float* start =
          start_of_.empty() ? nullptr : starts_.data() + start_of_[static_cast<size_t>(p)] * channels_;
      table_.depthwise(src.elem, args, rows, weights, count, start, n, src.row_bytes());
    }
  }

 private:
  static std::byte* at(const TileContext& context, const Buffer& b, int64_t position) {
    return context.arena + b.offset + position * b.position_bytes(context.n);
  }

  /// Counts the MACs, and what the source's zero point adds to the sums of each set of taps.
  void add_starts() {
    const Buffer& dst = plan_.buffer(dst_);
    int64_t positions[kMostTaps];
    const float* used[kMostTaps];
    std::map<std::vector<const float*>, int32_t> sets;
    for (int64_t p = 0; p < dst.positions(); ++p) {
      const int64_t count = taps_at(p, positions, used);
      macs += channels_ * count;
      if (operand_.zero == 0) continue;
      const auto set = static_cast<int32_t>(sets.size());
      const auto [found, added] = sets.try_emplace(std::vector<const float*>(used, used + count), set);
      start_of_.push_back(found->second);
      for (int64_t c = 0; added && c < channels_; ++c) {
        float sum = 0;
        for (int64_t i = 0; i < count; ++i) sum += used[i][c];
        starts_.push_back(-static_cast<float>(operand_.zero) * sum);
      }
    }
  }

  int64_t taps_at(int64_t p, int64_t* positions, const float** weights) const {
    const Buffer& src = plan_.buffer(operand_.src);
    const Buffer& dst = plan_.buffer(dst_);
    const int64_t y = p / dst.width, x = p % dst.width;
    int64_t count = 0;
    for (int64_t ky = 0; ky < operand_.kernel_h; ++ky) {
      const int64_t sy = y * operand_.stride_h - operand_.pad_top + ky * operand_.dilation_h;
      if (sy < 0 || sy >= src.height) continue;
      for (int64_t kx = 0; kx < operand_.kernel_w; ++kx) {
        const int64_t sx = x * operand_.stride_w - operand_.pad_left + kx * operand_.dilation_w;
        if (sx < 0 || sx >= src.width) continue;
        positions[count] = sy * src.width + sx;
        weights[count++] = weights_.data() + (ky * operand_.kernel_w + kx) * channels_;
      }
    }
    return count;
  }

  const kernels::KernelTable& table_;
  const Plan& plan_;
  DenseOperand operand_;
  BufferId dst_;
  int64_t channels_;
  Epilogue epilogue_;
  std::vector<float> weights_, bias_, scale_;
  std::vector<float> starts_;      ///< [set of taps][channel]
  std::vector<int32_t> start_of_;  ///< by position, its set; empty: no zero point
};

}  // namespace

std::unique_ptr<Step> make_depthwise_step(const Plan& plan, const DenseSpec& spec,
                                          const kernels::KernelTable& table) {
  if (spec.operands[0].kernel_h * spec.operands[0].kernel_w > kMostTaps) return nullptr;
  return std::make_unique<DepthwiseStep>(plan, spec, table);
}

}  // namespace xdn
