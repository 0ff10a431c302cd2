#include "executor/dense_step.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>

#include "executor/dense_runs.h"
#include "kernels/gemm_block.h"

namespace xdn {

using kernels::GemmF32Args;
using kernels::GemmPair;
using kernels::KernelTable;

ActArgs act_args(const Activation& act) {
  switch (act.kind) {
    case ActKind::kRelu:
      return {kernels::GemmAct::kRelu, 0, 0};
    case ActKind::kLeakyRelu:
      return {kernels::GemmAct::kLeakyRelu, act.a, 0};
    case ActKind::kClip:
      return {kernels::GemmAct::kClip, act.a, act.b};
    case ActKind::kNone:
      break;
  }
  return {kernels::GemmAct::kNone, 0, 0};
}

std::vector<Panel> make_panels(int64_t oc, const KernelTable& table, bool exact_columns) {
  std::vector<Panel> panels;
  for (int64_t first = 0; first < oc;) {
    const int64_t vectors =
        std::min<int64_t>(table.most_vectors, (oc - first + table.lanes - 1) / table.lanes);
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

/// A block of source rows that stays in L2 beside the weights while the panels pass over it.
constexpr int64_t kSourceBlockBytes = int64_t{256} << 10;
/// Weights that stay in L2 together. Above, panels are the outer loop and the source is read again for each.
constexpr int64_t kResidentWeightBytes = int64_t{512} << 10;

/// An operand as the running step needs it.
struct Operand {
  BufferId src;
  int64_t channels;     ///< k of each pair
  const float* packed;  ///< [group][panel][used tap][k][columns]
};

constexpr int32_t kMostPairs = 256;

std::vector<TapWindow> windows_of(const Plan& plan, const DenseSpec& spec) {
  std::vector<TapWindow> windows;
  for (const DenseOperand& operand : spec.operands) {
    const Buffer& src = plan.buffers[static_cast<size_t>(operand.src)];
    windows.push_back({src.height, src.width, operand.kernel_h, operand.kernel_w, operand.stride_h,
                       operand.stride_w, operand.dilation_h, operand.dilation_w, operand.pad_top,
                       operand.pad_left});
  }
  return windows;
}

class DenseStep final : public Step {
 public:
  DenseStep(const Plan& plan, const DenseSpec& spec, const KernelTable& table, int parts);
  void run(const TileContext& context) const override;

 private:
  void pack(const DenseSpec& spec);
  void order_loops(const Plan& plan, int parts);
  void run_panel(const TileContext& context, int64_t group, const Panel& panel, const TapRun& r) const;

  const KernelTable& table_;
  const std::vector<Buffer>& buffers_;
  BufferId dst_, residual_;
  int64_t group_, oc_group_;
  ActArgs act_;
  std::vector<Operand> operands_;
  std::vector<Panel> panels_;  ///< of one group
  int64_t panel_floats_ = 0;   ///< sum of the panels' widths
  DenseRuns runs_;
  bool runs_outside_ = false;  ///< for each run all panels, instead of for each panel all runs
  PackedWeights weights_;
  std::vector<float> bias_;  ///< [group][panel widths]
};

DenseStep::DenseStep(const Plan& plan, const DenseSpec& spec, const KernelTable& table, int parts)
    : table_(table),
      buffers_(plan.buffers),
      dst_(spec.dst),
      residual_(spec.residual),
      group_(spec.group),
      act_(act_args(spec.act)),
      runs_(windows_of(plan, spec), buffers_[static_cast<size_t>(dst_)].height,
            buffers_[static_cast<size_t>(dst_)].width) {
  const int64_t oc = buffers_[static_cast<size_t>(dst_)].channels;
  oc_group_ = oc / group_;
  panels_ = make_panels(oc_group_, table, group_ > 1);
  for (const Panel& panel : panels_) panel_floats_ += panel.vectors * table.lanes;
  for (size_t o = 0; o < spec.operands.size(); ++o) {
    const int64_t channels = buffers_[static_cast<size_t>(spec.operands[o].src)].channels / group_;
    operands_.push_back({spec.operands[o].src, channels, nullptr});
    macs += runs_.effective_taps(o) * channels * oc;
  }
  pack(spec);
  order_loops(plan, parts);
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

void DenseStep::pack(const DenseSpec& spec) {
  int64_t total = 0;
  for (size_t o = 0; o < operands_.size(); ++o) {
    total += group_ * panel_floats_ * runs_.used_taps(o) * operands_[o].channels;
  }
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
          const int32_t slot = runs_.slots()[o][static_cast<size_t>(t)];
          if (slot < 0) continue;
          float* block = out + slot * operand.channels * columns;
          for (int64_t j = 0; j < live; ++j) {
            const float* w = weights + ((g * oc_group_ + panel.first + j) * operand.channels) * taps + t;
            for (int64_t c = 0; c < operand.channels; ++c) block[c * columns + j] = w[c * taps];
          }
        }
        out += runs_.used_taps(o) * operand.channels * columns;
      }
    }
  }
}

/// Whichever of source and weights is read again and again should be the one that stays in L2. Threads share
/// the (group, panel, run) triples; where those are few, runs are halved until everyone has work.
void DenseStep::order_loops(const Plan& plan, int parts) {
  int64_t row_bytes = 0, source_bytes = 0;
  for (const Operand& operand : operands_) {
    const Buffer& src = plan.buffers[static_cast<size_t>(operand.src)];
    row_bytes += src.ld * static_cast<int64_t>(sizeof(float));
    source_bytes += src.floats(plan.tile) * static_cast<int64_t>(sizeof(float));
  }
  const auto weights = static_cast<int64_t>(weights_.floats) * static_cast<int64_t>(sizeof(float));
  const auto panels = static_cast<int64_t>(panels_.size());
  runs_outside_ =
      group_ == 1 && panels > 1 && weights <= kResidentWeightBytes && source_bytes > kSourceBlockBytes;
  if (runs_outside_) runs_.limit(std::max<int64_t>(1, kSourceBlockBytes / (row_bytes * plan.tile)));
  if (parts > 1) runs_.split((2 * parts + group_ * panels - 1) / (group_ * panels));
}

void DenseStep::run(const TileContext& context) const {
  const auto panels = static_cast<int64_t>(panels_.size());
  const auto runs = static_cast<int64_t>(runs_.runs().size());
  const Share share = share_of(group_ * panels * runs, context.part, context.parts);
  for (int64_t unit = share.first; unit < share.last; ++unit) {
    const int64_t group = unit / (panels * runs), rest = unit % (panels * runs);
    const int64_t panel = runs_outside_ ? rest % panels : rest / runs;
    const int64_t run = runs_outside_ ? rest / panels : rest % runs;
    run_panel(context, group, panels_[static_cast<size_t>(panel)], runs_.runs()[static_cast<size_t>(run)]);
  }
}

void DenseStep::run_panel(const TileContext& context, int64_t group, const Panel& panel,
                          const TapRun& r) const {
  const int64_t n = context.n;
  const int64_t columns = panel.vectors * table_.lanes;
  GemmPair pairs[kMostPairs];
  const bool rows_are_positions = n == 1;
  for (int32_t i = 0; i < r.n_taps; ++i) {
    const RunTap& tap = runs_.tap(r, i);
    const auto o = static_cast<size_t>(tap.operand);
    const Operand& operand = operands_[o];
    const Buffer& src = buffers_[static_cast<size_t>(operand.src)];
    const int64_t before = runs_.used_taps(o) * (group * panel_floats_ + panel.first) + tap.tap * columns;
    pairs[i] = {context.arena + src.offset + tap.src_pos * n * src.ld + group * operand.channels,
                operand.packed + before * operand.channels, operand.channels,
                rows_are_positions ? runs_.src_step(o, r.column) * src.ld : src.ld};
  }
  const Buffer& dst = buffers_[static_cast<size_t>(dst_)];
  const int64_t channel = group * oc_group_ + panel.first;
  GemmF32Args args{};
  args.pairs = pairs;
  args.n_pairs = r.n_taps;
  args.c = context.arena + dst.offset + r.dst_pos * n * dst.ld + channel;
  const int64_t dst_step = runs_.dst_step(r.column);
  args.ldc = rows_are_positions ? dst_step * dst.ld : dst.ld;
  args.bias = bias_.data() + group * panel_floats_ + panel.first;
  if (residual_ >= 0) {
    const Buffer& residual = buffers_[static_cast<size_t>(residual_)];
    args.residual = context.arena + residual.offset + r.dst_pos * n * residual.ld + channel;
    args.ldr = rows_are_positions ? dst_step * residual.ld : residual.ld;
  }
  args.act = act_.act;
  args.lo = act_.lo;
  args.hi = act_.hi;
  args.panel_columns = columns;
  args.store_columns = panel.columns;
  if (rows_are_positions || (runs_.contiguous() && !r.column)) {
    gemm_f32_rows(table_, panel.vectors, args, r.count * n);
    return;
  }
  for (int64_t i = 0; i < r.count; ++i) {
    gemm_f32_rows(table_, panel.vectors, args, n);
    for (int32_t t = 0; t < r.n_taps; ++t) {
      pairs[t].a += runs_.src_step(static_cast<size_t>(runs_.tap(r, t).operand), r.column) * n * pairs[t].lda;
    }
    args.c += dst_step * n * args.ldc;
    if (args.residual != nullptr) args.residual += dst_step * n * args.ldr;
  }
}

}  // namespace

std::unique_ptr<Step> make_dense_step(const Plan& plan, const DenseSpec& spec, const KernelTable& table,
                                      int parts) {
  int64_t taps = 0;
  for (const DenseOperand& operand : spec.operands) taps += operand.kernel_h * operand.kernel_w;
  if (taps > kMostPairs) return nullptr;
  return std::make_unique<DenseStep>(plan, spec, table, parts);
}

}  // namespace xdn
