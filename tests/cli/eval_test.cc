#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
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
