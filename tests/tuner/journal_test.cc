#include "tuner/journal.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "support/shared_data.h"

namespace xdn::tuner {
namespace {

using testing::TempDir;

class Journals : public ::testing::Test {
 protected:
  TempDir dir_;
  const std::string folder_ = dir_ / "a/b", file_ = folder_ + "/journal.jsonl";
  const Json search_{{"model", "m"}, {"threads", 2}};

  std::string text() const {
    std::ostringstream out;
    out << std::ifstream(file_).rdbuf();
    return out.str();
  }
  void set_text(const std::string& text) const { std::ofstream(file_) << text; }
  void write_two() const {
    Journal journal(folder_, search_, true);
    journal.add("one", {{"value", 1}, {"at", 0.5}});
    journal.add("two", {{"value", 2}, {"at", 1.5}});
  }
};

TEST_F(Journals, GoOn) {
  write_two();
  Journal journal(folder_, search_, true);
  EXPECT_EQ(journal.resumed(), 2u);
  EXPECT_EQ(journal.spent(), 1.5);
  ASSERT_NE(journal.find("two"), nullptr);
  EXPECT_EQ((*journal.find("two"))["value"], 2);
  EXPECT_EQ(journal.find("three"), nullptr);
  journal.add("three", {{"value", 3}});
  EXPECT_EQ(journal.size(), 3u);
}

TEST_F(Journals, LoseNothingToATornLastLine) {
  write_two();
  const std::string whole = text();
  const std::string last = "{\"trial\":\"three\",\"value\":3}\n";
  for (size_t cut = 0; cut < last.size(); ++cut) {
    set_text(whole + last.substr(0, cut));
    {
      Journal journal(folder_, search_, true);
      ASSERT_EQ(journal.resumed(), 2u) << cut;
      journal.add("four", {{"value", 4}});
    }
    Journal again(folder_, search_, true);
    ASSERT_EQ(again.resumed(), 3u) << cut;
    ASSERT_EQ((*again.find("four"))["value"], 4);
  }
}

TEST_F(Journals, OfAnotherSearchOrEndedBeginAnew) {
  write_two();
  EXPECT_EQ(Journal(folder_, search_, false).resumed(), 0u);
  write_two();
  EXPECT_EQ(Journal(folder_, {{"model", "other"}}, true).resumed(), 0u);
  write_two();
  Journal(folder_, search_, true).end();
  EXPECT_EQ(Journal(folder_, search_, true).resumed(), 0u);
  for (const char* junk : {"", "junk", "junk\n", "[]\n{}\n", "{\"search\":{}}\n"}) {
    set_text(junk);
    EXPECT_EQ(Journal(folder_, search_, true).resumed(), 0u) << junk;
  }
}

TEST_F(Journals, BelongToOneProcessAtATime) {
  Journal first(folder_, search_, true);
  EXPECT_THROW(Journal(folder_, search_, true), Error);
}

}  // namespace
}  // namespace xdn::tuner
