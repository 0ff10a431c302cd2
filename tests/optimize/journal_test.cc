#include "optimize/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/error.h"
#include "support/shared_data.h"

namespace xdn::optimize {
namespace {

using ::testing::HasSubstr;

class Journaling : public ::testing::Test {
 protected:
  std::string path() const { return dir_ / "journal.jsonl"; }
  std::string text() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& name, const std::string& content) const {
    std::ofstream(dir_ / name, std::ios::binary) << content;
  }
  std::string refusal(const Json& settings) const {
    try {
      const Journal journal(path(), settings);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
  const Json settings_{{"epochs", 20}, {"lr", 0.05}};
  testing::TempDir dir_;
};

TEST_F(Journaling, HoldsWhatWasFinished) {
  write("a", "bytes");
  {
    Journal journal(path(), settings_);
    EXPECT_EQ(journal.find("01-a", {{"x", 1}}), nullptr);
    journal.finish("01-a", {{"x", 1}}, {"a"}, {{"accuracy", 0.1 + 0.2}});
    journal.note("epochs", 7);
    journal.note("epochs", 5);
  }
  const Journal journal(path(), settings_);
  const Json* found = journal.find("01-a", {{"x", 1}});
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->at("accuracy").get<double>(), 0.1 + 0.2);
  EXPECT_EQ(journal.find("01-a", {{"x", 2}}), nullptr) << "other inputs";
  EXPECT_EQ(journal.find("02-a", {{"x", 1}}), nullptr);
  EXPECT_EQ(*journal.noted("epochs"), 5);
  EXPECT_EQ(journal.noted("lr"), nullptr);
}

TEST_F(Journaling, AFileThatChangedOrWentIsNotFinished) {
  write("a", "bytes");
  Journal journal(path(), settings_);
  journal.finish("01-a", {}, {"a"}, {});
  EXPECT_NE(journal.find("01-a", {}), nullptr);
  write("a", "bytez");
  EXPECT_EQ(journal.find("01-a", {}), nullptr);
  write("a", "bytes");
  EXPECT_NE(journal.find("01-a", {}), nullptr);
  std::filesystem::remove(dir_ / "a");
  EXPECT_EQ(journal.find("01-a", {}), nullptr);
}

TEST_F(Journaling, CutAnywhereItHoldsTheLinesBefore) {
  {
    Journal journal(path(), settings_);
    journal.finish("01-a", {}, {}, {{"n", 1}});
    journal.finish("02-b", {}, {}, {{"n", 2}});
  }
  const std::string whole = text();
  const size_t first = whole.find('\n') + 1, second = whole.find('\n', first) + 1;
  for (size_t length = 0; length <= whole.size(); ++length) {
    write("journal.jsonl", whole.substr(0, length));
    {
      Journal journal(path(), settings_);
      EXPECT_EQ(journal.find("01-a", {}) != nullptr, length >= second) << length;
      EXPECT_EQ(journal.find("02-b", {}) != nullptr, length == whole.size()) << length;
      journal.finish("03-c", {}, {}, {});
    }
    const Journal again(path(), settings_);
    EXPECT_NE(again.find("03-c", {}), nullptr) << "what was cut off does not stand in the next line's way";
  }
}

TEST_F(Journaling, DamageBeforeTheEndIsAnError) {
  {
    Journal journal(path(), settings_);
    journal.finish("01-a", {}, {}, {});
    journal.finish("02-b", {}, {}, {});
  }
  std::string whole = text();
  whole[whole.find('\n') + 1] = '#';
  write("journal.jsonl", whole);
  EXPECT_THAT(refusal(settings_), HasSubstr("journal.jsonl: line 2 is damaged"));
  write("journal.jsonl", "{\"stage\":\"01-a\"}\n{}\n");
  EXPECT_THAT(refusal(settings_), HasSubstr("line 1 is damaged"));
}

TEST_F(Journaling, OtherSettingsAreNamed) {
  EXPECT_EQ(refusal(settings_), "");
  EXPECT_EQ(refusal(settings_), "");
  EXPECT_THAT(refusal({{"epochs", 10}, {"lr", 0.05}}),
              HasSubstr("holds a run of other settings: epochs was 20, and is 10 now"));
  EXPECT_THAT(refusal({{"epochs", 20}, {"lr", 0.05}, {"seed", 1}}), HasSubstr("seed was not given"));
  EXPECT_THAT(refusal({{"epochs", 20}}), HasSubstr("other settings"));
}

TEST_F(Journaling, AFileThatIsNotThereCannotBeFinished) {
  Journal journal(path(), settings_);
  EXPECT_THROW(journal.finish("01-a", {}, {"absent"}, {}), Error);
  EXPECT_EQ(journal.find("01-a", {}), nullptr);
}

}  // namespace
}  // namespace xdn::optimize
