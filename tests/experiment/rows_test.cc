#include "experiment/rows.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace xdn::experiment {
namespace {

TEST(Rows, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const Row& row : rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(find_row(row.name), &row);
    EXPECT_EQ(row.name.find(','), std::string_view::npos) << "--rows separates by commas";
  }
  EXPECT_EQ(find_row("A-3"), nullptr);
}

TEST(Rows, AreThoseOf2019WithItsFigures) {
  for (const char* name : {"Original", "A-1", "A-2", "B-1", "B-2", "C-1", "C-2"}) {
    const Row* row = find_row(name);
    ASSERT_NE(row, nullptr) << name;
    EXPECT_EQ(row->group, Group::kVariants);
    EXPECT_EQ(row->engine, Engine::kXdn);
    EXPECT_GT(row->ms_2019, 0) << name;
    EXPECT_GT(row->accuracy_2019, 0) << name;
    const bool original = row->name == kOriginalRow;
    EXPECT_EQ(row->online, original) << name;
    EXPECT_EQ(row->tuned, !original) << name;
    EXPECT_EQ(row->fusion, row->name.ends_with("2") ? "traditional" : "off") << name;
  }
}

TEST(Rows, OnlyOursHaveFusionAndTuning) {
  for (const Row& row : rows()) {
    EXPECT_EQ(row.fusion.empty(), row.engine != Engine::kXdn) << row.name;
    if (row.engine != Engine::kXdn) {
      EXPECT_FALSE(row.tuned) << row.name;
    }
  }
}

TEST(Waterfall, ChangesOneThingAtATime) {
  const Row* before = nullptr;
  int steps_of_2019 = 0;
  for (const Step& step : waterfall()) {
    const Row* row = find_row(step.row);
    ASSERT_NE(row, nullptr) << step.row;
    steps_of_2019 += step.ms_2019 > 0 ? 1 : 0;
    if (before != nullptr && step.ms_2019 > 0) {
      const int changes = (row->model != before->model) + (row->fusion != before->fusion) +
                          (row->online != before->online) + (row->tuned != before->tuned);
      EXPECT_EQ(changes, 1) << step.name;
    }
    before = row;
  }
  EXPECT_EQ(steps_of_2019, 5);
  EXPECT_EQ(waterfall().front().row, kOriginalRow);
}

TEST(Headline, ComparesWithOnnxRuntimeInFloat32FromTensors) {
  const Row* row = find_row(kHeadlineFrom);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->engine, Engine::kOnnxRuntime);
  EXPECT_EQ(row->model, ModelRole::kOriginal);
  EXPECT_FALSE(row->online);
}

}  // namespace
}  // namespace xdn::experiment
