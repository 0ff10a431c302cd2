#include "experiment/journal.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "support/shared_data.h"

namespace xdn::experiment {
namespace {

class JournalTest : public ::testing::Test {
 protected:
  testing::TempDir dir_;
  std::string path_ = dir_ / "journal.jsonl";

  static Record record(const std::string& key, int value) {
    return {key, "row " + key, "run", 0.5, {{"value", value}}};
  }
  void append_text(const std::string& text) const { std::ofstream(path_, std::ios::app) << text; }
};

TEST_F(JournalTest, KeepsWhatWasAppendedInItsOrder) {
  {
    Journal journal(path_);
    journal.append(record("a", 1));
    journal.append(record("b", 2));
    journal.append(record("a", 3));
    EXPECT_EQ(journal.find("a").size(), 2u);
  }
  const Journal journal(path_);
  EXPECT_EQ(journal.damaged(), 0u);
  ASSERT_EQ(journal.records().size(), 3u);
  const auto found = journal.find("a");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0]->result["value"], 1);
  EXPECT_EQ(found[1]->result["value"], 3);
  EXPECT_EQ(found[1]->name, "row a");
  EXPECT_EQ(found[1]->wall, 0.5);
  EXPECT_TRUE(journal.find("c").empty());
}

TEST_F(JournalTest, LosesOnlyTheLineThatAKillCutOff) {
  Journal(path_).append(record("a", 1));
  const std::string line = read_file(path_);
  for (size_t kept = 0; kept < line.size(); ++kept) {
    std::ofstream(path_, std::ios::trunc) << line << line.substr(0, kept);
    Journal journal(path_);
    EXPECT_EQ(journal.damaged(), 0u);
    EXPECT_EQ(journal.records().size(), 1u) << kept;
    journal.append(record("b", 2));
    const Journal again(path_);
    EXPECT_EQ(again.records().size(), 2u) << kept;
    EXPECT_EQ(again.damaged(), 0u) << kept;
  }
}

TEST_F(JournalTest, CountsLinesThatAreNoRecords) {
  append_text("not json\n[1]\n{\"key\":1}\n");
  append_text(R"({"key":"a","name":"n","run":"r","wall":-1,"result":{}})"
              "\n");
  append_text(R"({"key":"a","name":"n","run":"r","wall":1,"result":7})"
              "\n");
  append_text(R"({"key":"a","name":"n","run":"r","wall":1,"result":{}})"
              "\n");
  const Journal journal(path_);
  EXPECT_EQ(journal.damaged(), 5u);
  EXPECT_EQ(journal.records().size(), 1u);
}

TEST_F(JournalTest, NamesTheFileThatCannotBeOpened) {
  try {
    const Journal journal(dir_ / "none/journal.jsonl");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("none/journal.jsonl"), std::string::npos);
  }
}

}  // namespace
}  // namespace xdn::experiment
