#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"
#include "data/image.h"

namespace xdn::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class Eval : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string root_ = dir_.path().string();
  std::string model_ = write_onnx(root_);
  std::string images_ = dir_ / "images";
  std::string pack_ = dir_ / "pack";

  void SetUp() override {
    write_text(dir_ / "net.preprocess.json", color_preprocess());
    write_color_folder(images_, 7);
    // One image in the wrong folder: 21 of 22 are right.
    write_png(images_ + "/red/wrong.png", 8, 8, 20, 20, 220);
    ASSERT_EQ(run_xdn({"pack", images_, "-o", pack_}).code, 0);
  }
  Json eval(std::vector<std::string> more, const std::string& data) {
    std::vector<std::string> arguments{"eval", model_, "--data", data, "--json", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = run_xdn(arguments);
    EXPECT_EQ(finished.code, 0) << finished.err;
    return Json::parse(finished.out, nullptr, false);
  }
};

TEST_F(Eval, HasTheKeysOfTheContract) {
  const Json json = eval({}, pack_);
  for (const char* key : {"images", "correct", "accuracy", "seconds_total", "images_per_second", "precision",
                          "data_parallel", "model_parallel", "batch_tile", "peak_rss_bytes", "load_seconds",
                          "plan_seconds", "warm_up_seconds", "isa", "model", "data", "online"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["images"], 22);
  EXPECT_EQ(json["correct"], 21);
  EXPECT_DOUBLE_EQ(json["accuracy"].get<double>(), 21.0 / 22);
  EXPECT_GT(json["seconds_total"], 0);
  EXPECT_NEAR(json["images_per_second"].get<double>() * json["seconds_total"].get<double>(), 22, 1e-6);
  EXPECT_GT(json["peak_rss_bytes"], 1 << 20);
  EXPECT_FALSE(json.contains("top5"));
}

TEST_F(Eval, AgreesForPackFolderAndOnline) {
  EXPECT_EQ(eval({}, images_)["correct"], 21);
  const Json online = eval({"--online"}, images_);
  EXPECT_EQ(online["correct"], 21);
  EXPECT_EQ(online["online"], true);
}

TEST_F(Eval, AgreesForEveryBatchThreadsAndTile) {
  for (const char* batch : {"1", "5", "22", "1000"})
    EXPECT_EQ(eval({"--batch", batch}, pack_)["correct"], 21);
  EXPECT_EQ(eval({"--tile", "3", "--threads", "1"}, pack_)["correct"], 21);
  EXPECT_EQ(eval({"--isa", "ref"}, pack_)["correct"], 21);
  EXPECT_EQ(eval({"--fusion", "off"}, pack_)["correct"], 21);
}

TEST_F(Eval, LimitTakesTheFirst) {
  EXPECT_EQ(eval({"--limit", "4"}, pack_)["images"], 4);
  EXPECT_EQ(eval({"--limit", "400"}, pack_)["images"], 22);
  EXPECT_EQ(eval({"--limit", "4"}, images_)["images"], 4);
}

TEST_F(Eval, WritesPredictions) {
  const Finished finished = run_xdn({"eval", model_, "--data", pack_, "--predictions", dir_ / "p.csv"});
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("(21 of 22)"));
  const std::vector<std::string> lines = lines_of(read_text(dir_ / "p.csv"));
  ASSERT_EQ(lines.size(), 23u);
  EXPECT_EQ(lines[0], "index,label,prediction");
  EXPECT_EQ(lines[1], "0,0,0");
  EXPECT_EQ(lines[21], "20,2,2");
  EXPECT_EQ(lines[22], "21,2,0");
}

TEST_F(Eval, CountsByClass) {
  const Json json = eval({}, pack_);
  EXPECT_EQ(json["classes"], (Json{"blue", "green", "red"}));
  EXPECT_EQ(json["confusion"], (Json{{7, 0, 0}, {0, 7, 0}, {1, 0, 7}}));
  EXPECT_EQ(json["confused"], (Json{{{"label", 2}, {"predicted", 0}, {"images", 1}}}));
  ASSERT_EQ(json["per_class"].size(), 3u);
  EXPECT_EQ(json["per_class"][2],
            (Json{{"class", "red"}, {"images", 8}, {"correct", 7}, {"accuracy", 7.0 / 8}}));
  EXPECT_NEAR(json["accuracy_interval"][0].get<double>(), 0.7820, 1e-4);
  EXPECT_NEAR(json["accuracy_interval"][1].get<double>(), 0.9919, 1e-4);
}

TEST_F(Eval, SplitsTheTime) {
  const Json json = eval({}, pack_), split = json["time_split"];
  for (const char* key : {"open", "map", "plan", "first_run", "steady"}) EXPECT_GT(split[key], 0) << key;
  EXPECT_EQ(split["steady"], json["seconds_total"]);
  EXPECT_EQ(split["first_run"], json["warm_up_seconds"]);
}

TEST_F(Eval, PrintsClassesAndMistakes) {
  const Finished plain = run_xdn({"eval", model_, "--data", pack_});
  EXPECT_THAT(plain.out, HasSubstr("(21 of 22), 95 % interval 0.7820 to 0.9919\n"));
  EXPECT_THAT(plain.out, HasSubstr("\nworst       red 0.8750\n"));
  EXPECT_THAT(plain.out, Not(HasSubstr("confusion")));
  const Finished full = run_xdn({"eval", model_, "--data", images_, "--confusion", "--samples", "3"});
  EXPECT_EQ(full.code, 0) << full.err;
  EXPECT_THAT(full.out, HasSubstr("           0   1   2  accuracy\n"
                                  "  0 blue    7   .   .    1.0000\n"
                                  "  1 green   .   7   .    1.0000\n"
                                  "  2 red     1   .   7    0.8750\n"));
  EXPECT_THAT(full.out, ContainsRegex("[0-9.]+ %  red taken for blue: .*red/wrong.png"));
}

/// The picture in the JSON is the image that the model saw, whatever the order of its channels.
TEST_F(Eval, SamplesAreThePictures) {
  const std::string bgr = dir_ / "bgr";
  ASSERT_EQ(run_xdn({"pack", images_, "-o", bgr, "--color", "BGR"}).code, 0);
  const Image expected = decode_image(images_ + "/red/wrong.png");
  const std::string png = base64(to_png(expected));
  for (const std::string& data : {pack_, images_, bgr}) {
    const Json samples = eval({"--samples", "5"}, data)["samples"];
    ASSERT_EQ(samples.size(), 1u) << data;
    EXPECT_EQ(samples[0]["index"], 21);
    EXPECT_EQ(samples[0]["label"], 2);
    EXPECT_EQ(samples[0]["predicted"], 0);
    EXPECT_GT(samples[0]["probability"], 1.0 / 3);
    EXPECT_LE(samples[0]["probability"], 1);
    EXPECT_EQ(samples[0]["png"], png) << data;
  }
  EXPECT_FALSE(eval({}, pack_).contains("samples"));
}

TEST_F(Eval, ReferenceModelAndPredictionsAgree) {
  // Takes what is green for red: 7 right to wrong.
  std::filesystem::create_directory(dir_ / "other");
  const std::string other = write_onnx(dir_ / "other", [](onnx::ModelProto& model) {
    onnx::TensorProto& bias = initializer_named(model, "fc.b");
    std::vector<float> values{0, -1000, 0};
    bias.set_raw_data(values.data(), values.size() * sizeof(float));
  });
  write_text(dir_ / "other/net.preprocess.json", color_preprocess());
  const std::string predictions = dir_ / "p.csv";
  ASSERT_EQ(run_xdn({"eval", model_, "--data", pack_, "--predictions", predictions}).code, 0);
  for (const std::string& reference : {model_, predictions}) {
    const Finished finished =
        run_xdn({"eval", other, "--data", pack_, "--reference", reference, "--json", dir_ / "e.json"});
    ASSERT_EQ(finished.code, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr("7 flips, 7 right to wrong, 0 wrong to right: McNemar's p 0.0156"));
    const Json json = Json::parse(read_text(dir_ / "e.json"));
    EXPECT_EQ(json["correct"], 14);
    const Json& found = json["reference"];
    EXPECT_EQ(found["model"], reference);
    EXPECT_DOUBLE_EQ(found["accuracy"].get<double>(), 21.0 / 22);
    EXPECT_EQ(found["flips"], 7);
    EXPECT_EQ(found["right_to_wrong"], 7);
    EXPECT_EQ(found["wrong_to_right"], 0);
    EXPECT_DOUBLE_EQ(found["mcnemar_p"].get<double>(), 2.0 / 128);
  }
}

TEST_F(Eval, RefusesReferencesThatDoNotFit) {
  const std::string predictions = dir_ / "p.csv";
  ASSERT_EQ(run_xdn({"eval", model_, "--data", pack_, "--limit", "5", "--predictions", predictions}).code, 0);
  const auto refused = [&](const std::string& reference, const std::string& line) {
    const Finished finished =
        run_xdn({"eval", model_, "--data", pack_, "--reference", reference, "--json", dir_ / "e.json"});
    EXPECT_EQ(finished.code, 2);
    EXPECT_THAT(finished.err, HasSubstr(line));
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_FALSE(std::filesystem::exists(dir_ / "e.json"));
  };
  refused(predictions, "p.csv: holds predictions of 5 images, but 22 are evaluated");
  refused(dir_ / "absent.onnx", "absent.onnx: cannot open: No such file");
  write_text(dir_ / "p.csv", "index,label,prediction\n0,0\n");
  refused(predictions, "p.csv: line 2: expected three whole numbers");
  std::filesystem::create_directory(dir_ / "large");
  const std::string large = write_onnx(dir_ / "large", {}, 16);
  write_text(dir_ / "large/net.preprocess.json", color_preprocess(16));
  refused(large, "pack: pack holds images of 8x8, expected 16x16");
}

TEST_F(Eval, ProfilesByAnotherRun) {
  const Json json = eval({"--profile"}, pack_);
  const Json& profile = json["profile"];
  ASSERT_GE(profile["layers"].size(), 4u);
  EXPECT_EQ(profile["images"], 22);
  double share = 0;
  for (const Json& layer : profile["layers"]) {
    for (const char* key : {"layer", "kernel", "arith", "macs", "seconds", "gmacs_per_second", "peak_share",
                            "macs_per_byte", "weight_bytes", "activation_bytes"})
      EXPECT_TRUE(layer.contains(key)) << key;
    EXPECT_TRUE(layer["bound"] == "compute" || layer["bound"] == "memory") << layer;
    share += layer["share"].get<double>();
  }
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_GT(profile["peaks"]["f32"], 0);
  EXPECT_GT(profile["bandwidth_gb_s"], 0);
  EXPECT_FALSE(eval({}, pack_).contains("profile"));

  const Finished top = run_xdn({"eval", model_, "--data", pack_, "--profile", "--profile-top", "2"});
  EXPECT_THAT(top.out, ContainsRegex("ms/image +share +GMAC/s +peak +MAC/B +bound"));
  EXPECT_THAT(top.out, ContainsRegex("[0-9]+ more take [0-9.]+ % of the time"));
  EXPECT_EQ(run_xdn({"eval", model_, "--data", pack_, "--profile-top", "2"}).code, 2) << "needs --profile";
}

TEST_F(Eval, VerboseSaysWhatIsDone) {
  const Finished finished = run_xdn({"eval", model_, "--data", pack_, "-v"});
  EXPECT_EQ(finished.code, 0);
  EXPECT_THAT(finished.err, HasSubstr("xdn: info: 22 of 22 images, 3 classes"));
}

TEST(SharedModelEval, FirstImagesOfTheTestSet) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const auto cifar = cifar10_dir();
  if (!cifar) GTEST_SKIP() << "skipped: no CIFAR-10";
  const std::string stem = (*models / "resnet20-cifar10" / "resnet20").string();
  const Finished finished = run_xdn({"eval", stem + ".onnx", "--data", (*cifar / "test").string(), "--online",
                                     "--limit", "50", "--json", "-"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = Json::parse(finished.out);
  EXPECT_EQ(json["images"], 50);
  EXPECT_NEAR(json["correct"].get<int>(), 32, 1);
  EXPECT_TRUE(json.contains("top5"));
}

}  // namespace
}  // namespace xdn::testing
