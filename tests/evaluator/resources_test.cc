#include "evaluator/resources.h"

#include <gtest/gtest.h>

#include <vector>

namespace xdn {
namespace {

TEST(PeakRss, GrowsWithTouchedMemory) {
  const int64_t before = peak_rss_bytes();
  ASSERT_GT(before, 0);
  constexpr size_t kBytes = size_t{64} << 20;
  std::vector<char> touched(kBytes, 1);
  const int64_t after = peak_rss_bytes();
  EXPECT_EQ(touched[kBytes / 2], 1);
  // Pages that were resident before and unused are reused: hence half.
  EXPECT_GE(after, before + static_cast<int64_t>(kBytes / 2));
  touched = {};
  EXPECT_GE(peak_rss_bytes(), after);
}

TEST(Stopwatch, NeverRunsBackwards) {
  const Stopwatch watch;
  const double first = watch.seconds();
  EXPECT_GE(first, 0);
  EXPECT_GE(watch.seconds(), first);
}

}  // namespace
}  // namespace xdn
