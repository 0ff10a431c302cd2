#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<std::string> kVerbs{
#define XDN_VERB(name, summary, example) #name,
#include "cli/verbs.inc"
};

TEST(Usage, HelpNamesEveryVerb) {
  const Finished help = run_xdn({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const std::string& verb : kVerbs) EXPECT_THAT(help.out, ContainsRegex("\n  " + verb + " "));
  EXPECT_THAT(help.out, HasSubstr("Exit codes"));
}

TEST(Usage, EveryVerbHasHelpWithAnExample) {
  for (const std::string& verb : kVerbs) {
    for (const char* flag : {"--help", "-h"}) {
      const Finished help = run_xdn({verb, flag});
      EXPECT_EQ(help.code, 0) << verb;
      EXPECT_EQ(help.err, "") << verb;
      EXPECT_THAT(help.out, HasSubstr("Example:\n  xdn " + verb + " "));
      EXPECT_THAT(help.out, HasSubstr("--verbose"));
    }
  }
}

TEST(Usage, Version) {
  const Finished version = run_xdn({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, ContainsRegex("^xdn [0-9]+\\.[0-9]+\\.[0-9]+\n$"));
}

void expect_usage_error(const std::vector<std::string>& arguments, const std::string& expected) {
  const Finished finished = run_xdn(arguments);
  EXPECT_EQ(finished.code, 2) << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
  EXPECT_THAT(finished.err, StartsWith("xdn: "));
  EXPECT_THAT(finished.err, HasSubstr(expected));
}

TEST(Usage, NoVerb) { expect_usage_error({}, "expected a verb: info, pack"); }
TEST(Usage, UnknownVerb) { expect_usage_error({"frobnicate", "x"}, "'frobnicate' is no verb"); }
TEST(Usage, UnknownTopOption) { expect_usage_error({"--frobnicate"}, "see xdn --help"); }

TEST(Usage, EveryVerbRefusesUnknownOptionsAndMissingArguments) {
  for (const std::string& verb : kVerbs) {
    expect_usage_error({verb}, "see xdn " + verb + " --help");
    expect_usage_error({verb, "--frobnicate"}, "see xdn " + verb + " --help");
  }
}

TEST(Usage, ControlBytesDoNotReachTheTerminal) {
  const Finished finished = run_xdn({"a\nb\033[31m"});
  EXPECT_EQ(finished.code, 2);
  EXPECT_EQ(lines_of(finished.err).size(), 1u);
  EXPECT_EQ(finished.err.find('\033'), std::string::npos);
}

}  // namespace
}  // namespace xdn::testing
