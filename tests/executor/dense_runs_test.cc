#include "executor/dense_runs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

namespace xdn {
namespace {

TapWindow window(int64_t in, int64_t kernel, int64_t stride, int64_t pad) {
  TapWindow w;
  w.src_h = w.src_w = in;
  w.kernel_h = w.kernel_w = kernel;
  w.stride_h = w.stride_w = stride;
  w.pad_top = w.pad_left = pad;
  return w;
}

/// Expands the runs and compares each position's taps with a direct count; every position stands in one run.
void expect_covers(const DenseRuns& runs, const TapWindow& w, int64_t out) {
  std::vector<int> seen(static_cast<size_t>(out * out), 0);
  int64_t taps = 0;
  for (const TapRun& run : runs.runs()) {
    for (int64_t i = 0; i < run.count; ++i) {
      const int64_t dst = run.dst_pos + i * runs.dst_step(run.column);
      ASSERT_LT(dst, out * out);
      ++seen[static_cast<size_t>(dst)];
      const int64_t y = dst / out, x = dst % out;
      std::vector<int64_t> want, got;
      for (int64_t ky = 0; ky < w.kernel_h; ++ky) {
        for (int64_t kx = 0; kx < w.kernel_w; ++kx) {
          const int64_t sy = y * w.stride_h - w.pad_top + ky, sx = x * w.stride_w - w.pad_left + kx;
          if (sy >= 0 && sy < w.src_h && sx >= 0 && sx < w.src_w) want.push_back(sy * w.src_w + sx);
        }
      }
      for (int32_t t = 0; t < run.n_taps; ++t) {
        got.push_back(runs.tap(run, t).src_pos + i * runs.src_step(0, run.column));
      }
      ASSERT_EQ(got, want) << "position " << dst;
      taps += run.n_taps;
    }
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), out * out);
  EXPECT_EQ(runs.effective_taps(0), taps);
}

TEST(DenseRuns, CoverEveryPositionOnce) {
  for (const auto& [in, kernel, stride, pad] : std::vector<std::array<int64_t, 4>>{
           {8, 3, 1, 1}, {8, 3, 2, 1}, {7, 1, 2, 0}, {4, 3, 1, 1}, {1, 3, 1, 1}, {9, 5, 1, 2}}) {
    const int64_t out = (in + 2 * pad - kernel) / stride + 1;
    const TapWindow w = window(in, kernel, stride, pad);
    DenseRuns runs({w}, out, out);
    expect_covers(runs, w, out);
    runs.limit(2);
    for (const TapRun& run : runs.runs()) EXPECT_LE(run.count, 2);
    expect_covers(runs, w, out);
    DenseRuns split({w}, out, out);
    split.split(out * out);
    expect_covers(split, w, out);
  }
}

TEST(DenseRuns, PointwiseIsOneRun) {
  const DenseRuns runs({window(6, 1, 1, 0)}, 6, 6);
  ASSERT_EQ(runs.runs().size(), 1u);
  EXPECT_EQ(runs.runs()[0].count, 36);
}

TEST(DenseRuns, ThreeByThreeHasNineKinds) {
  // Corners, lines and columns of the border, and one run per inner line.
  const DenseRuns runs({window(6, 3, 1, 1)}, 6, 6);
  EXPECT_EQ(runs.runs().size(), 4u + 2u + 2u + 4u);
  EXPECT_EQ(std::count_if(runs.runs().begin(), runs.runs().end(), [](const TapRun& r) { return r.column; }),
            2);
}

TEST(DenseRuns, OnOnePositionOnlyTheCentreIsUsed) {
  const DenseRuns runs({window(1, 3, 1, 1)}, 1, 1);
  EXPECT_EQ(runs.used_taps(0), 1);
  EXPECT_EQ(runs.slots()[0], (std::vector<int32_t>{-1, -1, -1, -1, 0, -1, -1, -1, -1}));
}

TEST(DenseRuns, TwoOperandsOfDifferentStrides) {
  const DenseRuns runs({window(4, 1, 1, 0), window(8, 1, 2, 0)}, 4, 4);
  EXPECT_FALSE(runs.contiguous());
  EXPECT_EQ(runs.runs().size(), 4u);
  EXPECT_EQ(runs.tap(runs.runs()[1], 1).src_pos, 16);
  EXPECT_EQ(runs.src_step(1, false), 2);
}

}  // namespace
}  // namespace xdn
