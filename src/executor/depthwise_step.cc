#include <map>

#include "executor/dense_runs.h"
#include "executor/simple_steps.h"

namespace xdn {
namespace {

/// Rows of one call: the weights of a vector of channels stay in registers that long, the rows' lines in L1.
constexpr int64_t kMostImages = 12;

std::vector<TapWindow> window_of(const Plan& plan, const DenseOperand& o) {
  const Buffer& src = plan.buffer(o.src);
  return {{src.height, src.width, o.kernel_h, o.kernel_w, o.stride_h, o.stride_w, o.dilation_h, o.dilation_w,
           o.pad_top, o.pad_left}};
}

/// One filter per channel: rows of one position are contiguous, so a tap is an elementwise product by its row
/// of weights.
class DepthwiseStep final : public Step {
 public:
  DepthwiseStep(const Plan& plan, const DenseSpec& spec, const kernels::KernelTable& table, int parts)
      : table_(table),
        plan_(plan),
        src_(spec.operands[0].src),
        dst_(spec.dst),
        channels_(plan.buffer(spec.dst).channels),
        epilogue_(spec.epilogue),
        runs_(window_of(plan, spec.operands[0]), plan.buffer(dst_).height, plan.buffer(dst_).width),
        bias_(spec.bias),
        scale_(spec.scale) {
    arith = spec.arith;
    macs = runs_.effective_taps(0) * channels_;
    const DenseOperand& operand = spec.operands[0];
    const int64_t taps = operand.kernel_h * operand.kernel_w;
    weights_.resize(static_cast<size_t>(runs_.used_taps(0) * channels_));
    for (int64_t t = 0; t < taps; ++t) {
      const int32_t slot = runs_.slots()[0][static_cast<size_t>(t)];
      for (int64_t c = 0; slot >= 0 && c < channels_; ++c) {
        const auto from = static_cast<size_t>(c * taps + t);
        weights_[static_cast<size_t>(slot * channels_ + c)] =
            operand.levels != nullptr ? static_cast<float>(operand.levels[from]) : operand.weights[from];
      }
    }
    bias_.resize(static_cast<size_t>(channels_), 0.0f);
    // Threads share the runs.
    if (parts > 1) runs_.split(4 * parts);
    if (operand.zero != 0) add_starts(operand.zero);
    reads = {src_};
    if (epilogue_.residual >= 0) reads.push_back(epilogue_.residual);
    overwrites = epilogue_.residual;
    writes = {dst_};
    weight_bytes = static_cast<int64_t>(weights_.size() * sizeof(float));
    constexpr const char* kNames[] = {"f32", "bf16", "i8"};
    kernel = std::string("depthwise_") + kNames[static_cast<size_t>(arith)] + " " + table.bundle;
  }

  void run(const TileContext& context) const override {
    const Share share = share_of(static_cast<int64_t>(runs_.runs().size()), context.part, context.parts);
    for (int64_t i = share.first; i < share.last; ++i) run_taps(context, static_cast<size_t>(i));
  }

 private:
  static std::byte* at(const TileContext& context, const Buffer& b, int64_t position) {
    return context.arena + b.offset + position * b.position_bytes(context.n);
  }

  /// Rows are the images at a position (and its neighbours', where those follow), or the positions of an
  /// image.
  void run_taps(const TileContext& context, size_t index) const {
    const TapRun& r = runs_.runs()[index];
    const Buffer& src = plan_.buffer(src_);
    const Buffer& dst = plan_.buffer(dst_);
    const int64_t n = context.n;
    const bool flat = runs_.contiguous() && !r.column;
    const bool by_image = !flat && n < kMostImages && n < r.count;
    const int64_t src_step = runs_.src_step(0, r.column) * src.position_bytes(n);
    const int64_t dst_step = runs_.dst_step(r.column);
    const float* weights[kMostTaps];
    const void* rows[kMostTaps];
    for (int32_t t = 0; t < r.n_taps; ++t) {
      weights[t] = weights_.data() + runs_.tap(r, t).tap * channels_;
      rows[t] = at(context, src, runs_.tap(r, t).src_pos);
    }
    kernels::GemmArgs args{};
    epilogue_.apply(args);
    args.store_columns = channels_;
    args.c = at(context, dst, r.dst_pos);
    args.c_elem = dst.elem;
    args.ldc = by_image ? dst_step * dst.position_bytes(n) : dst.row_bytes();
    int64_t residual_repeat = 0;
    if (epilogue_.residual >= 0) {
      const Buffer& residual = plan_.buffer(epilogue_.residual);
      args.residual = at(context, residual, r.dst_pos);
      args.residual_elem = residual.elem;
      args.ldr = by_image ? dst_step * residual.position_bytes(n) : residual.row_bytes();
      residual_repeat = by_image ? residual.row_bytes() : dst_step * residual.position_bytes(n);
    }
    args.bias = bias_.data();
    args.scale = scale_.data();
    const float* start = start_of_.empty() ? nullptr : starts_.data() + start_of_[index] * channels_;
    const int64_t count = flat ? r.count * n : by_image ? r.count : n;
    const int64_t repeats = flat ? 1 : by_image ? n : r.count;
    for (int64_t i = 0; i < repeats; ++i) {
      table_.depthwise(src.elem, args, rows, weights, r.n_taps, start, count,
                       by_image ? src_step : src.row_bytes());
      for (int32_t t = 0; t < r.n_taps; ++t) {
        rows[t] = static_cast<const std::byte*>(rows[t]) + (by_image ? src.row_bytes() : src_step);
      }
      args.c =
          static_cast<std::byte*>(args.c) + (by_image ? dst.row_bytes() : dst_step * dst.position_bytes(n));
      if (args.residual != nullptr)
        args.residual = static_cast<const std::byte*>(args.residual) + residual_repeat;
    }
  }

  /// What the source's zero point adds to the sums of each set of taps.
  void add_starts(int32_t zero) {
    std::map<std::vector<int32_t>, int32_t> sets;
    for (const TapRun& run : runs_.runs()) {
      std::vector<int32_t> taps;
      for (int32_t i = 0; i < run.n_taps; ++i) taps.push_back(runs_.tap(run, i).tap);
      const auto set = static_cast<int32_t>(sets.size());
      const auto [found, added] = sets.try_emplace(std::move(taps), set);
      start_of_.push_back(found->second);
      for (int64_t c = 0; added && c < channels_; ++c) {
        float sum = 0;
        for (const int32_t slot : found->first) sum += weights_[static_cast<size_t>(slot * channels_ + c)];
        starts_.push_back(-static_cast<float>(zero) * sum);
      }
    }
  }

  const kernels::KernelTable& table_;
  const Plan& plan_;
  BufferId src_, dst_;
  int64_t channels_;
  Epilogue epilogue_;
  DenseRuns runs_;
  std::vector<float> weights_;  ///< [used tap][channel]
  std::vector<float> bias_, scale_;
  std::vector<float> starts_;      ///< [set of taps][channel]
  std::vector<int32_t> start_of_;  ///< by run, its set; empty: no zero point
};

}  // namespace

std::unique_ptr<Step> make_depthwise_step(const Plan& plan, const DenseSpec& spec,
                                          const kernels::KernelTable& table, int parts) {
  if (spec.operands[0].kernel_h * spec.operands[0].kernel_w > kMostTaps) return nullptr;
  return std::make_unique<DepthwiseStep>(plan, spec, table, parts);
}

}  // namespace xdn
