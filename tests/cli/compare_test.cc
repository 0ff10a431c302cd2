#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Json = nlohmann::json;

/// Sets the three numbers of fc.b: what is added to the logits of blue, green and red.
void set_bias(onnx::ModelProto& model, float blue, float green, float red) {
  const float values[] = {blue, green, red};
  initializer_named(model, "fc.b").set_raw_data(values, sizeof(values));
}

class Compare : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string images_ = dir_ / "images";
  std::string a_ = model("a");

  void SetUp() override { write_color_folder(images_, 7); }

  /// dir/NAME/net.onnx with its preprocess file.
  std::string model(const std::string& name, const std::function<void(onnx::ModelProto&)>& edit = {},
                    int side = 8) {
    write_text(dir_ / (name + "/net.preprocess.json"), color_preprocess(side));
    return write_onnx(dir_ / name, edit, side);
  }
  Finished compare(const std::string& b, std::vector<std::string> more) {
    more.insert(more.begin(), {"compare", a_, b});
    return run_xdn(more);
  }
  Json json_of(const std::string& b, std::vector<std::string> more, int code = 0) {
    more.insert(more.end(), {"--json", "-"});
    const Finished finished = compare(b, more);
    EXPECT_EQ(finished.code, code) << finished.err;
    return Json::parse(finished.out, nullptr, false);
  }
  void expect_refused(const std::string& b, const std::vector<std::string>& more, const std::string& regex) {
    const Finished finished = compare(b, more);
    EXPECT_EQ(finished.code, 2) << finished.err;
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_THAT(finished.err, ContainsRegex(regex));
  }
};

TEST_F(Compare, AModelWithItself) {
  const Json json = json_of(a_, {"--data", images_});
  EXPECT_EQ(json["images"], 21);
  EXPECT_EQ(json["outputs"], 3);
  for (const char* key :
       {"max_error", "mean_error", "relative_error", "flips", "ties", "right_to_wrong", "wrong_to_right"}) {
    EXPECT_EQ(json[key], 0) << key;
  }
  EXPECT_EQ(json["mcnemar_p"], 1);
  EXPECT_GT(json["largest"], 1);
  for (const char* side : {"a", "b"}) {
    EXPECT_EQ(json[side]["correct"], 21);
    EXPECT_EQ(json[side]["accuracy"], 1);
    EXPECT_EQ(json[side]["not_finite"], 0);
    EXPECT_EQ(json[side]["precision"], "fp32");
  }
}

TEST_F(Compare, CountsFlipsAndErrors) {
  // All images look blue to B: those that are not, flip.
  const std::string b = model("b", [](onnx::ModelProto& m) { set_bias(m, 1000, 0, 0); });
  const Json json = json_of(b, {"--data", images_});
  EXPECT_NEAR(json["max_error"], 1000, 0.01);
  EXPECT_NEAR(json["mean_error"], 1000.0 / 3, 0.01);
  EXPECT_NEAR(json["relative_error"].get<double>() * json["largest"].get<double>(), 1000, 0.01);
  EXPECT_EQ(json["worst_output"], 0);
  EXPECT_EQ(json["flips"], 14);
  EXPECT_EQ(json["ties"], 0);
  EXPECT_EQ(json["b"]["correct"], 7);
  EXPECT_EQ(json["right_to_wrong"], 14);
  EXPECT_EQ(json["wrong_to_right"], 0);
  EXPECT_NEAR(json["mcnemar_p"], 2.0 / (1 << 14), 1e-9);

  const Finished text = compare(b, {"--data", images_});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_EQ(text.err, "");
  EXPECT_THAT(text.out, HasSubstr("14 flips, 0 of them ties"));
  EXPECT_THAT(text.out, HasSubstr("A 1.0000 (21), B 0.3333 (7)"));
  EXPECT_THAT(text.out, HasSubstr("14 right to wrong, 0 wrong to right"));
}

TEST_F(Compare, FormatsPacksAndLimit) {
  ASSERT_EQ(run_xdn({"pack", images_, "-o", dir_ / "pack"}).code, 0);
  ASSERT_EQ(run_xdn({"pack", images_, "-o", dir_ / "bgr", "--color", "BGR"}).code, 0);
  write_text(dir_ / "caffe/net.preprocess.json", color_preprocess());
  const std::string b = write_caffe(dir_ / "caffe").spec();
  for (const std::string& data : {images_, dir_ / "pack", dir_ / "bgr"}) {
    const Json json = json_of(b, {"--data", data, "--limit", "5", "--tolerance", "1e-5"});
    EXPECT_EQ(json["images"], 5) << data;
    EXPECT_EQ(json["a"]["correct"], 5) << data;
    EXPECT_EQ(json["b"]["correct"], 5) << data;
    EXPECT_EQ(json["within_tolerance"], true) << data;
  }
}

TEST_F(Compare, EachModelHasItsOwnPreprocessing) {
  // B takes its channels in the other order, and its first layer knows: the logits are those of A.
  const std::string b = model("b", [](onnx::ModelProto& m) {
    const float to_classes[] = {8, 0, 0, 0, 8, 0, 0, 0, 8};
    initializer_named(m, "fc.w").set_raw_data(to_classes, sizeof(to_classes));
  });
  std::string bgr = color_preprocess();
  replace(bgr, "RGB", "BGR");
  write_text(dir_ / "b/net.preprocess.json", bgr);
  EXPECT_LT(json_of(b, {"--data", images_})["relative_error"], 1e-6);
  EXPECT_LT(json_of(b, {"--random", "3"})["relative_error"], 1e-6);

  // B cuts the middle out, which is a little different in noise.
  std::string cropped = color_preprocess();
  replace(cropped, "\"RGB\"", "\"RGB\", \"resize\": 10, \"crop\": 8");
  write_text(dir_ / "c/net.preprocess.json", cropped);
  const Json json = json_of(write_onnx(dir_ / "c"), {"--data", images_});
  EXPECT_GT(json["max_error"], 0);
  EXPECT_LT(json["relative_error"], 0.05);
  EXPECT_EQ(json["flips"], 0);
}

TEST_F(Compare, SyntheticImages) {
  const Json json = json_of(a_, {"--random", "20", "--isa-b", "ref"});
  EXPECT_EQ(json["images"], 20);
  EXPECT_EQ(json["data"], nullptr);
  EXPECT_FALSE(json.contains("mcnemar_p"));
  EXPECT_FALSE(json["a"].contains("accuracy"));
  EXPECT_EQ(json["b"]["isa"], "ref");
  EXPECT_LT(json["relative_error"], 1e-5);
}

TEST_F(Compare, ToleranceDecidesTheExitCode) {
  const std::string b = model("b", [](onnx::ModelProto& m) { set_bias(m, 0, 0, 0.01f); });
  const double relative = json_of(b, {"--random", "4"})["relative_error"];
  ASSERT_GT(relative, 0);
  EXPECT_EQ(compare(b, {"--random", "4", "--tolerance", std::to_string(2 * relative)}).code, 0);
  const Finished exceeded = compare(b, {"--random", "4", "--tolerance", std::to_string(relative / 2)});
  EXPECT_EQ(exceeded.code, 1);
  EXPECT_THAT(exceeded.out, HasSubstr("error"));
  EXPECT_THAT(exceeded.err, ContainsRegex("^xdn: .*b/net\\.onnx: differs from .*--tolerance"));
  EXPECT_EQ(json_of(b, {"--random", "4", "--tolerance", "0"}, 1)["within_tolerance"], false);
}

TEST_F(Compare, NanIsCounted) {
  const std::string b =
      model("b", [](onnx::ModelProto& m) { set_bias(m, 0, std::numeric_limits<float>::quiet_NaN(), 0); });
  const Json json = json_of(b, {"--data", images_, "--tolerance", "1e9"}, 1);
  EXPECT_EQ(json["b"]["not_finite"], 21);
  EXPECT_EQ(json["a"]["not_finite"], 0);
  EXPECT_EQ(json["flips"], 21);
  EXPECT_EQ(json["max_error"], nullptr);
  EXPECT_THAT(compare(b, {"--data", images_}).out, HasSubstr("0 images of A, 21 of B"));
}

TEST_F(Compare, LayerByLayer) {
  const std::string b = model("b", [](onnx::ModelProto& m) {
    set_bias(m, 0.5f, 0, 0);
    for (onnx::NodeProto& node : *m.mutable_graph()->mutable_node()) {
      if (node.name() == "relu") node.set_output(0, "other");
      if (node.name() == "pool") node.set_input(0, "other");
    }
  });
  const Json json = json_of(b, {"--random", "4", "--layers", "--layer-images", "3"});
  ASSERT_EQ(json["layers"].size(), 5u);  // image, conv.y, pool.y, flatten.y, logits: not relu.y
  EXPECT_EQ(json["layers"][0]["name"], "image");
  EXPECT_EQ(json["layers"][1]["name"], "conv.y");
  EXPECT_EQ(json["layers"][1]["shape"], (Json{-1, 3, 8, 8}));
  EXPECT_EQ(json["layers"][1]["max_error"], 0);
  EXPECT_GT(json["layers"][1]["largest"], 0);
  EXPECT_EQ(json["layers"][4]["name"], "logits");
  EXPECT_NEAR(json["layers"][4]["max_error"], 0.5, 1e-5);
  EXPECT_NEAR(json["layers"][4]["mean_error"], 0.5 / 3, 1e-5);

  const Finished text = compare(b, {"--data", images_, "--layers"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, ContainsRegex("logits +\\[N,3\\] +5.00e-01 +1.67e-01"));
  EXPECT_THAT(text.out, HasSubstr("5 of 6 values of A, of 6 of B, have the same name"));
}

TEST_F(Compare, LayersOfOtherShapes) {
  const std::string b = model("b", [](onnx::ModelProto& m) {
    for (onnx::NodeProto& node : *m.mutable_graph()->mutable_node()) {
      if (node.name() == "pool") node.set_output(0, "conv.y");
      if (node.name() == "conv") node.set_output(0, "first");
      if (node.name() == "relu") node.set_input(0, "first");
      if (node.name() == "flatten") node.set_input(0, "conv.y");
    }
  });
  const Json json = json_of(b, {"--random", "1", "--layers"});
  EXPECT_EQ(json["layers"][1]["name"], "conv.y");
  EXPECT_EQ(json["layers"][1]["shape_b"], (Json{-1, 3, 1, 1}));
  EXPECT_FALSE(json["layers"][1].contains("max_error"));
}

TEST_F(Compare, RefusesModelsThatDoNotFit) {
  expect_refused(model("large", {}, 9), {"--random", "1"},
                 "large/net\\.onnx: takes images of 9x9, but .*a/net\\.onnx 8x8");
  expect_refused(model("four",
                       [](onnx::ModelProto& m) {
                         onnx::TensorProto& w = initializer_named(m, "fc.w");
                         w.set_dims(0, 4);
                         w.mutable_raw_data()->append(12, '\0');
                         onnx::TensorProto& b = initializer_named(m, "fc.b");
                         b.set_dims(0, 4);
                         b.mutable_raw_data()->append(4, '\0');
                         m.mutable_graph()
                             ->mutable_output(0)
                             ->mutable_type()
                             ->mutable_tensor_type()
                             ->mutable_shape()
                             ->mutable_dim(1)
                             ->set_dim_value(4);
                       }),
                 {"--random", "1"}, "four/net\\.onnx: gives 4 numbers per image, but .*a/net\\.onnx 3");
  expect_refused(model("gray",
                       [](onnx::ModelProto& m) {
                         m.mutable_graph()
                             ->mutable_input(0)
                             ->mutable_type()
                             ->mutable_tensor_type()
                             ->mutable_shape()
                             ->mutable_dim(1)
                             ->set_dim_value(1);
                         onnx::TensorProto& w = initializer_named(m, "conv.w");
                         w.set_dims(1, 1);
                         w.mutable_raw_data()->resize(3 * 9 * sizeof(float));
                       }),
                 {"--random", "1"}, "gray/net\\.onnx: takes images of 1 channels, but .*a/net\\.onnx 3");
}

TEST_F(Compare, RefusesWrongUsage) {
  expect_refused(a_, {}, "expected --data DATA or --random N; see xdn compare --help");
  expect_refused(a_, {"--random", "0"}, "--random: expected a whole number");
  expect_refused(a_, {"--random", "2", "--data", images_}, "--(random|data)");
  expect_refused(a_, {"--random", "2", "--layer-images", "2"}, "--layers");
  expect_refused(a_, {"--random", "2", "--tolerance", "-1"}, "--tolerance: ");
  expect_refused(a_, {"--random", "2", "--tolerance", "nan"}, "--tolerance: ");
  expect_refused(a_, {"--random", "2", "--precision-b", "int8"}, "a/net\\.onnx: .*xdn quantize");
  expect_refused(dir_ / "absent.onnx", {"--random", "2"}, "absent\\.onnx: ");
  expect_refused(a_, {"--data", dir_ / "absent"}, "absent: ");
}

}  // namespace
}  // namespace xdn::testing
