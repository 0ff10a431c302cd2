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
        buffers_(plan.buffers),
        operand_(spec.operands[0]),
        dst_(spec.dst),
        residual_(spec.residual),
        channels_(plan.buffers[static_cast<size_t>(spec.dst)].channels),
        act_(act_args(spec.act)) {
    const int64_t taps = operand_.kernel_h * operand_.kernel_w;
    const float* w = operand_.weights->data<float>().data();
    weights_.resize(static_cast<size_t>(taps * channels_));  // [tap][channel]
    for (int64_t c = 0; c < channels_; ++c) {
      for (int64_t t = 0; t < taps; ++t) weights_[static_cast<size_t>(t * channels_ + c)] = w[c * taps + t];
    }
    bias_.assign(static_cast<size_t>(channels_), 0.0f);
    if (spec.bias != nullptr) bias_.assign(spec.bias, spec.bias + channels_);
    operand_.weights = nullptr;
    reads = {operand_.src};
    if (residual_ >= 0) reads.push_back(residual_);
    writes = {dst_};
    weight_bytes = static_cast<int64_t>(weights_.size() * sizeof(float));
    kernel = std::string("depthwise_f32 ") + table.bundle;
    const Buffer& dst = buffers_[static_cast<size_t>(dst_)];
    int64_t positions[kMostTaps];
    const float* taps_used[kMostTaps];
    for (int64_t p = 0; p < dst.positions(); ++p) macs += channels_ * taps_at(p, positions, taps_used);
  }

  void run(const TileContext& context) const override {
    const Buffer& src = buffers_[static_cast<size_t>(operand_.src)];
    const Buffer& dst = buffers_[static_cast<size_t>(dst_)];
    const int64_t n = context.n;
    const Share share = share_of(dst.positions(), context.part, context.parts);
    int64_t positions[kMostTaps];
    const float* weights[kMostTaps];
    const float* rows[kMostTaps];
    for (int64_t p = share.first; p < share.last; ++p) {
      const int64_t count = taps_at(p, positions, weights);
      for (int64_t i = 0; i < count; ++i) rows[i] = context.arena + src.offset + positions[i] * n * src.ld;
      const float* residual = nullptr;
      if (residual_ >= 0) {
        const Buffer& r = buffers_[static_cast<size_t>(residual_)];
        residual = context.arena + r.offset + p * n * r.ld;
      }
      table_.depthwise(context.arena + dst.offset + p * n * dst.ld, rows, weights, count, bias_.data(),
                       residual, act_.act, act_.lo, act_.hi, n, channels_, src.ld, dst.ld);
    }
  }

 private:
  int64_t taps_at(int64_t p, int64_t* positions, const float** weights) const {
    const Buffer& src = buffers_[static_cast<size_t>(operand_.src)];
    const Buffer& dst = buffers_[static_cast<size_t>(dst_)];
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
  const std::vector<Buffer>& buffers_;
  DenseOperand operand_;
  BufferId dst_, residual_;
  int64_t channels_;
  ActArgs act_;
  std::vector<float> weights_, bias_;
};

}  // namespace

std::unique_ptr<Step> make_depthwise_step(const Plan& plan, const DenseSpec& spec,
                                          const kernels::KernelTable& table) {
  if (spec.operands[0].kernel_h * spec.operands[0].kernel_w > kMostTaps) return nullptr;
  return std::make_unique<DepthwiseStep>(plan, spec, table);
}

}  // namespace xdn
