// xdn tune from end to end, and what the other verbs make of its records.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;
namespace fs = std::filesystem;

class TuneVerb : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string model_, record_, images_ = dir_ / "images", pack_ = dir_ / "pack";

  void SetUp() override {
    setenv("XDG_CACHE_HOME", (dir_ / "cache").c_str(), 1);
    write_text(dir_ / "net/net.preprocess.json", color_preprocess());
    model_ = write_onnx(dir_ / "net");
    record_ = dir_ / "net/net.tuning.json";
  }
  void make_pack() {
    write_color_folder(images_, 7);
    ASSERT_EQ(run_xdn({"pack", images_, "-o", pack_}).code, 0);
  }
  Json tune(std::vector<std::string> more = {}) {
    std::vector<std::string> words{"tune", model_, "--images", "32", "--budget", "10", "--json", "-"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished finished = run_xdn(words);
    EXPECT_EQ(finished.code, 0) << finished.err;
    return Json::parse(finished.out, nullptr, false);
  }
  /// Puts settings into the record by hand, so that a verb's use of them shows.
  void set_record(const std::function<void(Json& entry)>& edit) const {
    Json record = Json::parse(read_text(record_));
    for (Json& entry : record["entries"]) edit(entry);
    write_text(record_, record.dump());
  }
  static void use_tile_3(Json& entry) {
    entry["defaults"] = false;
    entry["settings"] = {{"precision", "file"},
                         {"data_parallel", 1},
                         {"model_parallel", 1},
                         {"batch_tile", 3},
                         {"huge_pages", false}};
  }
};

TEST_F(TuneVerb, WritesARecordThatTheOthersLoad) {
  const Json json = tune();
  EXPECT_EQ(json["scenario"], "offline");
  EXPECT_EQ(json["search"], "halving");
  EXPECT_EQ(json["record"], record_);
  EXPECT_GT(json["trials"], 0);
  EXPECT_EQ(json["failed"], 0);
  EXPECT_GE(json["speedup"], 0.97);
  for (const char* name : {"best", "defaults"}) {
    EXPECT_EQ(json[name]["precision"], "fp32");
    EXPECT_GT(json[name]["seconds_per_image"], 0);
    for (const char* field : {"data_parallel", "model_parallel", "batch_tile", "huge_pages"})
      EXPECT_TRUE(json[name].contains(field)) << field;
  }
  ASSERT_GT(json["surface"].size(), 5u);
  for (const Json& row : json["surface"]) {
    EXPECT_EQ(row["status"], "ok");
    EXPECT_GT(row["score"], 0);
  }
  ASSERT_EQ(Json::parse(read_text(record_))["entries"].size(), 1u);
  set_record(use_tile_3);

  const Finished bench = run_xdn({"bench", model_, "--seconds", "0", "--json", "-", "-v"});
  EXPECT_EQ(bench.code, 0) << bench.err;
  EXPECT_THAT(bench.err, HasSubstr("tuning record " + record_));
  EXPECT_EQ(Json::parse(bench.out)["batch_tile"], 3);
  EXPECT_EQ(Json::parse(bench.out)["huge_pages"], false);
  // Without -v nobody speaks of it.
  const Finished quiet = run_xdn({"bench", model_, "--seconds", "0"});
  EXPECT_EQ(quiet.err, "");
  EXPECT_THAT(quiet.out, HasSubstr("tiles of 3"));

  const auto tile = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"bench", model_, "--seconds", "0", "--json", "-"};
    words.insert(words.end(), more.begin(), more.end());
    return Json::parse(run_xdn(words).out)["batch_tile"].get<int>();
  };
  EXPECT_NE(tile({"--tuning", "off"}), 3);
  EXPECT_EQ(tile({"--tile", "5"}), 5) << "what the user says goes before";
  const std::string copy = dir_ / "copy.json";
  fs::rename(record_, copy);
  EXPECT_NE(tile({}), 3);
  EXPECT_EQ(tile({"--tuning", copy}), 3);
}

TEST_F(TuneVerb, RunsAndEvaluationsLoadIt) {
  make_pack();
  (void)tune();
  set_record(use_tile_3);
  const auto eval = [&](const std::string& tuning) {
    return Json::parse(run_xdn({"eval", model_, "--data", pack_, "--tuning", tuning, "--json", "-"}).out);
  };
  const Json tuned = eval(record_), untuned = eval("off");
  EXPECT_EQ(tuned["batch_tile"], 3);
  EXPECT_EQ(tuned["accuracy"], untuned["accuracy"]);
  const Finished info = run_xdn({"info", model_, "--kernels", "--json", "-"});
  EXPECT_EQ(Json::parse(info.out)["batch_tile"], 3);
}

TEST_F(TuneVerb, SingleStreamHasAnEntryOfItsOwn) {
  (void)tune();
  const Json json = tune({"--scenario", "single-stream"});
  EXPECT_GT(json["best"]["latency_ms_p90"], 0);
  EXPECT_EQ(json["best"]["batch_tile"], 1);
  EXPECT_EQ(Json::parse(read_text(record_))["entries"].size(), 2u);
  set_record([](Json& entry) {
    use_tile_3(entry);
    if (entry["scenario"] == "single-stream") entry["settings"]["batch_tile"] = 2;
  });
  const auto tile = [&](const std::string& scenario) {
    return Json::parse(run_xdn({"bench", model_, "--scenario", scenario, "--seconds", "0", "--json", "-"})
                           .out)["batch_tile"];
  };
  EXPECT_EQ(tile("offline"), 3);
  EXPECT_EQ(tile("single-stream"), 2);
}

TEST_F(TuneVerb, StaleAndForeignRecordsAreIgnoredInOneLine) {
  (void)tune();
  set_record(use_tile_3);
  const auto ignored = [&](const std::string& why, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"bench", model_, "--seconds", "0"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished finished = run_xdn(words);
    EXPECT_EQ(finished.code, 0) << finished.err;
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("ignored the tuning record"));
    EXPECT_THAT(finished.err, HasSubstr(why));
    EXPECT_THAT(finished.out, Not(HasSubstr("tiles of 3")));
  };
  ignored("--fusion traditional, not off", {"--fusion", "off"});
  ignored("precision", {"--precision", "bf16"});
  ignored("scenario", {"--scenario", "single-stream"});
  set_record([](Json& entry) { entry["cpu"] = "Z80"; });
  ignored("processor Z80");
  set_record([](Json& entry) { entry["settings"]["batch_tile"] = -3; });
  ignored("batch_tile");
  write_text(record_, "{\"xdn_");
  ignored("JSON");
  const Finished named = run_xdn({"bench", model_, "--tuning", record_});
  EXPECT_EQ(named.code, 2) << "a record that the user names must be one";
  EXPECT_EQ(lines_of(named.err).size(), 1u);
  (void)tune();  // replaces it
  set_record(use_tile_3);
  write_onnx(dir_ / "net", [](onnx::ModelProto& m) { m.set_producer_name("someone else"); });
  ignored("has changed");
}

TEST_F(TuneVerb, WritesIntoTheCacheWhereTheFolderIsClosed) {
  if (geteuid() == 0) GTEST_SKIP() << "skipped: root may write everywhere";
  fs::permissions(dir_ / "net", fs::perms::owner_read | fs::perms::owner_exec);
  const Json json = tune();
  EXPECT_THAT(json["record"].get<std::string>(), HasSubstr("cache/xdn/tuning/"));
  const Finished bench = run_xdn({"bench", model_, "--seconds", "0", "-v"});
  EXPECT_THAT(bench.err, HasSubstr("tuning record " + json["record"].get<std::string>()));
  fs::permissions(dir_ / "net", fs::perms::owner_all);
}

TEST_F(TuneVerb, ChoosesAmongPrecisionsByAccuracy) {
  make_pack();
  const Json json = tune({"--data", pack_, "--precision", "file,bf16", "--min-accuracy", "0.5"});
  EXPECT_EQ(json["defaults"]["accuracy"], 1.0);
  EXPECT_GE(json["best"]["accuracy"], 0.5);
  const Json front = tune({"--data", pack_, "--precision", "file,bf16", "--score", "pareto"});
  EXPECT_GE(front["front"].size(), 1u);
  EXPECT_EQ(tune({"--data", pack_, "--precision", "file,bf16", "--score", "weighted:0.1"})["failed"], 0);
}

TEST_F(TuneVerb, RefusesWhatMakesNoSense) {
  const auto refused = [&](std::vector<std::string> words, const std::string& text) {
    words.insert(words.begin(), {"tune"});
    const Finished finished = run_xdn(words);
    EXPECT_EQ(finished.code, 2) << finished.out << finished.err;
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(text));
    EXPECT_FALSE(fs::exists(record_));
  };
  refused({model_, "--min-accuracy", "0.9"}, "--data");
  refused({model_, "--score", "pareto"}, "--data");
  refused({model_, "--score", "weighted:-1"}, "weighted:W");
  refused({model_, "--score", "beauty"}, "weighted:W");
  refused({model_, "--precision", "fp8"}, "fp8");
  refused({model_, "--budget", "0"}, "--budget");
  refused({model_, "--isa", "ref"}, "nothing to tune");
  refused({model_, "--images", "1000000000"}, "--images");
  refused({model_, "-o", dir_ / "nowhere/x.json"}, "folder does not exist");
  refused({dir_ / "none.onnx"}, "none.onnx");
}

/// The only journal in the cache.
std::string journal_in(const std::string& cache) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(cache, error), end; !error && at != end; at.increment(error)) {
    if (at->path().filename() == "journal.jsonl") return at->path().string();
  }
  return {};
}

/// The trials of a journal's whole lines; every name once.
std::map<std::string, Json> trials_of(const std::string& path) {
  std::map<std::string, Json> trials;
  const std::string text = path.empty() ? "" : read_text(path);
  const std::vector<std::string> lines = lines_of(text);
  for (size_t i = 1; i < lines.size(); ++i) {
    const Json line = Json::parse(lines[i], nullptr, false);
    if (line.is_discarded()) {
      EXPECT_EQ(i + 1, lines.size()) << "only a last line can be torn";
      break;
    }
    EXPECT_TRUE(trials.emplace(line["trial"], line).second) << "repeated: " << lines[i];
  }
  return trials;
}

TEST_F(TuneVerb, LosesNoTrialToAKill) {
  constexpr int kKills = 20;
  const std::vector<std::string> words{"tune",     model_, "--search", "grid",
                                       "--images", "2048", "--budget", "60"};
  std::mt19937_64 bits(7);
  std::map<std::string, Json> known;
  size_t grew = 0;
  double window = 0.1;  // seconds; grows until it holds some trials on this machine
  for (int kill = 0; kill < kKills; ++kill) {
    RunOptions options;
    options.kill_after = 0.02 + window * static_cast<double>(bits() >> 11) * 0x1p-53;
    const Finished finished = run_xdn(words, options);
    ASSERT_TRUE(finished.signal == SIGKILL)
        << "it ended before it was killed: " << finished.out << finished.err;
    const auto now = trials_of(journal_in(dir_ / "cache"));
    for (const auto& [key, trial] : known) {
      ASSERT_TRUE(now.contains(key)) << "lost: " << key;
      EXPECT_EQ(now.at(key), trial) << "measured again";
    }
    grew += now.size() > known.size();
    if (now.size() == known.size()) window *= 1.5;
    known = now;
    if (fs::exists(record_)) {
      EXPECT_FALSE(Json::parse(read_text(record_), nullptr, false).is_discarded());
    }
  }
  EXPECT_GE(grew, 3u) << "the kills came before any trial: they show nothing";
  std::vector<std::string> last = words;
  last.insert(last.end(), {"--json", "-"});
  const Finished finished = run_xdn(last);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(Json::parse(finished.out)["resumed"], known.size());
  EXPECT_EQ(Json::parse(read_text(record_))["entries"].size(), 1u);
  auto whole = trials_of(journal_in(dir_ / "cache"));
  EXPECT_TRUE(whole.contains("end"));
  for (const auto& [key, trial] : known) EXPECT_EQ(whole[key], trial);
}

TEST_F(TuneVerb, KeepsTheBestSoFarOnCtrlC) {
  RunOptions options;
  options.interrupt_after = 1.5;
  const Finished finished =
      run_xdn({"tune", model_, "--search", "grid", "--images", "16384", "--budget", "100"}, options);
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("stopped: the best so far is kept"));
  EXPECT_EQ(Json::parse(read_text(record_))["entries"][0]["found"]["complete"], false);
  options.interrupt_after = 0.5;
  const Finished again =
      run_xdn({"tune", model_, "--search", "grid", "--images", "16384", "--budget", "100"}, options);
  EXPECT_THAT(again.out, HasSubstr("continuing a search"));
}

}  // namespace
}  // namespace xdn::testing
