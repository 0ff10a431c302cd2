// What is said about plans, and the processors they take.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Json = nlohmann::json;

Json json_of(std::vector<std::string> arguments, const RunOptions& options = {}) {
  arguments.insert(arguments.end(), {"--json", "-"});
  const Finished finished = run_xdn(arguments, options);
  EXPECT_EQ(finished.code, 0) << finished.err;
  return Json::parse(finished.out, nullptr, false);
}

/// Printed lines are for terminals of 120 columns.
void expect_narrow(const std::string& text) {
  for (const std::string& line : lines_of(text)) EXPECT_LE(line.size(), 120u) << line;
}

class Plans : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string model_ = write_onnx(dir_.path().string());
  void SetUp() override { write_text(dir_ / "net.preprocess.json", color_preprocess()); }
};

TEST_F(Plans, InfoListsEveryStep) {
  const Json json = json_of({"info", model_, "--kernels", "--precision", "bf16"});
  const Json& kernels = json["kernels"];
  ASSERT_GE(kernels.size(), 4u) << kernels.dump(1);  // pixels, convolution with ReLU, pool, classifier
  std::map<std::string, Json> by_layer;
  for (const Json& step : kernels) {
    for (const char* key :
         {"layer", "kernel", "refused", "arith", "macs", "weight_bytes", "activation_bytes"})
      EXPECT_TRUE(step.contains(key)) << key;
    EXPECT_GT(step["activation_bytes"], 0);
    by_layer[step["layer"]] = step;
  }
  EXPECT_EQ(by_layer["conv"]["arith"], "bf16");
  EXPECT_GE(by_layer["conv"]["macs"], 22 * 22 * 9);
  EXPECT_GT(by_layer["conv"]["weight_bytes"], 0);
  EXPECT_EQ(by_layer["fc"]["macs"], 9);
  EXPECT_THAT(by_layer["fc"]["refused"].get<std::string>(), HasSubstr("odd number of channels"));
  EXPECT_GT(json["arena_bytes"], 0);
  EXPECT_TRUE(json["isas_missing"].is_array());
  EXPECT_EQ(json["precision"], "bf16");
  EXPECT_TRUE(json.contains("batch_tile"));
}

TEST_F(Plans, InfoPrintsThem) {
  const Finished info = run_xdn({"info", model_, "--kernels", "--precision", "bf16"});
  EXPECT_EQ(info.code, 0) << info.err;
  EXPECT_THAT(info.out, ContainsRegex("# +layer +kernel +weights +in \\+ out +MACs"));
  EXPECT_THAT(info.out, ContainsRegex("2  conv +brgemm_bf16"));
  EXPECT_THAT(info.out, ContainsRegex("refused  .*brgemm_bf16: an odd"));
  EXPECT_THAT(info.out, ContainsRegex("arena +[0-9.]+ (B|KiB|MiB) per worker"));
  EXPECT_THAT(info.out, ContainsRegex("settings +bf16 on "));
  EXPECT_THAT(info.out, HasSubstr("this processor lacks"));
  expect_narrow(info.out);
  EXPECT_THAT(run_xdn({"info", model_, "--kernels", "--isa", "ref"}).out, HasSubstr("no plan"));
}

TEST_F(Plans, BenchProfilesEveryStep) {
  const std::vector<std::string> words{"bench", model_, "--profile", "--seconds", "0", "--batch", "4"};
  const Json json = json_of(words);
  const Json& profile = json["profile"];
  ASSERT_EQ(profile["steps"].size(), 4u);
  double share = 0, ms = 0;
  for (const Json& step : profile["steps"]) {
    for (const char* key :
         {"layer", "kernel", "arith", "macs", "ms_per_image", "share", "gmacs_per_second", "of_peak"})
      EXPECT_TRUE(step.contains(key)) << key;
    EXPECT_EQ(step["macs"] == 0, step["gmacs_per_second"] == 0.0);
    share += step["share"].get<double>();
    ms += step["ms_per_image"].get<double>();
  }
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_NEAR(profile["total"]["ms_per_image"].get<double>(), ms, 1e-9);
  EXPECT_GE(profile["total"]["run_ms_per_image"].get<double>(), 0.0);
  int64_t steps = 0;
  for (const Json& kind : profile["kinds"]) steps += kind["steps"].get<int64_t>();
  EXPECT_EQ(steps, 4);
  EXPECT_GT(profile["peaks"]["f32"], 0);
  EXPECT_GT(profile["bandwidth_gb_s"], 0);
  ASSERT_EQ(profile["layers"].size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(profile["layers"][i]["layer"], profile["steps"][i]["layer"]);

  const Finished text = run_xdn(words);
  EXPECT_THAT(text.out, ContainsRegex("ms/image +share +GMAC/s +peak +MAC/B +bound"));
  EXPECT_THAT(text.out, ContainsRegex("total +4 "));
  EXPECT_THAT(text.out, ContainsRegex("peak of f32: [0-9.]+ GMAC/s"));
  expect_narrow(text.out);
  EXPECT_FALSE(json_of({"bench", model_, "--seconds", "0", "--batch", "4"}).contains("profile"));
}

TEST_F(Plans, BenchHasNoProfileOfTheOracle) {
  const Finished text =
      run_xdn({"bench", model_, "--profile", "--seconds", "0", "--batch", "2", "--isa", "ref"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("no profile"));
}

/// One processor is one worker, whatever is asked; a bar on stderr may have a thread of its own.
TEST_F(Plans, OneProcessorIsOneBusyThread) {
  RunOptions bound;
  bound.one_cpu = true;
  for (const char* threads : {"", "8"}) {
    std::vector<std::string> words{"bench", model_, "--seconds", "0.3", "--json", "-"};
    if (*threads != '\0') words.insert(words.end(), {"--threads", threads});
    const Finished finished = run_xdn(words, bound);
    ASSERT_EQ(finished.code, 0) << finished.err;
    const Json json = Json::parse(finished.out);
    EXPECT_EQ(json["data_parallel"], 1);
    EXPECT_EQ(json["model_parallel"], 1);
    EXPECT_GE(finished.most_threads, 1);
    EXPECT_LE(finished.most_threads, 2);
    EXPECT_LE(finished.cpu_seconds, 1.05 * finished.seconds);
  }
}

void expect_profile_of(const std::string& spec, const std::string& arith,
                       const std::vector<std::string>& more) {
  std::vector<std::string> words{"bench", spec, "--profile", "--seconds", "0", "--batch", "8"};
  words.insert(words.end(), more.begin(), more.end());
  const Finished text = run_xdn(words);
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, ContainsRegex("brgemm_" + arith + " +54 "));
  EXPECT_THAT(text.out, ContainsRegex("peak of " + arith));
  expect_narrow(text.out);
}

TEST(SharedModelPlans, AreProfiled) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const std::string stem = (*models / "resnet50-cifar10" / "resnet50").string();
  expect_profile_of(stem + ".prototxt:" + stem + ".caffemodel", "f32", {});
  expect_profile_of(stem + ".prototxt:" + stem + ".caffemodel", "bf16", {"--precision", "bf16"});
  expect_profile_of(stem + "-qdq.onnx", "i8", {});
}

}  // namespace
}  // namespace xdn::testing
