// xdn optimize from end to end, on a small network that learns three colours.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

namespace fs = std::filesystem;

class Optimize : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<TempDir>();
    write_color_folder(*shared_ / "train", 24, 32);
    write_color_folder(*shared_ / "val", 6, 32);
    const Finished finished =
        run_xdn({"train", "--arch", "resnet20", "--data", *shared_ / "train", "--val", *shared_ / "val", "-o",
                 *shared_ / "net.onnx", "--lr", "0.02", "--epochs", "2", "--batch", "8", "--threads", "2"});
    ASSERT_EQ(finished.code, 0) << finished.err;
    const Finished table = run_xdn({"prune",
                                    *shared_ / "net.onnx",
                                    "--data",
                                    *shared_ / "train",
                                    "--target-latency",
                                    "0.9",
                                    "--plan-only",
                                    "--criterion",
                                    "l2",
                                    "--unit",
                                    "4",
                                    "--trunk-unit",
                                    "4",
                                    "--latency-batch",
                                    "16",
                                    "--latency-rounds",
                                    "3",
                                    "--threads",
                                    "2",
                                    "-o",
                                    *shared_ / "table.onnx"});
    ASSERT_EQ(table.code, 0) << table.err;
  }
  static void TearDownTestSuite() { shared_.reset(); }

  static std::string table() { return *shared_ / "table.run/latency.json"; }
  std::string out(const std::string& name = "out") const { return dir_ / name; }
  /// Fast, and with every stage.
  Words words(const Words& more, const std::string& name = "out") const {
    Words all{"optimize",
              *shared_ / "net.onnx",
              "--data",
              *shared_ / "train",
              "--val",
              *shared_ / "val",
              "--epochs",
              "1",
              "--lr",
              "0.005",
              "--batch",
              "8",
              "--rungs",
              "1",
              "--images",
              "24",
              "--threads",
              "2",
              "--tune-budget",
              "1",
              "--json",
              dir_ / (name + ".json"),
              "-o",
              out(name)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Words no_train(const Words& more, const std::string& name = "out") const {
    Words all{"optimize",
              *shared_ / "net.onnx",
              "--no-train",
              "--val",
              *shared_ / "val",
              "--images",
              "18",
              "--threads",
              "2",
              "--tune-budget",
              "1",
              "--json",
              dir_ / (name + ".json"),
              "-o",
              out(name)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Json result(const std::string& name = "out") const {
    return Json::parse(read_text(dir_ / (name + ".json")));
  }
  static double accuracy_of(const std::string& model) {
    const Finished finished = run_xdn({"eval", model, "--data", *shared_ / "val", "--json", "-"});
    EXPECT_EQ(finished.code, 0) << finished.err;
    return Json::parse(finished.out)["accuracy"];
  }

  inline static std::unique_ptr<TempDir> shared_;
  TempDir dir_;
};

TEST_F(Optimize, ADryRunSaysWhatWouldBeDone) {
  const Finished finished = run_xdn(words({"--dry-run", "--latency-table", table()}));
  ASSERT_EQ(finished.code, 0) << finished.err;
  for (const char* stage : {"baseline", "prune", "fuse", "quantize", "tune", "report"})
    EXPECT_THAT(finished.out, HasSubstr(std::string("\n  ") + stage));
  EXPECT_THAT(finished.out, HasSubstr("times as fast together"));
  EXPECT_FALSE(fs::exists(out()));
  EXPECT_GT(result()["plan"]["predicted_gain"].get<double>(), 3.9);
}

TEST_F(Optimize, FromAModelToAFasterOne) {
  const Finished finished =
      run_xdn(words({"--max-drop", "100", "--test", *shared_ / "val", "--latency-batch", "16",
                     "--latency-rounds", "3", "--teacher", *shared_ / "net.onnx"}));
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = result();
  EXPECT_TRUE(json["met"].get<bool>());
  EXPECT_GT(json["result"]["speed"].get<double>(), 1);
  EXPECT_GE(json["result"]["accuracy"].get<double>(), json["floor"].get<double>());
  EXPECT_LT(json["result"]["macs"].get<double>(), 0.6 * json["original"]["macs"].get<double>());
  EXPECT_EQ(accuracy_of(out() + "/model.onnx"), json["result"]["accuracy"]);
  EXPECT_EQ(json["test"]["accuracy"], json["result"]["accuracy"]);
  EXPECT_EQ(json["waterfall"]["steps"][0]["name"], "original");
  EXPECT_EQ(json["waterfall"]["steps"][1]["from"], "original");
  EXPECT_EQ(Json::parse(read_text(out() + "/optimize.json"))["stages"], json["stages"]);
  for (const char* line : {"01-baseline", "02-table", "03-prune", "04-fuse", "05-quantize"})
    EXPECT_THAT(finished.out, HasSubstr(std::string("\n") + line));
  EXPECT_THAT(finished.out, HasSubstr("xdn run " + out() + "/model.onnx"));

  // Run again it has nothing left to do; a stage whose result was touched is done again, to the same bytes.
  const std::string fused = out() + "/stages/04-fuse/model.onnx", bytes = read_text(fused);
  const Words again = words({"--max-drop", "100", "--test", *shared_ / "val", "--latency-batch", "16",
                             "--latency-rounds", "3", "--teacher", *shared_ / "net.onnx", "--resume"});
  const Finished second = run_xdn(again);
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_THAT(second.out, ::testing::ContainsRegex("\n03-prune [^\n]*\\(done before\\)\n"));
  EXPECT_EQ(result()["result"], json["result"]);
  flip_bit(fused, 300);
  ASSERT_EQ(run_xdn(again).code, 0);
  EXPECT_TRUE(read_text(fused) == bytes);
}

TEST_F(Optimize, WithoutTraining) {
  const Finished finished =
      run_xdn(no_train({"--max-drop", "100", "--caffe", "--scenario", "single-stream"}));
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, Not(HasSubstr("prune")));
  EXPECT_GE(accuracy_of(out() + "/model.onnx"), result()["floor"].get<double>());
  // The Caffe pair is the float model, which takes the same images.
  EXPECT_EQ(accuracy_of(out() + "/model.prototxt:" + out() + "/model.caffemodel"),
            accuracy_of(*shared_ / "net.onnx"));
}

TEST_F(Optimize, KilledAtAnyMomentItEndsInTheSameModel) {
  const Words more{"--max-drop", "100", "--latency-table", table(), "--tune-budget", "0"};
  const auto given = [&](const std::string& name) {
    Words all = words({}, name);
    all.erase(std::find(all.begin(), all.end(), "--tune-budget"),
              std::find(all.begin(), all.end(), "--json"));
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const Finished straight = run_xdn(given("straight"));
  ASSERT_EQ(straight.code, 0) << straight.err;
  int kills = 0;
  // Each try gets a little further than the one before.
  for (double seconds = 0.4; kills < 60; seconds *= 1.2, ++kills) {
    RunOptions options;
    options.kill_after = seconds;
    const Finished finished = run_xdn(given("killed"), options);
    if (finished.code == 0) break;
    ASSERT_EQ(finished.signal, SIGKILL) << finished.err;
  }
  EXPECT_GE(kills, 3);
  EXPECT_TRUE(read_text(out("killed") + "/model.onnx") == read_text(out("straight") + "/model.onnx"));
}

TEST_F(Optimize, ADeadlineShortensTheTraining) {
  Words all = words({"--max-drop", "100", "--latency-table", table(), "--deadline", "1m"});
  *(std::find(all.begin(), all.end(), "--epochs") + 1) = "100000";
  const Finished finished = run_xdn(all);
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = result();
  EXPECT_TRUE(json["met"].get<bool>());
  EXPECT_TRUE(fs::exists(out() + "/model.onnx"));
  bool shorter = false;
  for (const Json& stage : json["stages"]) {
    if (stage["details"].contains("epochs")) shorter = stage["details"]["epochs"].get<int>() < 100000;
  }
  for (const Json& note : json["notes"])
    shorter = shorter || note.get<std::string>().find("deadline") != std::string::npos;
  EXPECT_TRUE(shorter) << json["stages"];
}

/// What other verbs promise, by a program in xdn's place that keeps the promise and passes everything else
/// on.
TEST_F(Optimize, ItsStagesAreVerbsOfTheProgramBesideIt) {
  const fs::path bin = dir_.path() / "bin";
  fs::create_directory(bin);
  fs::copy_file(XDN_BINARY, bin / "conductor");
  const std::string trainer = fs::path(XDN_BINARY).parent_path() / "xdn-train";
  fs::create_symlink(trainer, bin / "xdn-train");
  write_text(bin / "xdn", std::string("#!/bin/bash\nverb=$1 model=$2\n") + R"(
json= out=
while [[ $# -gt 0 ]]; do case $1 in --json) json=$2 ;; -o) out=$2 ;; esac; shift; done
case $verb in
  tune) echo '{"best":{},"speedup":1.25}' >"$json"; echo '{}' >"$out" ;;
  report) cp "$model/optimize.json" "$out" ;;
  eval) echo '{"confusion":[[1]]}' >"$json" ;;
  *) exit 9 ;;
esac
)");
  // Stages that exist go to the real one.
  std::string script = read_text(bin / "xdn");
  script.insert(script.find("json= out="),
                "case $verb in prune|fuse|quantize|train) exec '" XDN_BINARY "' \"$@\" ;; esac\n");
  write_text(bin / "xdn", script);
  fs::permissions(bin / "xdn", fs::perms::owner_all);
  std::string line = (bin / "conductor").string();
  for (const std::string& word : no_train({"--max-drop", "100"})) line += " '" + word + "'";
  ASSERT_EQ(std::system((line + " >" + (dir_ / "text") + " 2>&1").c_str()), 0) << read_text(dir_ / "text");
  const Json json = result();
  EXPECT_EQ(json["tuning"]["speedup"], 1.25);
  EXPECT_EQ(json["evals"][0]["confusion"][0][0], 1);
  EXPECT_TRUE(json["notes"].empty()) << json["notes"];
  EXPECT_TRUE(fs::exists(out() + "/model.tuning.json"));
  EXPECT_EQ(Json::parse(read_text(out() + "/report.html"))["tuning"]["speedup"], 1.25);
  // Without xdn-train, training is refused at once.
  fs::remove(bin / "xdn-train");
  line = (bin / "conductor").string();
  for (const std::string& word : words({}, "trained")) line += " '" + word + "'";
  EXPECT_NE(std::system((line + " >/dev/null 2>" + (dir_ / "text")).c_str()), 0);
  EXPECT_THAT(read_text(dir_ / "text"), HasSubstr("--no-train goes without training"));
  EXPECT_FALSE(fs::exists(out("trained")));
}

TEST_F(Optimize, BadInputIsOneLine) {
  const auto refused = [&](const Words& all, const std::string& expected, int code = 2) {
    const Finished finished = run_xdn(all);
    EXPECT_EQ(finished.code, code) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(expected));
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
  };
  refused(words({"--max-drop", "1", "--min-accuracy", "0.5"}), "expected one of --max-drop, --min-accuracy");
  refused(words({"--deadline", "2 weeks"}), "--deadline: expected a time as 90s, 45m, 2h or 1h30m");
  refused(words({"--target-latency", "3h"}), "--target-latency: expected a share between 0 and 1");
  refused(no_train({"--epochs", "3"}), "--epochs does not go with --no-train");
  refused({"optimize", *shared_ / "net.onnx", "--val", *shared_ / "val", "-o", out()},
          "expected --data DATA to train on");
  refused(words({"--latency-table", dir_ / "absent.json"}), "absent.json");
  fs::create_directory(dir_ / "two");
  for (const char* name : {"blue", "green"}) fs::copy(*shared_ / "train/" + name, dir_ / "two/" + name);
  Words two = words({});
  two[5] = dir_ / "two";
  refused(two, "holds 2 classes");
  fs::create_directory(dir_ / "none");
  Words none = words({});
  none[3] = dir_ / "none";
  refused(none, "none");
  const Finished other = run_xdn({"train", "--arch", "resnet20", "--data", dir_ / "two", "--epochs", "1",
                                  "--batch", "8", "-o", dir_ / "teacher.onnx"});
  ASSERT_EQ(other.code, 0) << other.err;
  refused(words({"--teacher", dir_ / "teacher.onnx"}), "holds 3 classes");
  refused(words({"--teacher", dir_ / "absent.onnx"}), "absent.onnx");
  EXPECT_FALSE(fs::exists(out())) << "nothing was begun";

  fs::create_directory(out());
  write_text(out() + "/letter.txt", "dear");
  refused(no_train({}), "holds letter.txt: expected an empty folder");
  refused(no_train({"--max-drop", "-100"}, "high"), "% on --val: the best has ", 1);
}

TEST_F(Optimize, OtherSettingsAreAnotherRun) {
  ASSERT_EQ(run_xdn(no_train({"--max-drop", "100"})).code, 0);
  const Finished finished = run_xdn(no_train({"--max-drop", "40"}));
  EXPECT_EQ(finished.code, 2);
  EXPECT_THAT(finished.err, HasSubstr("max-drop was 100.0, and is 40.0 now"));
  EXPECT_EQ(run_xdn(no_train({"--max-drop", "100", "--deadline", "1h"})).code, 0)
      << "the deadline is this call's";
}

}  // namespace
}  // namespace xdn::testing
