#include "cli/progress.h"

#include <gtest/gtest.h>

namespace xdn::cli {
namespace {

TEST(ProgressLine, ShowsShareAndTimeLeft) {
  EXPECT_EQ(progress_line("eval", 500, 1000, 3),
            "eval  [###############               ]  50 %  500/1000  3 s left");
  EXPECT_EQ(progress_line("eval", 0, 10, 1), "eval  [                              ]   0 %  0/10");
  EXPECT_EQ(progress_line("eval", 10, 10, 1),
            "eval  [##############################] 100 %  10/10  0 s left");
}

TEST(ProgressLine, SpellsLongTimes) {
  EXPECT_TRUE(progress_line("x", 1, 2, 61).ends_with("1:01 left"));
  EXPECT_TRUE(progress_line("x", 1, 2, 3661).ends_with("1:01:01 left"));
  EXPECT_TRUE(progress_line("x", 1, 1'000'000'000, 1e9).ends_with("99:59:59 left"));
}

TEST(ProgressLine, SurvivesOddCounts) {
  EXPECT_EQ(progress_line("x", 7, 0, 1), "x  7");
  EXPECT_TRUE(progress_line("x", 20, 10, 1).ends_with("20/10  0 s left"));
}

TEST(DurationText, GrowsUnits) {
  EXPECT_EQ(duration_text(7.4), "7 s");
  EXPECT_EQ(duration_text(754), "12:34");
  EXPECT_EQ(duration_text(5025), "1:23:45");
}

TEST(Progress, CountsFromAnyThreadAndFinishesTwice) {
  Progress progress("x", 100);
  std::thread other([&] { progress.done() += 40; });
  progress.done() += 2;
  progress.note("loss 1");
  other.join();
  EXPECT_EQ(progress.done().load(), 42);
  progress.finish();
  progress.finish();
}

}  // namespace
}  // namespace xdn::cli
