#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Json = nlohmann::json;

/// Runs a verb with --json -, expects success, and returns the JSON.
Json json_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--json", "-"});
  const Finished finished = run_xdn(arguments);
  EXPECT_EQ(finished.code, 0) << finished.err;
  return Json::parse(finished.out, nullptr, false);
}

class Verbs : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string root_ = dir_.path().string();
  std::string model_ = write_onnx(root_);
  void SetUp() override { write_text(dir_ / "net.preprocess.json", color_preprocess()); }
};

TEST_F(Verbs, InfoCountsByHand) {
  const Json info = json_of({"info", model_});
  EXPECT_EQ(info["layers"], 5);
  EXPECT_EQ(info["parameters"], 3 * 3 * 9 + 9 + 3);
  EXPECT_EQ(info["macs"], 8 * 8 * 3 * 3 * 9 + 9);
  // Per axis 3 * 8 - 2 of the 24 taps fall inside the input.
  EXPECT_EQ(info["macs_effective"], 22 * 22 * 9 + 9);
  EXPECT_EQ(info["input"]["name"], "image");
  EXPECT_EQ(info["input"]["shape"], (Json{-1, 3, 8, 8}));
  EXPECT_EQ(info["outputs"][0]["shape"], (Json{-1, 3}));
  EXPECT_EQ(info["table"].size(), info["nodes"]);
}

TEST_F(Verbs, InfoPrintsATable) {
  const Finished info = run_xdn({"info", model_});
  EXPECT_EQ(info.code, 0) << info.err;
  EXPECT_EQ(info.err, "");
  EXPECT_THAT(info.out, ContainsRegex("conv +Conv +\\[N,3,8,8\\] +81 +5.18 k"));
  EXPECT_THAT(info.out, HasSubstr("nominal"));
  EXPECT_THAT(run_xdn({"info", model_, "--dot"}).out, HasSubstr("digraph"));
  EXPECT_THAT(run_xdn({"info", model_, "--text"}).out, HasSubstr("graph"));
  EXPECT_THAT(run_xdn({"info", model_, "--kernels"}).out, HasSubstr("conv"));
}

TEST_F(Verbs, InfoOfCaffeCountsTheLayersOfTheFile) {
  const Json info = json_of({"info", write_caffe(root_).spec()});
  EXPECT_EQ(info["layers"], 5);  // without its input
  EXPECT_EQ(info["parameters"], 3 * 3 * 9 + 9 + 3);
  EXPECT_EQ(info["input"]["name"], "data");
}

TEST_F(Verbs, RunNamesTheColor) {
  write_png(dir_ / "a.png", 8, 8, 220, 20, 20);
  write_jpeg(dir_ / "b.jpg", 8, 8, 20, 20, 230);
  const Finished text = run_xdn({"run", model_, dir_ / "a.png", dir_ / "b.jpg", "--top", "2"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.err, "");
  const std::vector<std::string> lines = lines_of(text.out);
  ASSERT_EQ(lines.size(), 6u) << text.out;
  EXPECT_EQ(lines[0], dir_ / "a.png");
  EXPECT_THAT(lines[1], HasSubstr("red"));
  EXPECT_THAT(lines[4], HasSubstr("blue"));

  const Json json = json_of({"run", model_, dir_ / "a.png", dir_ / "b.jpg"});
  ASSERT_EQ(json["images"].size(), 2u);
  const Json& top = json["images"][0]["top"];
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0]["class"], 2);
  EXPECT_EQ(top[0]["name"], "red");
  double sum = 0;
  for (const Json& answer : top) sum += answer["probability"].get<double>();
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_EQ(json["images"][1]["top"][0]["name"], "blue");
}

TEST_F(Verbs, RunTakesClassesAndPreprocessingFromFlags) {
  write_png(dir_ / "a.png", 8, 8, 220, 20, 20);
  write_text(dir_ / "names.txt", "sky\ngrass\r\nblood\n");
  Json json = json_of({"run", model_, dir_ / "a.png", "--classes", dir_ / "names.txt"});
  EXPECT_EQ(json["images"][0]["top"][0]["name"], "blood");
  // As BGR the red image looks blue to the model.
  json = json_of({"run", model_, dir_ / "a.png", "--color", "BGR"});
  EXPECT_EQ(json["images"][0]["top"][0]["name"], "blue");
  // A mean above all pixels leaves the ReLU nothing: all logits are equal, the lowest class comes first.
  json = json_of({"run", model_, dir_ / "a.png", "--mean", "2,2,2", "--std", "1"});
  EXPECT_EQ(json["images"][0]["top"][0]["class"], 0);
  EXPECT_NEAR(json["images"][0]["top"][0]["probability"].get<double>(), 1.0 / 3, 1e-6);
}

TEST_F(Verbs, RunResizesAndCrops) {
  write_png(dir_ / "large.png", 48, 64, 20, 230, 20);
  EXPECT_EQ(json_of({"run", model_, dir_ / "large.png"})["images"][0]["top"][0]["name"], "green");
  const Json json = json_of({"run", model_, dir_ / "large.png", "--resize", "10", "--crop", "8"});
  EXPECT_EQ(json["images"][0]["top"][0]["name"], "green");
}

TEST_F(Verbs, RunWarnsOfRawPixels) {
  std::filesystem::remove(dir_ / "net.preprocess.json");
  write_png(dir_ / "a.png", 8, 8, 220, 20, 20);
  const Finished finished = run_xdn({"run", model_, dir_ / "a.png"});
  EXPECT_EQ(finished.code, 0);
  EXPECT_THAT(finished.err, HasSubstr("pixels enter as 0 to 255"));
  EXPECT_THAT(finished.out, HasSubstr("class 2"));
  EXPECT_EQ(run_xdn({"run", model_, dir_ / "a.png", "--scale", "0.1"}).err, "");
}

TEST_F(Verbs, PackWritesWhatItSays) {
  write_color_folder(dir_ / "images", 4);
  const Json json = json_of({"pack", dir_ / "images", "-o", dir_ / "out", "--workers", "2"});
  EXPECT_EQ(json["images"], 12);
  EXPECT_EQ(json["classes"], 3);
  EXPECT_EQ(json["size"], (Json{8, 8}));
  for (const char* file : {"images.npy", "labels.npy", "pack.json"}) {
    EXPECT_TRUE(std::filesystem::exists(dir_.path() / "out" / file)) << file;
  }
  // Again over the same pack, and in the other order of colours.
  EXPECT_EQ(run_xdn({"pack", dir_ / "images", "-o", dir_ / "out", "--color", "BGR"}).code, 0);
  const Json eval = json_of({"eval", model_, "--data", dir_ / "out"});
  EXPECT_EQ(eval["correct"], 12);
}

TEST_F(Verbs, PackSplitsInTwo) {
  write_color_folder(dir_ / "images", 5);
  const Json json = json_of({"pack", dir_ / "images", "-o", dir_ / "out", "--split", "first:2/rest"});
  EXPECT_EQ(json["packs"][0]["images"], 6);
  EXPECT_EQ(json["packs"][1]["images"], 9);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "out"));
  EXPECT_EQ(json_of({"eval", model_, "--data", dir_ / "out-rest"})["images"], 9);
}

TEST_F(Verbs, PackResizes) {
  write_color_folder(dir_ / "images", 2, 20);
  const Json json = json_of({"pack", dir_ / "images", "-o", dir_ / "out", "--resize", "10", "--crop", "6"});
  EXPECT_EQ(json["size"], (Json{6, 6}));
  EXPECT_EQ(json_of({"pack", dir_ / "images", "-o", dir_ / "sized", "--size", "5x7"})["size"], (Json{5, 7}));
}

TEST_F(Verbs, BenchMeasuresBothScenarios) {
  for (const char* scenario : {"offline", "single-stream"}) {
    const Json json = json_of(
        {"bench", model_, "--scenario", scenario, "--seconds", "0.05", "--threads", "1", "--isa", "ref"});
    EXPECT_EQ(json["scenario"], scenario);
    EXPECT_GT(json["images_per_second"], 0);
    EXPECT_GE(json["runs"], 5);
    EXPECT_LE(json["latency_ms"]["p50"], json["latency_ms"]["p90"]);
    EXPECT_LE(json["latency_ms"]["p90"], json["latency_ms"]["p99"]);
    EXPECT_EQ(json["data_parallel"], 1);
    EXPECT_EQ(json["isa"], "ref");
    EXPECT_EQ(json["precision"], "fp32");
    EXPECT_GE(json["batch"], 1);
    EXPECT_LE(json["batch"], std::string(scenario) == "offline" ? 512 : 1);
  }
  EXPECT_EQ(json_of({"bench", model_, "--batch", "3", "--seconds", "0"})["batch"], 3);
}

TEST_F(Verbs, BenchTakesAnotherSize) {
  const Json json = json_of({"bench", model_, "--size", "12x16", "--seconds", "0", "--batch", "2"});
  EXPECT_EQ(json["size"], (Json{12, 16}));
}

TEST_F(Verbs, FuseConvertsAndCopiesThePreprocessFile) {
  const CaffeFiles caffe = write_caffe(root_);
  const std::string out = dir_ / "converted.onnx";
  const Finished fused = run_xdn({"fuse", caffe.spec(), "-o", out, "--level", "none"});
  EXPECT_EQ(fused.code, 0) << fused.err;
  EXPECT_EQ(fused.err, "");
  EXPECT_EQ(read_text(dir_ / "converted.preprocess.json"), color_preprocess());
  write_png(dir_ / "a.png", 8, 8, 20, 220, 20);
  const Json before = json_of({"run", caffe.spec(), dir_ / "a.png"});
  const Json after = json_of({"run", out, dir_ / "a.png"});
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(after["images"][0]["top"][i]["name"], before["images"][0]["top"][i]["name"]);
    EXPECT_NEAR(after["images"][0]["top"][i]["logit"].get<double>(),
                before["images"][0]["top"][i]["logit"].get<double>(), 1e-4);
  }
}

TEST_F(Verbs, FuseKeepsThePreprocessFileOfTheSameStem) {
  const CaffeFiles caffe = write_caffe(dir_ / "caffe");
  write_text(dir_ / "caffe/net.preprocess.json", color_preprocess());
  const Finished fused = run_xdn({"fuse", caffe.spec(), "-o", dir_ / "caffe/net.onnx", "--level", "none"});
  EXPECT_EQ(fused.code, 0) << fused.err;
  EXPECT_EQ(read_text(dir_ / "caffe/net.preprocess.json"), color_preprocess());
}

TEST_F(Verbs, FuseReportsWhatEachRewriteLeft) {
  const std::string out = dir_ / "fused.onnx";
  const Finished fused = run_xdn({"fuse", model_, "-o", out, "--level", "aggressive", "--report", "--force",
                                  "dirac_shortcut", "--disable", "fuse_relu,hoist_relu"});
  EXPECT_EQ(fused.code, 0) << fused.err;
  EXPECT_THAT(fused.out, HasSubstr("(the model)"));
  EXPECT_THAT(fused.out, HasSubstr("wrote " + out));
  const Json json = json_of({"fuse", model_, "-o", out});
  EXPECT_EQ(json["level"], "traditional");
  Json last = json["before"];
  for (const Json& rewrite : json["rewrites"]) {
    EXPECT_EQ(rewrite["before"], last);
    EXPECT_GT(rewrite["times"], 0);
    last = rewrite["after"];
  }
  EXPECT_EQ(json["after"], last);
  EXPECT_LE(json["after"]["operators"], json["before"]["operators"]);
  EXPECT_LE(json["after"]["predicted_ms"], json["before"]["predicted_ms"]);
  write_png(dir_ / "a.png", 8, 8, 20, 220, 20);
  EXPECT_EQ(json_of({"run", out, dir_ / "a.png"})["images"][0]["top"][0]["name"],
            json_of({"run", model_, dir_ / "a.png"})["images"][0]["top"][0]["name"]);
}

TEST_F(Verbs, RunAgreesOnEveryInstructionSetThatRunsHere) {
  write_png(dir_ / "a.png", 8, 8, 140, 20, 100);
  const Json oracle = json_of({"run", model_, dir_ / "a.png", "--isa", "ref"});
  for (const char* isa : {"avx2", "avx512"}) {
    const Finished finished = run_xdn({"run", model_, dir_ / "a.png", "--isa", isa, "--json", "-"});
    if (finished.code != 0) {
      EXPECT_EQ(finished.code, 2) << finished.err;
      EXPECT_THAT(finished.err, HasSubstr(isa));
      continue;
    }
    const Json json = Json::parse(finished.out);
    EXPECT_EQ(json["isa"], isa);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(json["images"][0]["top"][i]["logit"].get<double>(),
                  oracle["images"][0]["top"][i]["logit"].get<double>(), 1e-4);
    }
  }
}

TEST(SharedModel, InfoOfTheResNet50) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const std::string stem = (*models / "resnet50-cifar10" / "resnet50").string();
  const Finished info = run_xdn({"info", stem + ".prototxt:" + stem + ".caffemodel"});
  EXPECT_EQ(info.code, 0) << info.err;
  EXPECT_THAT(info.out, ContainsRegex("layers +228 in the file"));
  EXPECT_THAT(info.out, ContainsRegex("parameters +23.5 M"));
  EXPECT_THAT(info.out, ContainsRegex("MACs +83.4 M nominal, 66.7 M effective"));
}

}  // namespace
}  // namespace xdn::testing
