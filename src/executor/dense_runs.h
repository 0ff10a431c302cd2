#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace xdn {

/// A convolution's window over one source map.
struct TapWindow {
  int64_t src_h = 1, src_w = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;

  bool pointwise() const {
    return kernel_h * kernel_w == 1 && stride_h == 1 && stride_w == 1 && pad_top == 0 && pad_left == 0;
  }
};

/// One tap of one run: where its first position reads.
struct RunTap {
  int32_t operand;
  int32_t tap;  ///< among the operand's used taps
  int64_t src_pos;
};

/// Output positions, one after another in a line or in a column, that use the same taps.
struct TapRun {
  int64_t dst_pos, count;
  int32_t first_tap, n_taps;
  bool column = false;
};

/// Which taps each output position uses, as runs: the taps that fall into the padding are on no list.
/// Positions at the left and right border, which share their taps with their neighbours above and below only,
/// form columns.
class DenseRuns {
 public:
  DenseRuns(const std::vector<TapWindow>& windows, int64_t dst_h, int64_t dst_w);

  const std::vector<TapRun>& runs() const { return runs_; }
  const RunTap& tap(const TapRun& run, int32_t i) const {
    return taps_[static_cast<size_t>(run.first_tap + i)];
  }
  /// Per operand and tap of its window, its slot among the used ones, or -1.
  const std::vector<std::vector<int32_t>>& slots() const { return slots_; }
  int64_t used_taps(size_t operand) const { return used_taps_[operand]; }
  /// Over all output positions, how many taps of the operand read inside its map.
  int64_t effective_taps(size_t operand) const { return effective_taps_[operand]; }
  /// Positions from one position of a run to the next, in the source and in the destination.
  int64_t src_step(size_t operand, bool column) const;
  int64_t dst_step(bool column) const { return column ? dst_w_ : 1; }
  /// Neighbours in a line are neighbours in every source.
  bool contiguous() const { return contiguous_; }

  /// Splits runs longer than `most` positions into nearly equal ones.
  void limit(int64_t most);
  /// Halves the longest runs until there are at least `least`, or none can be split.
  void split(int64_t least);

 private:
  void add_line(int64_t y);
  void join_columns();
  void split_run(size_t index, int64_t count);

  std::vector<TapWindow> windows_;
  int64_t dst_h_, dst_w_;
  bool pointwise_ = true, contiguous_ = true;
  std::vector<RunTap> taps_;
  std::vector<TapRun> runs_;
  std::vector<std::vector<int32_t>> slots_;
  std::vector<int32_t> used_taps_;
  std::vector<int64_t> effective_taps_;
};

}  // namespace xdn
