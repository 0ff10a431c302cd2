#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Report : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string fixtures_ = (source_dir() / "tests/report/fixtures").string();
};

TEST_F(Report, WritesThePageAndTellsItsSize) {
  const std::string out = dir_ / "page.html", json = dir_ / "report.json";
  const Finished finished = run_xdn({"report", fixtures_ + "/experiment", fixtures_ + "/tune.json", "-o", out,
                                     "--title", "A & B", "--json", json});
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, StartsWith("wrote " + out + " ("));
  EXPECT_THAT(finished.out, HasSubstr("2 runs"));
  const std::string page = read_text(out);
  EXPECT_THAT(page, StartsWith("<!DOCTYPE html>"));
  EXPECT_THAT(page, HasSubstr("<title>A &amp; B</title>"));
  const auto told = nlohmann::json::parse(read_text(json));
  EXPECT_EQ(told["bytes"], page.size());
  EXPECT_EQ(told["runs"].size(), 2U);
}

TEST_F(Report, RefusesInOneLineAndWritesNothing) {
  const std::string bad = dir_ / "bad.json", out = dir_ / "page.html";
  write_text(bad, "{\"verb\": \"eval\", \"accuracy\": 7, \"images_per_second\": 1}");
  const Finished finished = run_xdn({"report", fixtures_ + "/tune.json", bad, "-o", out});
  EXPECT_EQ(finished.code, 2);
  EXPECT_EQ(finished.err, "xdn: " + bad + ": 'accuracy': expected a number from 0 to 1, found 7\n");
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(Report, NeverOverwritesARun) {
  const std::string run = dir_ / "tune.json";
  const std::string text = read_text(fixtures_ + "/tune.json");
  write_text(run, text);
  EXPECT_EQ(run_xdn({"report", run, "-o", run}).code, 2);
  EXPECT_EQ(read_text(run), text);
}

}  // namespace
}  // namespace xdn::testing
