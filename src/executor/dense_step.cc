#include "executor/dense_step.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>

#include "base/error.h"
#include "kernels/gemm_block.h"

namespace xdn {

using kernels::GemmF32Args;
using kernels::GemmPair;
using kernels::KernelTable;

ActArgs act_args(const Activation& act) {
  switch (act.kind) {
    case ActKind::kRelu: return {kernels::GemmAct::kRelu, 0, 0};
    case ActKind::kLeakyRelu: return {kernels::GemmAct::kLeakyRelu, act.a, 0};
    case ActKind::kClip: return {kernels::GemmAct::kClip, act.a, act.b};
    case ActKind::kNone: break;
  }
  return {kernels::GemmAct::kNone, 0, 0};
}

std::vector<Panel> make_panels(int64_t oc, const KernelTable& table, bool exact_columns) {
  std::vector<Panel> panels;
  for (int64_t first = 0; first < oc;) {
    const int64_t vectors = std::min<int64_t>(table.most_vectors, (oc - first + table.lanes - 1) / table.lanes);
    const int64_t width = vectors * table.lanes;
    panels.push_back({first, static_cast<int>(vectors), exact_columns ? std::min(width, oc - first) : width});
    first += width;
  }
  return panels;
}

PackedWeights::PackedWeights(int64_t count) : floats(count) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t size = static_cast<size_t>(count) * sizeof(float) + 64;
  const bool huge = size >= kHugePage;
  bytes = allocate_aligned(size, huge ? kHugePage : 64, false);
#ifdef MADV_HUGEPAGE
  if (huge) (void)madvise(bytes.get(), size, MADV_HUGEPAGE);
#endif
  std::fill_n(data(), count, 0.0f);
}

namespace {

/// An operand as the running step needs it.
struct Operand {
  BufferId src;
  int64_t channels;          ///< k of each pair
  int64_t group_channels;    ///< channels to step from group to group
  int64_t step;              ///< source positions from one output position to the next in a line
  const float* packed;       ///< [group][panel][used tap][k][columns]
  int64_t used_taps;
};

/// One tap of one run: where the first position's row block stands.
struct RunTap {
  int32_t operand;
  int32_t tap;      ///< among the operand's used taps
  int64_t src_pos;
};

/// Output positions in a line that use the same taps.
struct Run {
  int64_t dst_pos, count;
  int32_t first_tap, n_taps;
};

constexpr int32_t kMostPairs = 256;

class DenseStep final : public Step {
 public:
  DenseStep(const Plan& plan, const DenseSpec& spec, const KernelTable& table, int parts);
  void run(const TileContext& context) const override;

 private:
  void build_runs(const Plan& plan, const DenseSpec& spec, std::vector<std::vector<int32_t>>& used);
  void pack(const DenseSpec& spec, const std::vector<std::vector<int32_t>>& used);
  void split_runs(int parts);
  void run_panel(const TileContext& context, int64_t group, const Panel& panel, const Run& r) const;

  const KernelTable& table_;
  const std::vector<Buffer>& buffers_;
  BufferId dst_, residual_;
  int64_t group_, oc_group_;
  ActArgs act_;
  std::vector<Operand> operands_;
  std::vector<Panel> panels_;  ///< of one group
  int64_t panel_floats_ = 0;   ///< sum of the panels' widths
  std::vector<RunTap> taps_;
  std::vector<Run> runs_;
  bool contiguous_ = true;  ///< neighbouring positions of a run are neighbours in every source
  PackedWeights weights_;
  std::vector<float> bias_;  ///< [group][panel widths]
};

DenseStep::DenseStep(const Plan& plan, const DenseSpec& spec, const KernelTable& table, int parts)
    : table_(table), buffers_(plan.buffers), dst_(spec.dst), residual_(spec.residual), group_(spec.group),
      act_(act_args(spec.act)) {
  const int64_t oc = buffers_[static_cast<size_t>(dst_)].channels;
  oc_group_ = oc / group_;
  panels_ = make_panels(oc_group_, table, group_ > 1);
  for (const Panel& panel : panels_) panel_floats_ += panel.vectors * table.lanes;
  std::vector<std::vector<int32_t>> used;
  build_runs(plan, spec, used);
  pack(spec, used);
  split_runs(parts);
  bias_.assign(static_cast<size_t>(group_ * panel_floats_), 0.0f);
  for (int64_t g = 0; spec.bias != nullptr && g < group_; ++g) {
    std::copy_n(spec.bias + g * oc_group_, oc_group_, bias_.begin() + g * panel_floats_);
  }
  reads = {};
  for (const DenseOperand& operand : spec.operands) reads.push_back(operand.src);
  if (residual_ >= 0) reads.push_back(residual_);
  writes = {dst_};
  weight_bytes = weights_.floats * static_cast<int64_t>(sizeof(float));
  const Panel& panel = panels_.front();
  kernel = fmt::format("brgemm_f32 {} {}x{}", table.bundle, table.most_rows[panel.vectors - 1],
                       panel.vectors * table.lanes);
}

void DenseStep::build_runs(const Plan& plan, const DenseSpec& spec, std::vector<std::vector<int32_t>>& used) {
  const Buffer& dst = plan.buffers[static_cast<size_t>(spec.dst)];
  used.resize(spec.operands.size());
  bool pointwise = true;
  for (size_t o = 0; o < spec.operands.size(); ++o) {
    const DenseOperand& operand = spec.operands[o];
    used[o].assign(static_cast<size_t>(operand.kernel_h * operand.kernel_w), -1);
    pointwise = pointwise && operand.kernel_h * operand.kernel_w == 1 && operand.stride_h == 1 &&
                operand.stride_w == 1 && operand.pad_top == 0 && operand.pad_left == 0;
    contiguous_ = contiguous_ && operand.stride_w == 1;
  }
  std::vector<int32_t> used_count(spec.operands.size(), 0);
  std::vector<RunTap> taps, previous;
  for (int64_t y = 0; y < dst.height; ++y) {
    bool extend = pointwise && y > 0;  // a pointwise step is one run over the whole map
    for (int64_t x = 0; x < dst.width; ++x) {
      taps.clear();
      for (size_t o = 0; o < spec.operands.size(); ++o) {
        const DenseOperand& operand = spec.operands[o];
        const Buffer& src = plan.buffers[static_cast<size_t>(operand.src)];
        for (int64_t ky = 0; ky < operand.kernel_h; ++ky) {
          const int64_t sy = y * operand.stride_h - operand.pad_top + ky * operand.dilation_h;
          if (sy < 0 || sy >= src.height) continue;
          for (int64_t kx = 0; kx < operand.kernel_w; ++kx) {
            const int64_t sx = x * operand.stride_w - operand.pad_left + kx * operand.dilation_w;
            if (sx < 0 || sx >= src.width) continue;
            int32_t& tap = used[o][static_cast<size_t>(ky * operand.kernel_w + kx)];
            if (tap < 0) tap = used_count[o]++;
            taps.push_back({static_cast<int32_t>(o), tap, sy * src.width + sx});
            macs += group_ * oc_group_ * (src.channels / group_);
          }
        }
      }
      const bool same = (x > 0 || extend) && taps.size() == previous.size() &&
                        std::equal(taps.begin(), taps.end(), previous.begin(), [](const RunTap& a, const RunTap& b) {
                          return a.operand == b.operand && a.tap == b.tap;
                        });
      if (same) {
        ++runs_.back().count;
      } else {
        runs_.push_back({y * dst.width + x, 1, static_cast<int32_t>(taps_.size()), static_cast<int32_t>(taps.size())});
        taps_.insert(taps_.end(), taps.begin(), taps.end());
      }
      previous = taps;
    }
  }
  for (size_t o = 0; o < spec.operands.size(); ++o) {
    const DenseOperand& operand = spec.operands[o];
    const Buffer& src = plan.buffers[static_cast<size_t>(operand.src)];
    operands_.push_back({operand.src, src.channels / group_, src.channels / group_, operand.stride_w, nullptr,
                         used_count[o]});
  }
}

void DenseStep::pack(const DenseSpec& spec, const std::vector<std::vector<int32_t>>& used) {
  int64_t total = 0;
  for (const Operand& operand : operands_) total += group_ * panel_floats_ * operand.used_taps * operand.channels;
  weights_ = PackedWeights(total);
  float* out = weights_.data();
  for (size_t o = 0; o < operands_.size(); ++o) {
    Operand& operand = operands_[o];
    operand.packed = out;
    const DenseOperand& from = spec.operands[o];
    const int64_t taps = from.kernel_h * from.kernel_w;
    const float* weights = from.weights->data<float>().data();
    for (int64_t g = 0; g < group_; ++g) {
      for (const Panel& panel : panels_) {
        const int64_t columns = panel.vectors * table_.lanes;
        const int64_t live = std::min(columns, oc_group_ - panel.first);
        for (int64_t t = 0; t < taps; ++t) {
          const int32_t slot = used[o][static_cast<size_t>(t)];
          if (slot < 0) continue;
          float* block = out + slot * operand.channels * columns;
          for (int64_t j = 0; j < live; ++j) {
            const float* w = weights + ((g * oc_group_ + panel.first + j) * operand.channels) * taps + t;
            for (int64_t c = 0; c < operand.channels; ++c) block[c * columns + j] = w[c * taps];
          }
        }
        out += operand.used_taps * operand.channels * columns;
      }
    }
  }
}

/// Threads share (group, panel, run) triples; where those are few, runs are halved until everyone has work.
void DenseStep::split_runs(int parts) {
  if (parts <= 1) return;
  const auto units = [&] { return group_ * static_cast<int64_t>(panels_.size() * runs_.size()); };
  while (units() < 2 * parts) {
    const auto longest =
        std::max_element(runs_.begin(), runs_.end(), [](const Run& a, const Run& b) { return a.count < b.count; });
    if (longest->count < 2) return;
    const auto at = longest - runs_.begin();
    Run tail = *longest;
    const int64_t half = tail.count / 2;
    longest->count = half;
    tail.dst_pos += half;
    tail.count -= half;
    const auto first = static_cast<size_t>(tail.first_tap);
    tail.first_tap = static_cast<int32_t>(taps_.size());
    for (size_t i = 0; i < static_cast<size_t>(tail.n_taps); ++i) {
      RunTap tap = taps_[first + i];
      tap.src_pos += half * operands_[static_cast<size_t>(tap.operand)].step;
      taps_.push_back(tap);
    }
    runs_.insert(runs_.begin() + at + 1, tail);
  }
}

void DenseStep::run(const TileContext& context) const {
  const auto panels = static_cast<int64_t>(panels_.size());
  const auto runs = static_cast<int64_t>(runs_.size());
  const Share share = share_of(group_ * panels * runs, context.part, context.parts);
  for (int64_t unit = share.first; unit < share.last; ++unit) {
    const int64_t group = unit / (panels * runs);
    const int64_t panel = unit / runs % panels;
    run_panel(context, group, panels_[static_cast<size_t>(panel)], runs_[static_cast<size_t>(unit % runs)]);
  }
}

void DenseStep::run_panel(const TileContext& context, int64_t group, const Panel& panel, const Run& r) const {
  const int64_t n = context.n;
  const int64_t columns = panel.vectors * table_.lanes;
  GemmPair pairs[kMostPairs];
  const bool lines = n == 1;  // one image: rows are positions, `step` apart
  for (int32_t i = 0; i < r.n_taps; ++i) {
    const RunTap& tap = taps_[static_cast<size_t>(r.first_tap + i)];
    const Operand& operand = operands_[static_cast<size_t>(tap.operand)];
    const Buffer& src = buffers_[static_cast<size_t>(operand.src)];
    // packed: panels stand one after another, each [used tap][k][columns]
    const float* b = operand.packed + operand.used_taps * operand.channels * (group * panel_floats_ + panel.first) +
                     tap.tap * operand.channels * columns;
    pairs[i] = {context.arena + src.offset + tap.src_pos * n * src.ld + group * operand.group_channels, b,
                operand.channels, lines ? operand.step * src.ld : src.ld};
  }
  const Buffer& dst = buffers_[static_cast<size_t>(dst_)];
  const int64_t channel = group * oc_group_ + panel.first;
  GemmF32Args args{};
  args.pairs = pairs;
  args.n_pairs = r.n_taps;
  args.c = context.arena + dst.offset + r.dst_pos * n * dst.ld + channel;
  args.ldc = dst.ld;
  args.bias = bias_.data() + group * panel_floats_ + panel.first;
  if (residual_ >= 0) {
    const Buffer& residual = buffers_[static_cast<size_t>(residual_)];
    args.residual = context.arena + residual.offset + r.dst_pos * n * residual.ld + channel;
    args.ldr = residual.ld;
  }
  args.act = act_.act;
  args.lo = act_.lo;
  args.hi = act_.hi;
  args.panel_columns = columns;
  args.store_columns = panel.columns;
  if (lines || contiguous_) {
    gemm_f32_rows(table_, panel.vectors, args, r.count * n);
    return;
  }
  for (int64_t i = 0; i < r.count; ++i) {
    gemm_f32_rows(table_, panel.vectors, args, n);
    for (int32_t t = 0; t < r.n_taps; ++t) {
      const Operand& operand = operands_[static_cast<size_t>(taps_[static_cast<size_t>(r.first_tap + t)].operand)];
      pairs[t].a += operand.step * n * pairs[t].lda;
    }
    args.c += n * args.ldc;
    if (args.residual != nullptr) args.residual += n * args.ldr;
  }
}

}  // namespace

std::unique_ptr<Step> make_dense_step(const Plan& plan, const DenseSpec& spec, const KernelTable& table, int parts) {
  int64_t taps = 0;
  for (const DenseOperand& operand : spec.operands) taps += operand.kernel_h * operand.kernel_w;
  if (taps > kMostPairs) return nullptr;
  return std::make_unique<DenseStep>(plan, spec, table, parts);
}

}  // namespace xdn
