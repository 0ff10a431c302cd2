#include "tuner/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "support/shared_data.h"

namespace xdn::tuner {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;

class Records : public ::testing::Test {
 protected:
  TempDir dir_;
  const std::string model_ = dir_ / "net.onnx", record_ = dir_ / "net.tuning.json";
  const std::vector<std::string> files_{model_};
  RecordEntry entry_;

  void SetUp() override {
    put(model_, "weights");
    entry_.key = key_here();
    entry_.key.model = stat_model(files_);
    entry_.key.model.sha256 = hash_model(files_);
    entry_.key.threads = 2;
    entry_.key.fusion = "traditional";
    entry_.key.input = {3, 32, 32};
    entry_.settings = {std::nullopt, 2, 1, 48, false, {{"conv1", {2, LoopOrder::kRowsOuter}}}};
    entry_.speedup = 1.25;
    entry_.found = {{"search", "grid"}};
  }
  static void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  RecordKey wanted() const {
    RecordKey key = entry_.key;
    key.model = stat_model(files_);
    return key;
  }
  Json json() const { return Json::parse(std::ifstream(record_)); }
};

TEST_F(Records, AreFoundAgain) {
  write_record(record_, entry_);
  const Lookup found = look_up(record_, wanted(), files_);
  ASSERT_TRUE(found.entry.has_value()) << found.note;
  EXPECT_EQ(found.entry->settings, entry_.settings);
  EXPECT_EQ(found.entry->speedup, 1.25);
  EXPECT_EQ(found.entry->found, entry_.found);
}

TEST_F(Records, HoldSeveralCases) {
  write_record(record_, entry_);
  RecordEntry other = entry_;
  other.key.scenario = "single-stream";
  other.settings.model_parallel = 2;
  write_record(record_, other);
  other.key.scenario = "offline";
  other.settings.batch_tile = 12;  // in place of the first
  write_record(record_, other);
  EXPECT_EQ(read_record(record_).size(), 2u);
  EXPECT_EQ(look_up(record_, wanted(), files_).entry->settings.batch_tile, 12);
  RecordKey single = wanted();
  single.scenario = "single-stream";
  EXPECT_EQ(look_up(record_, single, files_).entry->settings.model_parallel, 2);
}

TEST_F(Records, OfOtherCasesAreIgnoredWithTheReason) {
  write_record(record_, entry_);
  const auto ignored = [&](auto change, const std::string& why) {
    RecordKey key = wanted();
    change(key);
    const Lookup found = look_up(record_, key, files_);
    EXPECT_FALSE(found.entry.has_value()) << why;
    EXPECT_THAT(found.note, HasSubstr(why));
  };
  ignored([](RecordKey& k) { k.threads = 4; }, "for 2 threads, not 4");
  ignored([](RecordKey& k) { k.cpu = "Z80"; }, "not Z80");
  ignored([](RecordKey& k) { k.isa = "mmx"; }, "not mmx");
  ignored([](RecordKey& k) { k.scenario = "single-stream"; }, "scenario offline");
  ignored([](RecordKey& k) { k.fusion = "off"; }, "--fusion traditional, not off");
  ignored([](RecordKey& k) { k.isa_option = "avx2"; }, "--isa");
  ignored([](RecordKey& k) { k.input = {3, 64, 64}; }, "3x32x32, not 3x64x64");
  ignored([](RecordKey& k) { k.space = 99; }, "another version");
}

TEST_F(Records, KnowAModelByItsContents) {
  write_record(record_, entry_);
  std::filesystem::last_write_time(model_,
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_TRUE(look_up(record_, wanted(), files_).entry.has_value()) << "touched, not changed";
  put(model_, "WEIGHTS");
  std::filesystem::last_write_time(model_,
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(2));
  const Lookup found = look_up(record_, wanted(), files_);
  EXPECT_FALSE(found.entry.has_value());
  EXPECT_TRUE(found.other_model);
  EXPECT_THAT(found.note, HasSubstr("has changed"));
  // Tuned again, what was found for the old contents is gone.
  entry_.key.model = stat_model(files_);
  entry_.key.model.sha256 = hash_model(files_);
  entry_.key.threads = 1;
  write_record(record_, entry_);
  EXPECT_EQ(read_record(record_).size(), 1u);
}

TEST_F(Records, ThatAreDamagedAreRefusedByName) {
  write_record(record_, entry_);
  const Json good = json();
  const auto refused = [&](const std::string& text) {
    put(record_, text);
    try {
      (void)read_record(record_);
      ADD_FAILURE() << "was taken: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_EQ(error.file(), record_);
    }
  };
  refused("");
  refused("{");
  refused("[]");
  refused("{\"xdn_tuning\": 2, \"entries\": []}");
  refused("{\"xdn_tuning\": 1}");
  const auto changed = [&](const char* pointer, const Json& value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    refused(bad.dump());
  };
  changed("/entries/0/threads", 0);
  changed("/entries/0/threads", 1e30);
  changed("/entries/0/scenario", "weekly");
  changed("/entries/0/model_sha256", "12");
  changed("/entries/0/files", 3);
  changed("/entries/0/input/0", -3);
  changed("/entries/0/settings/batch_tile", 1 << 20);
  changed("/entries/0/settings/layers/conv1/panel", 9);
  changed("/entries/0/defaults", nullptr);
  changed("/entries/0/speedup", -1);
  for (const char* name : {"cpu", "isa", "settings", "fusion", "space"}) {
    Json bad = good;
    bad["entries"][0].erase(name);
    refused(bad.dump());
  }
  const std::string whole = good.dump();
  for (size_t cut = 0; cut < whole.size(); cut += 7) refused(whole.substr(0, cut));
  // What cannot be read is replaced.
  write_record(record_, entry_);
  EXPECT_EQ(read_record(record_).size(), 1u);
}

TEST_F(Records, StandInTheCacheBySize) {
  setenv("XDG_CACHE_HOME", (dir_ / "cache").c_str(), 1);
  EXPECT_TRUE(cached_records(stat_model(files_)).empty());
  const std::string path = cached_record(entry_.key.model);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_record(path, entry_);
  EXPECT_EQ(cached_records(stat_model(files_)), std::vector<std::string>{path});
  put(model_, "more weights");
  EXPECT_TRUE(cached_records(stat_model(files_)).empty());
}

}  // namespace
}  // namespace xdn::tuner
