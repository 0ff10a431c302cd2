#include "executor/dense_runs.h"

#include <algorithm>

namespace xdn {

DenseRuns::DenseRuns(const std::vector<TapWindow>& windows, int64_t dst_h, int64_t dst_w)
    : windows_(windows), dst_h_(dst_h), dst_w_(dst_w) {
  for (const TapWindow& window : windows_) {
    pointwise_ = pointwise_ && window.pointwise();
    contiguous_ = contiguous_ && window.stride_w == 1;
    slots_.emplace_back(static_cast<size_t>(window.kernel_h * window.kernel_w), -1);
  }
  used_taps_.assign(windows_.size(), 0);
  effective_taps_.assign(windows_.size(), 0);
  for (int64_t y = 0; y < dst_h_; ++y) add_line(y);
  join_columns();
}

int64_t DenseRuns::src_step(size_t operand, bool column) const {
  const TapWindow& window = windows_[operand];
  return column ? window.stride_h * window.src_w : window.stride_w;
}

void DenseRuns::add_line(int64_t y) {
  std::vector<RunTap> taps;
  for (int64_t x = 0; x < dst_w_; ++x) {
    taps.clear();
    for (size_t o = 0; o < windows_.size(); ++o) {
      const TapWindow& w = windows_[o];
      for (int64_t t = 0; t < w.kernel_h * w.kernel_w; ++t) {
        const int64_t sy = y * w.stride_h - w.pad_top + t / w.kernel_w * w.dilation_h;
        const int64_t sx = x * w.stride_w - w.pad_left + t % w.kernel_w * w.dilation_w;
        if (sy < 0 || sy >= w.src_h || sx < 0 || sx >= w.src_w) continue;
        int32_t& slot = slots_[o][static_cast<size_t>(t)];
        if (slot < 0) slot = used_taps_[o]++;
        ++effective_taps_[o];
        taps.push_back({static_cast<int32_t>(o), slot, sy * w.src_w + sx});
      }
    }
    // A pointwise step is one run over the whole map.
    const bool may_extend = !runs_.empty() && (x > 0 || pointwise_);
    const bool same_taps =
        may_extend && static_cast<int32_t>(taps.size()) == runs_.back().n_taps &&
        std::equal(taps.begin(), taps.end(), taps_.end() - runs_.back().n_taps,
                   [](const RunTap& a, const RunTap& b) { return a.operand == b.operand && a.tap == b.tap; });
    if (same_taps) {
      ++runs_.back().count;
    } else {
      runs_.push_back(
          {y * dst_w_ + x, 1, static_cast<int32_t>(taps_.size()), static_cast<int32_t>(taps.size())});
      taps_.insert(taps_.end(), taps.begin(), taps.end());
    }
  }
}

void DenseRuns::join_columns() {
  std::vector<TapRun> joined;
  std::vector<std::ptrdiff_t> above(static_cast<size_t>(dst_w_),
                                    -1);  // the column that ends in the line above, by x
  for (const TapRun& run : runs_) {
    const auto x = static_cast<size_t>(run.dst_pos % dst_w_);
    if (run.count != 1) {
      joined.push_back(run);
      continue;
    }
    if (above[x] >= 0) {
      TapRun& column = joined[static_cast<size_t>(above[x])];
      const bool next = column.dst_pos + column.count * dst_w_ == run.dst_pos && column.n_taps == run.n_taps;
      bool same = next;
      for (int32_t i = 0; same && i < run.n_taps; ++i) {
        same = tap(column, i).operand == tap(run, i).operand && tap(column, i).tap == tap(run, i).tap;
      }
      if (same) {
        ++column.count;
        column.column = true;
        continue;
      }
    }
    above[x] = static_cast<std::ptrdiff_t>(joined.size());
    joined.push_back(run);
  }
  runs_ = std::move(joined);
}

/// The run keeps its first `count` positions; the rest become a run behind it.
void DenseRuns::split_run(size_t index, int64_t count) {
  TapRun tail = runs_[index];
  tail.dst_pos += count * dst_step(tail.column);
  tail.count -= count;
  tail.first_tap = static_cast<int32_t>(taps_.size());
  for (int32_t i = 0; i < tail.n_taps; ++i) {
    RunTap moved = tap(runs_[index], i);
    moved.src_pos += count * src_step(static_cast<size_t>(moved.operand), tail.column);
    taps_.push_back(moved);
  }
  runs_[index].count = count;
  runs_.insert(runs_.begin() + static_cast<std::ptrdiff_t>(index) + 1, tail);
}

void DenseRuns::limit(int64_t most) {
  for (size_t i = 0; i < runs_.size(); ++i) {
    const int64_t pieces = (runs_[i].count + most - 1) / most;
    if (pieces > 1) split_run(i, (runs_[i].count + pieces - 1) / pieces);
  }
}

void DenseRuns::split(int64_t least) {
  while (static_cast<int64_t>(runs_.size()) < least) {
    const auto longest = std::max_element(runs_.begin(), runs_.end(),
                                          [](const TapRun& a, const TapRun& b) { return a.count < b.count; });
    if (longest->count < 2) return;
    split_run(static_cast<size_t>(longest - runs_.begin()), longest->count / 2);
  }
}

}  // namespace xdn
