#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class OutputOf : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string model_ = write_onnx(dir_.path().string());
};

TEST_F(OutputOf, JsonFileAndText) {
  const Finished finished = run_xdn({"info", model_, "--json", dir_ / "info.json"});
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("parameters"));
  EXPECT_EQ(Json::parse(read_text(dir_ / "info.json"))["layers"], 5);
}

TEST_F(OutputOf, JsonFileReplacesAnOldOne) {
  write_text(dir_ / "info.json", std::string(100000, 'x'));
  EXPECT_EQ(run_xdn({"info", model_, "--json", dir_ / "info.json"}).code, 0);
  EXPECT_EQ(Json::parse(read_text(dir_ / "info.json"))["layers"], 5);
}

TEST_F(OutputOf, JsonOnStdoutLeavesTheTextToStderr) {
  const Finished finished = run_xdn({"info", model_, "--json", "-"});
  EXPECT_EQ(finished.code, 0);
  EXPECT_FALSE(Json::parse(finished.out, nullptr, false).is_discarded());
  EXPECT_THAT(finished.err, HasSubstr("parameters"));
}

TEST_F(OutputOf, RelativeJsonPath) {
  EXPECT_EQ(run_xdn({"info", "net.onnx", "--json", "info.json"}, {.cwd = dir_.path().string()}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(dir_ / "info.json"));
}

TEST_F(OutputOf, NamesThatAreNotUtf8) {
  const std::string odd = dir_ / "m\xFF.onnx";
  std::filesystem::copy(model_, odd);
  const Finished finished = run_xdn({"info", odd, "--json", dir_ / "info.json"});
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_FALSE(Json::parse(read_text(dir_ / "info.json"), nullptr, false).is_discarded());
}

TEST_F(OutputOf, JsonTellsHowItCameAbout) {
  std::filesystem::copy(model_, dir_ / "it's my net.onnx");
  const Finished finished =
      run_xdn({"info", "it's my net.onnx", "--json", "-"}, {.cwd = dir_.path().string()});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, ::testing::StartsWith("{\n \"command\":"));
  const Json json = Json::parse(finished.out);
  EXPECT_EQ(json["command"], R"(xdn info 'it'\''s my net.onnx' --json -)");
  EXPECT_EQ(json["verb"], "info");
  const Json& environment = json["environment"];
  for (const char* key : {"cpu", "isa_best", "kernel", "xdn_version"})
    EXPECT_NE(environment.value(key, ""), "") << key;
  EXPECT_GE(environment["threads_allowed"], 1);
  EXPECT_GT(environment["ram_bytes"], 1 << 20);
  EXPECT_THAT(environment["date_utc"].get<std::string>(),
              ::testing::MatchesRegex("20[0-9][0-9]-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"));
  EXPECT_EQ(json["layers"], 5);
}

TEST_F(OutputOf, ClosedStdoutFailsAndSparesTheFiles) {
  const Finished finished = run_xdn({"info", model_, "--json", dir_ / "info.json"}, {.close_stdout = true});
  EXPECT_EQ(finished.code, 1);
  EXPECT_EQ(finished.signal, 0);
  EXPECT_THAT(finished.err, HasSubstr("cannot write to standard output"));
  EXPECT_FALSE(Json::parse(read_text(dir_ / "info.json"), nullptr, false).is_discarded());
}

TEST_F(OutputOf, ReaderThatWentAwayIsNoSignal) {
  const Finished finished = run_xdn({"info", model_}, {.reader_gone = true});
  EXPECT_EQ(finished.signal, 0);
  EXPECT_EQ(finished.code, 1);
  EXPECT_EQ(finished.err, "");
}

TEST_F(OutputOf, FullDiskIsAFailure) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "skipped: no /dev/full";
  const Finished finished = run_xdn({"info", model_}, {.stdout_path = "/dev/full"});
  EXPECT_EQ(finished.code, 1);
  EXPECT_THAT(finished.err, HasSubstr("xdn: cannot write to standard output: No space left on device\n"));
}

TEST_F(OutputOf, HelpToAFullDiskIsAFailureToo) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "skipped: no /dev/full";
  EXPECT_EQ(run_xdn({"--help"}, {.stdout_path = "/dev/full"}).code, 1);
}

}  // namespace
}  // namespace xdn::testing
