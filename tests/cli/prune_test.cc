// xdn prune from end to end, on a small network that learns three colours.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

namespace fs = std::filesystem;

class Prune : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<TempDir>();
    write_color_folder(*shared_ / "train", 40);
    write_color_folder(*shared_ / "val", 5);
    const Finished finished =
        run_xdn({"train", "--arch", "resnet20", "--data", *shared_ / "train", "--val", *shared_ / "val", "-o",
                 *shared_ / "net.onnx", "--lr", "0.02", "--epochs", "2", "--batch", "16", "--threads", "2"});
    ASSERT_EQ(finished.code, 0) << finished.err;
  }
  static void TearDownTestSuite() { shared_.reset(); }

  std::string model() const { return *shared_ / "net.onnx"; }
  std::string out(const std::string& name = "out") const { return dir_ / (name + ".onnx"); }
  Words words(const Words& more, const std::string& name = "out") const {
    Words all{"prune",
              model(),
              "--data",
              *shared_ / "train",
              "--val",
              *shared_ / "val",
              "-o",
              out(name),
              "--epochs",
              "1",
              "--lr",
              "0.005",
              "--batch",
              "16",
              "--threads",
              "2",
              "--score-images",
              "32",
              "--min-width",
              "2",
              "--unit",
              "4",
              "--trunk-unit",
              "4",
              "--json",
              dir_ / (name + ".json")};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// What a plan decides has no options beside it.
  Words replay(const std::string& plan, const Words& more = {}, const std::string& name = "out") const {
    Words all = words({"--plan", plan}, name);
    for (const char* option : {"--score-images", "--min-width", "--unit", "--trunk-unit"}) {
      const auto at = std::find(all.begin(), all.end(), option);
      all.erase(at, at + 2);
    }
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Json result(const std::string& name = "out") const {
    return Json::parse(read_text(dir_ / (name + ".json")));
  }
  Json info(const std::string& model) const {
    const Finished finished = run_xdn({"info", model, "--json", "-"});
    EXPECT_EQ(finished.code, 0) << finished.err;
    return Json::parse(finished.out, nullptr, false);
  }

  inline static std::unique_ptr<TempDir> shared_;
  TempDir dir_;
};

TEST_F(Prune, ToAShareOfTheMultiplyAccumulates) {
  const Finished finished = run_xdn(words({"--target-macs", "0.4", "--test", *shared_ / "val"}));
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = result();
  const auto before = json["before"]["macs_effective"].get<double>();
  EXPECT_EQ(json["before"]["macs_effective"], info(model())["macs_effective"]);
  EXPECT_EQ(json["after"]["macs_effective"], info(out())["macs_effective"]);
  EXPECT_LE(json["after"]["macs_effective"].get<double>(), 0.4 * before);
  EXPECT_GT(json["after"]["macs_effective"].get<double>(), 0.3 * before) << "pruned more than asked for";
  EXPECT_EQ(json["val"]["images"], 15);
  EXPECT_EQ(json["test"]["accuracy"], json["val"]["accuracy"]);
  const Finished eval = run_xdn({"eval", out(), "--data", *shared_ / "val", "--json", dir_ / "eval.json"});
  ASSERT_EQ(eval.code, 0) << eval.err;
  EXPECT_EQ(Json::parse(read_text(dir_ / "eval.json"))["accuracy"], json["val"]["accuracy"]);
}

TEST_F(Prune, APlanReplaysToTheSameModel) {
  ASSERT_EQ(run_xdn(words({"--target-macs", "0.3", "--steps", "2", "--step-epochs", "1"})).code, 0);
  const std::string plan = dir_ / "out.plan.json";
  EXPECT_EQ(Json::parse(read_text(plan))["steps"].size(), 2u);
  const Finished again = run_xdn(replay(plan, {"--step-epochs", "1"}, "again"));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(read_text(out("again")) == read_text(out()));
  EXPECT_EQ(read_text(dir_ / "again.plan.json"), read_text(plan));
}

TEST_F(Prune, EveryKindOfSparsity) {
  for (const std::string kind : {"group-lasso", "growing", "soft"}) {
    const Finished finished = run_xdn(words(
        {"--target-macs", "0.5", "--sparsity", kind, "--sparsity-epochs", "1", "--criterion", "l2"}, kind));
    ASSERT_EQ(finished.code, 0) << kind << ": " << finished.err;
    EXPECT_THAT(read_text(dir_ / (kind + ".run/step-1/sparse.run/log.jsonl")), HasSubstr("\"sparsity\":"));
    const Json json = result(kind);
    EXPECT_LE(json["after"]["macs_effective"].get<double>(),
              0.5 * json["before"]["macs_effective"].get<double>());
  }
}

TEST_F(Prune, ByRankWithoutCost) {
  for (const std::string ranking : {"global", "per-layer", "isomorphic"}) {
    const Finished finished = run_xdn(
        words({"--ratio", "0.4", "--ranking", ranking, "--criterion", "l1", "--inner-only", "--plan-only"},
              ranking));
    ASSERT_EQ(finished.code, 0) << finished.err;
    // Trunks keep their 16, 32 and 64 channels: the last one's are what the classifier reads.
    const std::string text = run_xdn({"info", out(ranking), "--text"}).out;
    EXPECT_THAT(text, HasSubstr("fc.weight f32[3,64]"));
    EXPECT_THAT(text, ::testing::Not(HasSubstr("layer3.2.conv1.weight f32[64,64,3,3]")));
    EXPECT_LT(result(ranking)["after"]["parameters"], result(ranking)["before"]["parameters"]);
    EXPECT_FALSE(fs::exists(dir_ / (ranking + ".run/step-1/tuned.onnx")));
  }
}

TEST_F(Prune, ToATime) {
  const Words quick{"--latency-batch", "16", "--latency-rounds", "3"};
  Words first = words({"--target-latency", "0.7"});
  first.insert(first.end(), quick.begin(), quick.end());
  const Finished finished = run_xdn(first);
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = result();
  EXPECT_LE(json["after"]["predicted_ms"].get<double>(),
            0.701 * json["before"]["predicted_ms"].get<double>());
  // The table is a file: another run takes it, and comes to the same model.
  const Finished again =
      run_xdn(words({"--target-latency", "0.7", "--latency-table", dir_ / "out.run/latency.json"}, "again"));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(read_text(out("again")) == read_text(out()));
}

TEST_F(Prune, AsFastAsTheDropAllows) {
  ASSERT_EQ(run_xdn(words({"--target-latency", "0.9", "--latency-batch", "16", "--plan-only"}, "table")).code,
            0);
  const Words table{
      "--latency-table", dir_ / "table.run/latency.json", "--attempts", "3", "--step-epochs", "1"};
  Words all = words({"--max-drop", "100"}, "any");
  all.insert(all.end(), table.begin(), table.end());
  const Finished any = run_xdn(all);
  ASSERT_EQ(any.code, 0) << any.err;
  EXPECT_LT(result("any")["after"]["predicted_ms"].get<double>(),
            0.62 * result("any")["before"]["predicted_ms"].get<double>());
  for (const Json& attempt : result("any")["attempts"]) EXPECT_EQ(attempt["accepted"], true);

  // More than all right is out of reach: the model stays what it was.
  all = words({"--max-drop", "-100"}, "none");
  all.insert(all.end(), table.begin(), table.end());
  const Finished none = run_xdn(all);
  ASSERT_EQ(none.code, 0) << none.err;
  EXPECT_EQ(result("none")["after"], result("none")["before"]);
  EXPECT_THAT(none.out, HasSubstr("no attempt stayed within"));
}

/// Decisions follow from what lies in the folder: a finished run that is run again says and writes the same.
TEST_F(Prune, DecisionsSurviveAResume) {
  Words all = words({"--max-drop", "5", "--latency-batch", "16", "--attempts", "3", "--step-epochs", "1"});
  const Finished finished = run_xdn(all);
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = result();
  ASSERT_FALSE(json["attempts"].empty());
  for (const Json& attempt : json["attempts"])
    EXPECT_EQ(attempt["accepted"].get<bool>(), attempt["drop"].get<double>() <= 5 + 1e-9);
  const std::string model = read_text(out());
  all.push_back("--resume");
  ASSERT_EQ(run_xdn(all).code, 0);
  EXPECT_TRUE(read_text(out()) == model);
  EXPECT_EQ(result()["attempts"], json["attempts"]);
  EXPECT_EQ(result()["steps"], json["steps"]);
}

TEST_F(Prune, KilledAtAnyMomentItResumesToTheSameFile) {
  const Words more{"--target-macs", "0.3",     "--steps",           "2", "--step-epochs", "1",
                   "--sparsity",    "growing", "--sparsity-epochs", "1"};
  const Finished straight = run_xdn(words(more, "straight"));
  ASSERT_EQ(straight.code, 0) << straight.err;
  Words resumed = words(more, "killed");
  resumed.push_back("--resume");
  int kills = 0;
  // Each try gets a little further than the one before.
  for (double seconds = 0.15; kills < 60; seconds *= 1.25, ++kills) {
    RunOptions options;
    options.kill_after = seconds;
    const Finished finished = run_xdn(resumed, options);
    if (finished.code == 0) break;
    ASSERT_EQ(finished.signal, SIGKILL) << finished.err;
  }
  EXPECT_GE(kills, 3);
  EXPECT_TRUE(read_text(out("killed")) == read_text(out("straight")));
  EXPECT_EQ(read_text(dir_ / "killed.plan.json"), read_text(dir_ / "straight.plan.json"));
}

TEST_F(Prune, WhatCannotBeReachedIsSaidBeforeTraining) {
  const Finished finished = run_xdn(words({"--target-macs", "0.001", "--keep", "layer1.0.conv1"}));
  EXPECT_EQ(finished.code, 2);
  EXPECT_THAT(finished.err, HasSubstr("cannot be pruned to "));
  EXPECT_THAT(finished.err, HasSubstr(" can be reached"));
  EXPECT_EQ(lines_of(finished.err).size(), 1u);
  EXPECT_FALSE(fs::exists(dir_ / "out.run/step-1"));
}

TEST_F(Prune, WhatDoesNotGoTogetherIsRefused) {
  ASSERT_EQ(run_xdn(words({"--target-macs", "0.5", "--plan-only", "--criterion", "l2"}, "made")).code, 0);
  const std::string plan = dir_ / "made.plan.json";
  const auto check = [&](const Words& all, const std::string& expected) {
    const Finished finished = run_xdn(all);
    EXPECT_EQ(finished.code, 2) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(expected));
    EXPECT_FALSE(fs::exists(dir_ / "out.run/step-1"));
  };
  const auto refused = [&](const Words& more, const std::string& expected) { check(words(more), expected); };
  check(replay(plan, {"--keep", "conv1"}), "--keep does not go with --plan");
  check(replay(plan, {"--sparsity", "group-lasso"}), "which --plan has done");
  refused({"--target-macs", "0.5", "--steps", "2", "--plan-only"}, "--plan-only stops before");
  refused({"--target-macs", "0.5", "--sparsity", "soft", "--plan-only"}, "--plan-only stops before");
  refused({"--max-drop", "1", "--steps", "2"}, "--steps does not go with --max-drop");
  refused({"--max-drop", "nan"}, "--max-drop");
  refused({"--target-macs", "0.5", "--attempts", "2"}, "--attempts goes with --max-drop");
  refused({"--target-macs", "0.5", "--teacher", "none", "--alpha", "0.5"}, "goes with a teacher");
  refused({"--target-macs", "0.01", "--ranking", "global"}, "can be reached");
  refused({"--target-macs", "900G"}, "less than is asked for");
  write_text(dir_ / "empty.json", R"({"version": 1, "steps": []})");
  check(replay(dir_ / "empty.json"), "empty.json: has no steps");
  // Nothing of the refused runs is in the way of the next.
  EXPECT_EQ(run_xdn(words({"--target-macs", "0.5", "--plan-only", "--criterion", "l2"})).code, 0);
  Words inside = words({"--target-macs", "0.5"});
  *(std::find(inside.begin(), inside.end(), "-o") + 1) = dir_ / "other.run/a.onnx";
  inside.insert(inside.end(), {"--run", dir_ / "other.run"});
  fs::create_directory(dir_ / "other.run");
  EXPECT_THAT(run_xdn(inside).err, HasSubstr("lies in the folder of the run"));
  write_text(dir_ / "other.run/letter.txt", "dear");
  EXPECT_THAT(run_xdn(words({"--target-macs", "0.5", "--run", dir_ / "other.run"})).err,
              HasSubstr("other.run: holds letter.txt: expected an empty folder"));
}

TEST_F(Prune, BadInputIsOneLine) {
  const auto refused = [&](const Words& all, const std::string& expected, int code = 2) {
    fs::remove_all(dir_ / "out.run");
    const Finished finished = run_xdn(all);
    EXPECT_EQ(finished.code, code) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(expected));
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_FALSE(fs::exists(out()));
  };
  refused(words({}), "expected one of --target-latency, --target-macs");
  refused(words({"--target-macs", "0.5", "--max-drop", "1"}), "expected one of");
  refused(words({"--target-macs", "5"}), "expected a share between 0 and 1, or a number with one of k, M, G");
  refused(words({"--target-latency", "3h"}), "with one of us, ms, s, not '3h'");
  refused(words({"--target-macs", "0.5", "--keep", "nothing"}), "nothing");
  refused(replay(dir_ / "absent.json"), "absent.json");
  refused(words({"--target-latency", "0.5", "--latency-table", dir_ / "absent.json"}), "absent.json");
  fs::create_directory(dir_ / "two");
  for (const char* name : {"blue", "green"}) fs::copy(*shared_ / "train/" + name, dir_ / "two/" + name);
  Words two = words({"--target-macs", "0.5"});
  two[3] = dir_ / "two";
  refused(two, "holds 2 classes", 2);
  Words diverging = words({"--target-macs", "0.5", "--criterion", "l2"});
  *(std::find(diverging.begin(), diverging.end(), "--lr") + 1) = "1e25";
  refused(diverging, "not finite in epoch 1", 1);
  EXPECT_TRUE(fs::exists(dir_ / "out.run/step-1/pruned.onnx")) << "what was done is kept";
  const auto again = [&](const Words& all) { return run_xdn(all).err; };
  EXPECT_THAT(again(words({"--target-macs", "0.5"})),
              HasSubstr("holds a run already: --resume continues it"));
  EXPECT_THAT(again(words({"--target-macs", "0.6", "--resume"})), HasSubstr("holds a run of other settings"));
}

}  // namespace
}  // namespace xdn::testing
