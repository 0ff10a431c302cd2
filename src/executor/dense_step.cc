#include "executor/dense_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "executor/dense_runs.h"
#include "kernels/gemm_block.h"

namespace xdn {

using kernels::Arith;
using kernels::GemmArgs;
using kernels::GemmFamily;
using kernels::GemmPair;
using kernels::KernelTable;

void Epilogue::set(const Activation& activation) {
  lo = activation.a;
  hi = activation.b;
  switch (activation.kind) {
    case ActKind::kNone:
      act = kernels::GemmAct::kNone;
      break;
    case ActKind::kRelu:
      act = kernels::GemmAct::kRelu;
      break;
    case ActKind::kLeakyRelu:
      act = kernels::GemmAct::kLeakyRelu;
      break;
    case ActKind::kClip:
      act = kernels::GemmAct::kClip;
      break;
  }
}

void Epilogue::apply(GemmArgs& args) const {
  args.residual_scale = residual_scale;
  args.act = act;
  args.lo = lo;
  args.hi = hi;
  args.has_middle = has_middle;
  args.middle_lo = middle_lo;
  args.middle_hi = middle_hi;
  args.middle_scale = middle_scale;
  args.middle_shift = middle_shift;
  args.c_scale = dst_scale;
  args.c_shift = dst_shift;
  args.in_range = in_range;
}

std::vector<Panel> make_panels(int64_t oc, int lanes, int most, bool exact_columns) {
  std::vector<Panel> panels;
  for (int64_t first = 0; first < oc;) {
    const int64_t vectors = std::min<int64_t>(most, (oc - first + lanes - 1) / lanes);
    const int64_t width = vectors * lanes;
    panels.push_back({first, static_cast<int>(vectors), exact_columns ? std::min(width, oc - first) : width});
    first += width;
  }
  return panels;
}

namespace {

constexpr int64_t kWord = 4;
/// A block of source rows that stays in L2 beside the weights while the panels pass over it.
constexpr int64_t kSourceBlockBytes = int64_t{256} << 10;
/// Weights that stay in L2 together. Above, panels are the outer loop and the source is read again for each.
constexpr int64_t kResidentWeightBytes = int64_t{512} << 10;
/// Images of a tile from which on they alone make enough rows for a kernel.
constexpr int64_t kManyImages = 12;

/// An operand as the running step needs it.
struct Operand {
  BufferId src;
  int64_t group_bytes;      ///< from one group's channels to the next one's
  int64_t words;            ///< k of each pair
  const std::byte* packed;  ///< [group][panel][used tap][words][columns]
};

std::vector<TapWindow> windows_of(const Plan& plan, const DenseSpec& spec) {
  std::vector<TapWindow> windows;
  for (const DenseOperand& operand : spec.operands) {
    const Buffer& src = plan.buffer(operand.src);
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
  void add_columns(const DenseSpec& spec);
  void add_starts(const DenseSpec& spec);
  void order_loops(int parts, LoopOrder order);
  void describe();
  void run_panel(const TileContext& context, int64_t group, const Panel& panel, size_t run) const;
  int64_t padded_columns() const { return group_ * panel_columns_; }

  const Plan& plan_;
  const GemmFamily& family_;
  const int lanes_;
  BufferId dst_;
  int64_t group_, oc_group_;
  Epilogue epilogue_;
  std::vector<Operand> operands_;
  std::vector<Panel> panels_;  ///< of one group
  int64_t panel_columns_ = 0;  ///< sum of the panels' widths
  DenseRuns runs_;
  bool image_major_;
  bool runs_outside_ = false;  ///< for each run all panels, instead of for each panel all runs
  PackedWeights weights_;
  std::vector<float> bias_, scale_;  ///< [group][panel widths]
  std::vector<int32_t> starts_;      ///< [set of taps][group][panel widths]: what zero points add to the sums
  std::vector<int32_t> start_of_;    ///< by run, its set; empty: no zero points
};

DenseStep::DenseStep(const Plan& plan, const DenseSpec& spec, const KernelTable& table, int parts)
    : plan_(plan),
      family_(table.gemm[static_cast<size_t>(spec.arith)]),
      lanes_(table.lanes),
      dst_(spec.dst),
      group_(spec.group),
      epilogue_(spec.epilogue),
      runs_(windows_of(plan, spec), plan.buffer(dst_).height, plan.buffer(dst_).width),
      image_major_(plan.buffer(spec.operands[0].src).image_stride > 0) {
  arith = spec.arith;
  const int64_t oc = plan.buffer(dst_).channels;
  oc_group_ = oc / group_;
  const int most = family_.most_vectors, asked = spec.layout.panel_vectors;
  panels_ = make_panels(oc_group_, lanes_, asked > 0 ? std::min(asked, most) : most, group_ > 1);
  for (const Panel& panel : panels_) panel_columns_ += panel.vectors * lanes_;
  for (size_t o = 0; o < spec.operands.size(); ++o) {
    const DenseOperand& operand = spec.operands[o];
    const int64_t bytes = operand.channels * kernels::elem_bytes(plan.buffer(operand.src).elem);
    operands_.push_back({operand.src, bytes, (bytes + kWord - 1) / kWord, nullptr});
    macs += runs_.effective_taps(o) * operand.channels * oc;
  }
  pack(spec);
  add_columns(spec);
  order_loops(parts, spec.layout.order);
  add_starts(spec);
  for (const DenseOperand& operand : spec.operands) reads.push_back(operand.src);
  if (epilogue_.residual >= 0) reads.push_back(epilogue_.residual);
  overwrites = epilogue_.residual;
  writes = {dst_};
  weight_bytes = weights_.size;
  describe();
}

/// Names the kernel of the first panel, and why not those of other widths.
void DenseStep::describe() {
  constexpr const char* kNames[] = {"f32", "bf16", "i8"};
  const int vectors = panels_.front().vectors;
  const auto block = [&](int v) { return fmt::format("{}x{}", family_.most_rows[v - 1], v * lanes_); };
  kernel =
      fmt::format("brgemm_{} {} {}{}{}", kNames[static_cast<size_t>(arith)], family_.bundle, block(vectors),
                  operands_.size() > 1 ? " +conv" : "", epilogue_.residual >= 0 ? " +residual" : "");
  for (int v = family_.most_vectors; v > 0; --v) {
    if (v == vectors) continue;
    const std::string reason = (v - 1) * lanes_ >= oc_group_
                                   ? fmt::format("{} output channels leave columns empty", oc_group_)
                               : v > vectors ? "the tuning record asks for less"
                                             : "reads the source more often";
    refused += fmt::format("{}{}: {}", refused.empty() ? "" : "; ", block(v), reason);
  }
}

void DenseStep::pack(const DenseSpec& spec) {
  int64_t total = 0;
  for (size_t o = 0; o < operands_.size(); ++o) {
    total += padded_columns() * runs_.used_taps(o) * operands_[o].words * kWord;
  }
  weights_ = PackedWeights(total, plan_.huge_pages);
  std::byte* out = weights_.data();
  for (size_t o = 0; o < operands_.size(); ++o) {
    Operand& operand = operands_[o];
    operand.packed = out;
    const DenseOperand& from = spec.operands[o];
    const int64_t taps = from.kernel_h * from.kernel_w;
    for (int64_t g = 0; g < group_; ++g) {
      for (const Panel& panel : panels_) {
        const int64_t columns = panel.vectors * lanes_;
        const int64_t live = std::min(columns, oc_group_ - panel.first);
        const int64_t first = (g * oc_group_ + panel.first) * from.channels * taps;
        for (int64_t t = 0; t < taps; ++t) {
          const int32_t slot = runs_.slots()[o][static_cast<size_t>(t)];
          if (slot < 0) continue;
          const void* src = from.levels != nullptr ? static_cast<const void*>(from.levels + first + t)
                                                   : static_cast<const void*>(from.weights + first + t);
          pack_tap(arith, out + slot * operand.words * columns * kWord, src, live, columns, from.channels,
                   taps);
        }
        out += runs_.used_taps(o) * operand.words * columns * kWord;
      }
    }
  }
}

void DenseStep::add_columns(const DenseSpec& spec) {
  const auto spread = [&](std::vector<float>& dst, const std::vector<float>& src) {
    dst.assign(static_cast<size_t>(padded_columns()), 0.0f);
    for (int64_t g = 0; !src.empty() && g < group_; ++g) {
      std::copy_n(src.begin() + g * oc_group_, oc_group_, dst.begin() + g * panel_columns_);
    }
  };
  spread(bias_, spec.bias);
  if (arith == Arith::kI8) spread(scale_, spec.scale);
}

/// The sum over a run's taps of (q - zero) * w is the sum of q * w less zero times the taps' weights. Runs at
/// the border use fewer taps, so each set of taps has a correction of its own.
void DenseStep::add_starts(const DenseSpec& spec) {
  if (std::all_of(spec.operands.begin(), spec.operands.end(), [](const auto& o) { return o.zero == 0; }))
    return;
  std::map<std::vector<std::pair<int32_t, int32_t>>, int32_t> sets;
  for (const TapRun& run : runs_.runs()) {
    std::vector<std::pair<int32_t, int32_t>> taps;
    for (int32_t i = 0; i < run.n_taps; ++i)
      taps.emplace_back(runs_.tap(run, i).operand, runs_.tap(run, i).tap);
    const auto set = static_cast<int32_t>(sets.size());
    start_of_.push_back(sets.try_emplace(std::move(taps), set).first->second);
  }
  starts_.assign(sets.size() * static_cast<size_t>(padded_columns()), 0);
  for (size_t o = 0; o < spec.operands.size(); ++o) {
    const DenseOperand& operand = spec.operands[o];
    const int64_t taps = operand.kernel_h * operand.kernel_w;
    for (int64_t oc = 0; oc < group_ * oc_group_; ++oc) {
      std::vector<int32_t> by_slot(static_cast<size_t>(runs_.used_taps(o)), 0);
      for (int64_t t = 0; t < taps; ++t) {
        const int32_t slot = runs_.slots()[o][static_cast<size_t>(t)];
        if (slot < 0) continue;
        const int8_t* levels = operand.levels + oc * operand.channels * taps + t;
        for (int64_t c = 0; c < operand.channels; ++c) by_slot[static_cast<size_t>(slot)] += levels[c * taps];
      }
      const int64_t column = oc / oc_group_ * panel_columns_ + oc % oc_group_;
      for (const auto& [taps_of_set, set] : sets) {
        int32_t& start = starts_[static_cast<size_t>(set * padded_columns() + column)];
        for (const auto& [from, slot] : taps_of_set) {
          if (static_cast<size_t>(from) == o) start -= operand.zero * by_slot[static_cast<size_t>(slot)];
        }
      }
    }
  }
}

/// Whichever of source and weights is read again and again should be the one that stays in L2. Threads share
/// the (group, panel, run) triples; where those are few, runs are halved until everyone has work.
void DenseStep::order_loops(int parts, LoopOrder order) {
  int64_t position_bytes = 0, source_bytes = 0;
  for (const Operand& operand : operands_) {
    const Buffer& src = plan_.buffer(operand.src);
    position_bytes += src.position_bytes(plan_.tile);
    source_bytes += src.bytes(plan_.tile);
  }
  const auto panels = static_cast<int64_t>(panels_.size());
  const bool choice = group_ == 1 && panels > 1;
  const bool pays = weights_.size <= kResidentWeightBytes && source_bytes > kSourceBlockBytes;
  runs_outside_ = choice && (order == LoopOrder::kChosen ? pays : order == LoopOrder::kRowsOuter);
  layout = {panels_.front().vectors, !choice         ? LoopOrder::kChosen
                                     : runs_outside_ ? LoopOrder::kRowsOuter
                                                     : LoopOrder::kPanelsOuter};
  if (runs_outside_) runs_.limit(std::max<int64_t>(1, kSourceBlockBytes / position_bytes));
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
    run_panel(context, group, panels_[static_cast<size_t>(panel)], static_cast<size_t>(run));
  }
}

void DenseStep::run_panel(const TileContext& context, int64_t group, const Panel& panel, size_t run) const {
  const TapRun& r = runs_.runs()[run];
  const int64_t n = context.n;
  const int64_t columns = panel.vectors * lanes_;
  // Rows are the images at a position (and its neighbours', where those follow), or the positions of an
  // image.
  const bool flat = !image_major_ && runs_.contiguous() && !r.column;
  const bool by_image = !flat && n < kManyImages && n < r.count;
  GemmPair pairs[kMostTaps];
  for (int32_t i = 0; i < r.n_taps; ++i) {
    const RunTap& tap = runs_.tap(r, i);
    const auto o = static_cast<size_t>(tap.operand);
    const Operand& operand = operands_[o];
    const Buffer& src = plan_.buffer(operand.src);
    const int64_t before = runs_.used_taps(o) * (group * panel_columns_ + panel.first) + tap.tap * columns;
    const int64_t position = src.position_bytes(n);
    pairs[i] = {context.arena + src.offset + tap.src_pos * position + group * operand.group_bytes,
                operand.packed + before * operand.words * kWord, operand.words,
                by_image ? runs_.src_step(o, r.column) * position : src.image_bytes()};
  }
  const Buffer& dst = plan_.buffer(dst_);
  const int64_t channel = group * oc_group_ + panel.first;
  const int64_t column = group * panel_columns_ + panel.first;
  const auto row_at = [&](const Buffer& b) {
    return context.arena + b.offset + r.dst_pos * b.position_bytes(n) + channel * kernels::elem_bytes(b.elem);
  };
  GemmArgs args{};
  epilogue_.apply(args);
  args.pairs = pairs;
  args.n_pairs = r.n_taps;
  args.panel_columns = columns;
  args.store_columns = panel.columns;
  args.c = row_at(dst);
  args.c_elem = dst.elem;
  const int64_t dst_step = runs_.dst_step(r.column);
  args.ldc = by_image ? dst_step * dst.position_bytes(n) : dst.row_bytes();
  int64_t residual_repeat = 0;
  if (epilogue_.residual >= 0) {
    const Buffer& residual = plan_.buffer(epilogue_.residual);
    args.residual = row_at(residual);
    args.residual_elem = residual.elem;
    args.ldr = by_image ? dst_step * residual.position_bytes(n) : residual.row_bytes();
    residual_repeat = by_image ? residual.row_bytes() : dst_step * residual.position_bytes(n);
  }
  args.bias = bias_.data() + column;
  if (arith == Arith::kI8) args.scale = scale_.data() + column;
  if (!start_of_.empty()) args.start = starts_.data() + start_of_[run] * padded_columns() + column;
  if (flat) return gemm_rows(family_, panel.vectors, args, r.count * n);
  const int64_t dst_repeat = by_image ? dst.row_bytes() : dst_step * dst.position_bytes(n);
  const int64_t rows = by_image ? r.count : n, repeats = by_image ? n : r.count;
  for (int64_t i = 0; i < repeats; ++i) {
    gemm_rows(family_, panel.vectors, args, rows);
    for (int32_t t = 0; t < r.n_taps; ++t) {
      const auto o = static_cast<size_t>(runs_.tap(r, t).operand);
      const Buffer& src = plan_.buffer(operands_[o].src);
      pairs[t].a = static_cast<const std::byte*>(pairs[t].a) +
                   (by_image ? src.image_bytes() : runs_.src_step(o, r.column) * src.position_bytes(n));
    }
    args.c = static_cast<std::byte*>(args.c) + dst_repeat;
    if (args.residual != nullptr)
      args.residual = static_cast<const std::byte*>(args.residual) + residual_repeat;
  }
}

}  // namespace

bool stem_pays(int64_t ic, const Window& window, int64_t group) {
  const int64_t kernel_h = window.kernel[0], kernel_w = window.kernel[1];
  return group == 1 && ic < 8 && kernel_h * kernel_w > 1 && kernel_w * ic <= 256 && kernel_h <= 32 &&
         window.dilations[1] == 1;
}

int64_t taps_of(const DenseSpec& spec) {
  int64_t taps = 0;
  for (const DenseOperand& operand : spec.operands) taps += operand.kernel_h * operand.kernel_w;
  return taps;
}

std::unique_ptr<Step> make_dense_step(const Plan& plan, const DenseSpec& spec, const KernelTable& table,
                                      int parts) {
  if (taps_of(spec) > kMostTaps) return nullptr;
  return std::make_unique<DenseStep>(plan, spec, table, parts);
}

}  // namespace xdn
