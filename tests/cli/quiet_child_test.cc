#include "cli/quiet_child.h"

#include <gtest/gtest.h>

namespace xdn::cli {
namespace {

QuietEnd shell(const std::string& script, double most_seconds = 60) {
  return run_quiet({"sh", "-c", script}, most_seconds);
}

TEST(QuietChild, TellsStreamsAndCodeApart) {
  const QuietEnd end = shell("echo to out; echo first >&2; echo 'xdn: second' >&2; exit 3");
  EXPECT_EQ(end.code, 3);
  EXPECT_FALSE(end.done());
  EXPECT_EQ(end.out, "to out\n");
  EXPECT_EQ(end.err, "first\nxdn: second\n");
  EXPECT_EQ(end.reason(), "second");
}

TEST(QuietChild, DoneIsCodeZero) {
  EXPECT_TRUE(shell("exit 0").done());
  EXPECT_EQ(shell("exit 4").reason(), "ended with code 4");
}

TEST(QuietChild, ReadsNothingFromTheTerminal) { EXPECT_EQ(shell("cat; echo end").out, "end\n"); }

TEST(QuietChild, KeepsTheEndOfLongOutput) {
  const QuietEnd end = shell("yes 0123456789 | head -n 100000; echo last");
  EXPECT_EQ(end.out.size(), size_t{1} << 16);
  EXPECT_TRUE(end.out.ends_with("\nlast\n"));
}

TEST(QuietChild, AMissingProgramHasItsCode) {
  const QuietEnd end = run_quiet({"/no/such/program"}, 60);
  EXPECT_EQ(end.code, QuietEnd::kNotStarted);
  EXPECT_EQ(end.reason(), "No such file or directory");
}

TEST(QuietChild, ASignalIsAFailure) { EXPECT_EQ(shell("kill -9 $$").code, 128 + 9); }

TEST(QuietChild, IsKilledWhenItsTimeIsOver) {
  const QuietEnd end = shell("exec sleep 100", 0.2);
  EXPECT_TRUE(end.timed_out);
  EXPECT_FALSE(end.done());
  EXPECT_LT(end.seconds, 50);
}

TEST(QuietChild, WaitsForItAloneNotForWhatItLeavesBehind) {
  const QuietEnd end = shell("sleep 60 & echo $!");
  EXPECT_TRUE(end.done());
  EXPECT_LT(end.seconds, 50);
  EXPECT_TRUE(shell("kill " + end.out).done());
}

TEST(QuietChild, WaitsForOneThatHasClosedItsStreams) {
  const QuietEnd end = shell("exec >&- 2>&-; sleep 0.2; exit 5");
  EXPECT_EQ(end.code, 5);
}

}  // namespace
}  // namespace xdn::cli
