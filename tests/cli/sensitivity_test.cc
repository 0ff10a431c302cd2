// xdn sensitivity from end to end.

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

class SensitivityVerb : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string images_ = dir_ / "images", pack_ = dir_ / "pack", model_;

  void SetUp() override {
    write_color_folder(images_, 7);
    ASSERT_EQ(run_xdn({"pack", images_, "-o", pack_}).code, 0);
    write_text(dir_ / "net/net.preprocess.json", color_preprocess());
    model_ = write_onnx(dir_ / "net");
  }
};

TEST_F(SensitivityVerb, EveryColourOfThreeIsWorthItsClass) {
  const Finished finished =
      run_xdn({"sensitivity", model_, "--data", pack_, "--ratios", "0.4,0.7", "--json", "-"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = Json::parse(finished.out, nullptr, false);
  EXPECT_EQ(json["images"], 21);
  EXPECT_EQ(json["blocks"], Json::array());
  ASSERT_EQ(json["groups"].size(), 1u) << "the logits are kept";
  const Json& group = json["groups"][0];
  EXPECT_EQ(group["layers"], Json::array({"conv"}));
  EXPECT_EQ(group["units"], 3);
  ASSERT_EQ(group["cuts"].size(), 2u);
  // Without a colour's channel its images look like the others do: one class of three is lost, then two.
  for (size_t i = 0; i < 2; ++i) {
    const Json& cut = group["cuts"][i];
    EXPECT_EQ(cut["units_left"], 2 - static_cast<int>(i));
    EXPECT_LT(cut["macs_effective"], json["macs_effective"]);
    EXPECT_NEAR(cut["drop"].get<double>(), 100 - 100 * cut["accuracy"].get<double>(), 1e-9);
  }
  EXPECT_GE(group["cuts"][1]["drop"], group["cuts"][0]["drop"]);
  EXPECT_GT(group["cuts"][1]["drop"], 0);
  ASSERT_EQ(json["kept"].size(), 2u);  // the image's channels, and the logits
  EXPECT_EQ(json["kept"][0]["layers"], Json::array());
  EXPECT_EQ(json["kept"][1]["layers"], Json::array({"fc"}));
  EXPECT_THAT(finished.err, HasSubstr("kept        fc"));
}

TEST_F(SensitivityVerb, KeptLayersHaveNoRow) {
  const Finished finished =
      run_xdn({"sensitivity", model_, "--data", pack_, "--keep", "conv", "--json", "-"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(Json::parse(finished.out, nullptr, false)["groups"], Json::array());
}

TEST_F(SensitivityVerb, RefusesWhatMakesNoSense) {
  const auto refused = [&](std::vector<std::string> words, const std::string& text) {
    words.insert(words.begin(), "sensitivity");
    const Finished finished = run_xdn(words);
    EXPECT_EQ(finished.code, 2) << finished.out << finished.err;
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(text));
  };
  refused({model_, "--data", pack_, "--ratios", "0.5,1"}, "between 0 and 1");
  refused({model_, "--data", pack_, "--keep", "nobody"}, "nobody");
  refused({model_, "--data", dir_ / "none"}, "none");
  ASSERT_EQ(run_xdn({"quantize", model_, "--data", pack_, "-o", dir_ / "q.onnx"}).code, 0);
  refused({dir_ / "q.onnx", "--data", pack_}, "quantized");
}

}  // namespace
}  // namespace xdn::testing
