#include "experiment/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiment/markdown.h"

namespace xdn::experiment {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

RowResult measured(const char* name, std::vector<double> seconds, int64_t correct) {
  RowResult result;
  result.row = find_row(name);
  result.seconds = std::move(seconds);
  result.images = 10000;
  result.correct = correct;
  result.macs = 7e7;
  result.command = std::string("xdn eval ") + name;
  return result;
}

RowResult missing(const char* name, const char* why) {
  RowResult result;
  result.row = find_row(name);
  result.missing = why;
  return result;
}

Experiment example() {
  Experiment out;
  out.title = "Title";
  out.images = 10000;
  out.repeats = 3;
  out.rows = {measured("Original", {10, 12, 11}, 8357), measured("B-2", {4, 4.2, 3.8}, 8462),
              missing("C-2", "model missing: a|b"),     measured("pruning", {7, 7, 7}, 8462),
              measured("B-int8", {1, 1.1, 0.9}, 8300),  measured("best", {0.5, 0.4, 0.6}, 8384),
              measured("ORT-fp32", {9, 8, 10}, 8357)};
  out.aa_seconds = {1, 1, 1, 1};
  out.commands = {"xdn pack x -o y"};
  out.notes = {"a note"};
  return out;
}

const Json& table_named(const Json& json, const std::string& title) {
  for (const Json& table : json["tables"]) {
    if (table["title"] == title) return table;
  }
  throw std::runtime_error("no table " + title);
}

TEST(ExperimentHeadline, IsOurFastestRowThatIsAccurateEnough) {
  const Experiment experiment = example();
  const Headline found = headline(experiment);
  ASSERT_NE(found.best, nullptr);
  EXPECT_EQ(found.best->row->name, "best");
  EXPECT_DOUBLE_EQ(found.ratio, 18);
  EXPECT_DOUBLE_EQ(found.lo, 8 / 0.6);
  EXPECT_DOUBLE_EQ(found.hi, 10 / 0.4);
}

TEST(ExperimentHeadline, PassesOverFasterRowsThatLostAccuracy) {
  Experiment experiment = example();
  experiment.rows[5].correct = 8356;
  const Headline found = headline(experiment);
  ASSERT_NE(found.best, nullptr);
  EXPECT_EQ(found.best->row->name, "B-2");
  EXPECT_DOUBLE_EQ(found.ratio, 9 / 4.0);
}

TEST(ExperimentHeadline, NeedsThePeerAndTheOriginal) {
  Experiment experiment = example();
  experiment.rows.pop_back();
  EXPECT_EQ(headline(experiment).from, nullptr);
  EXPECT_TRUE(to_json(experiment)["headline"].is_null());
  experiment = example();
  experiment.rows.erase(experiment.rows.begin());
  EXPECT_EQ(headline(experiment).best, nullptr);
  EXPECT_TRUE(to_json(experiment)["headline"].is_null());
}

TEST(ExperimentJson, HasTheContractsKeys) {
  const Json json = to_json(example());
  for (const char* key : {"title", "environment", "commands", "notes", "tables", "waterfall", "points", "aa",
                          "evals", "headline", "rows"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  for (const Json& table : json["tables"]) {
    for (const Json& cells : table["rows"]) {
      EXPECT_EQ(cells.size(), table["columns"].size()) << table["title"];
      for (const Json& cell : cells) EXPECT_TRUE(cell.is_string()) << table["title"];
    }
  }
  EXPECT_EQ(json["points"].size(), 6u);
  EXPECT_EQ(json["points"][5]["group"], "peer");
  EXPECT_DOUBLE_EQ(json["points"][0]["images_per_second"], 10000 / 11.0);
}

TEST(ExperimentJson, WaterfallLinksTheStepsThatWereMeasured) {
  const Json steps = to_json(example())["waterfall"]["steps"];
  ASSERT_EQ(steps.size(), 5u);
  EXPECT_EQ(steps[0]["from"], "");
  EXPECT_DOUBLE_EQ(steps[0]["value"], 11000);
  EXPECT_EQ(steps[1]["from"], "Original");
  EXPECT_EQ(steps[2]["name"], "auto-tuning");
  EXPECT_EQ(steps[2]["from"], "pruning");
  EXPECT_EQ(steps[4]["from"], "int8");
}

TEST(ExperimentJson, SaysWhatIsMissing) {
  const Json json = to_json(example());
  const Json& rows = table_named(json, "2019 repeated")["rows"];
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[2][2], "model missing: a|b");
  EXPECT_EQ(rows[1][6], "2.75×");
  EXPECT_EQ(rows[1][8], "304");
}

TEST(ExperimentJson, SettingsTellWhatWasTuned) {
  Experiment experiment = example();
  experiment.rows[1].tuned = true;
  const Json json = to_json(experiment);
  const Json& rows = table_named(json, "Settings")["rows"];
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[1][5], "yes");
  EXPECT_EQ(rows[2][5], "no");
  EXPECT_EQ(json["rows"][1]["tuned"], true);
}

TEST(ExperimentJson, AaTellsOfANoisyMachine) {
  Experiment experiment = example();
  EXPECT_EQ(to_json(experiment)["aa"]["within"], true);
  experiment.aa_seconds = {1.1, 1, 1, 1.1};
  const Json json = to_json(experiment);
  EXPECT_EQ(json["aa"]["within"], false);
  EXPECT_NEAR(json["aa"]["ratio"].get<double>(), 1.1, 1e-12);
  EXPECT_EQ(json["aa"]["runs"], 4);
  EXPECT_THAT(json["notes"].dump(), HasSubstr("too noisy"));
  experiment.aa_seconds.pop_back();
  EXPECT_FALSE(to_json(experiment).contains("aa"));
}

TEST(ExperimentMarkdown, HasTablesNotesAndCommands) {
  const Json json = to_json(example());
  const std::string text = markdown(json, true);
  EXPECT_THAT(text, HasSubstr("# Title\n"));
  EXPECT_THAT(
      text,
      HasSubstr("| B-2 | 60 % of the inner filters, conv&bn fusion | 4000 | 3800–4200 | 2500 | 0.8462 |"));
  EXPECT_THAT(text, HasSubstr("a\\|b"));
  EXPECT_THAT(text, HasSubstr("- a note\n"));
  EXPECT_THAT(text, HasSubstr("xdn pack x -o y\n"));
  EXPECT_EQ(markdown(json, false).find("xdn pack"), std::string::npos);
}

}  // namespace
}  // namespace xdn::experiment
