#include "data/preprocess.h"

#include "data/data_testing.h"
#include "data/dataset.h"

namespace xdn {
namespace {

using testing::expect_input_error;
using testing::TempDir;

Preprocess read_text(const std::string& json) {
  const TempDir dir;
  testing::write_bytes(dir / "m.preprocess.json", json);
  return read_preprocess(dir / "m.preprocess.json");
}

TEST(Preprocess, ReadsEveryField) {
  const Preprocess p = read_text(R"({"input": "data", "color": "BGR", "scale": 0.5, "mean": [1, 2, 3.5],
    "std": [4, 5, 6], "size": [224, 224], "resize": 256, "crop": 224, "classes": ["a", "b"], "unknown": {"x": []}})");
  EXPECT_EQ(p.input, "data");
  EXPECT_TRUE(p.bgr);
  EXPECT_EQ(p.scale, 0.5f);
  EXPECT_EQ(p.mean, (std::array<float, 3>{1, 2, 3.5f}));
  EXPECT_EQ(p.std, (std::array<float, 3>{4, 5, 6}));
  EXPECT_EQ(p.height, 224);
  EXPECT_EQ(p.width, 224);
  EXPECT_EQ(p.resize, 256);
  EXPECT_EQ(p.crop, 224);
  EXPECT_EQ(p.classes, (std::vector<std::string>{"a", "b"}));
  const DatasetOptions options = dataset_options(p);
  EXPECT_EQ(options.geometry.resize, 256);
  EXPECT_EQ(options.geometry.crop, 224);
  EXPECT_EQ(options.geometry.height, 224);
  EXPECT_FALSE(options.bgr);
}

TEST(Preprocess, DefaultsAreTheIdentity) {
  const Preprocess p = read_text("{}");
  EXPECT_FALSE(p.bgr);
  EXPECT_EQ(p.scale, 1.0f);
  EXPECT_EQ(p.std, (std::array<float, 3>{1, 1, 1}));
  EXPECT_EQ(p.height, 0);
}

TEST(Preprocess, RawBgrPixelsKeepTheGeometry) {
  const Preprocess p = raw_bgr_pixels(read_text(R"({"input": "data", "scale": 0.5, "mean": [1, 2, 3.5],
    "std": [4, 5, 6], "size": [224, 224], "resize": 256, "crop": 224, "classes": ["a", "b"]})"));
  EXPECT_TRUE(p.bgr);
  EXPECT_EQ(p.scale, 1);
  EXPECT_EQ(p.mean, (std::array<float, 3>{0, 0, 0}));
  EXPECT_EQ(p.std, (std::array<float, 3>{1, 1, 1}));
  EXPECT_EQ(p.input, "data");
  EXPECT_EQ(p.height, 224);
  EXPECT_EQ(p.resize, 256);
  EXPECT_EQ(p.classes, (std::vector<std::string>{"a", "b"}));
}

TEST(Preprocess, BadFieldsAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([1])", "object at the top"},
      {R"({"scale": )", "not valid JSON"},
      {R"({"scale": 1e999})", "not valid JSON"},
      {R"({"input": 3})", "'input' must be a string"},
      {R"({"color": "rgb"})", "'color' must be RGB or BGR"},
      {R"({"color": 1})", "'color' must be a string"},
      {R"({"scale": "1"})", "'scale' must be a number"},
      {R"({"scale": 1e300})", "'scale' must be finite"},
      {R"({"scale": 0})", "'scale' must not be 0"},
      {R"({"scale": true})", "'scale' must be a number"},
      {R"({"mean": [1, 2]})", "'mean' must have 3 entries, has 2"},
      {R"({"mean": [1, 2, 3, 4]})", "'mean' must have 3 entries, has 4"},
      {R"({"mean": 1})", "'mean' must be an array"},
      {R"({"mean": [1, null, 3]})", "'mean'[1] must be a number"},
      {R"({"std": [1, 0, 1]})", "'std' must not hold 0"},
      {R"({"std": [1, 1e-60, 1]})", "'std' must not hold 0"},
      {R"({"std": [1, 1e-40, 1]})", "beyond the range"},
      {R"({"std": [1, "1", 1]})", "'std'[1] must be a number"},
      {R"({"size": [32]})", "'size' must have 2 entries"},
      {R"({"size": [32, 0]})", "'size'[1] must be an integer from 1"},
      {R"({"size": [32, -5]})", "'size'[1]"},
      {R"({"size": [32.5, 32]})", "'size'[0] must be an integer"},
      {R"({"size": [32, 99999999999999999999]})", "'size'[1]"},
      {R"({"size": "32x32"})", "'size' must be an array"},
      {R"({"resize": -1})", "'resize' must be an integer from 0"},
      {R"({"crop": 1e3})", "'crop' must be an integer"},
      {R"({"crop": 200, "resize": 100})", "crop 200 is larger than resize 100"},
      {R"({"crop": 20, "size": [32, 32]})", "crop 20 does not give the expected size 32x32"},
      {R"({"classes": "cat"})", "'classes' must be an array"},
      {R"({"classes": ["cat", 3]})", "'classes'[1] must be a string"},
      {"{\"input\": \"\xff\xfe\"}", "not valid JSON"},
      {"", "not valid JSON"},
  };
  for (const auto& [json, part] : cases) {
    SCOPED_TRACE(json);
    expect_input_error(part, [text = std::string(json)] { read_text(text); });
  }
}

TEST(Preprocess, LimitsSizeAndDepth) {
  expect_input_error("larger than the limit", [] { read_text(std::string(size_t{1} << 21, ' ')); });
  expect_input_error("nested too deeply", [] { read_text(std::string(100000, '[')); });
  std::string classes = "{\"classes\": [\"\"";
  for (int i = 0; i < 100000; ++i) classes += ",\"\"";
  expect_input_error("more than 100000", [&] { read_text(classes + "]}"); });
}

TEST(Preprocess, WritesWhatItReads) {
  const TempDir dir;
  Preprocess p;
  p.input = "data";
  p.bgr = true;
  p.scale = 1.0f / 255.0f;
  p.mean = {0.485f, 0.456f, 0.406f};
  p.std = {0.229f, 0.224f, 0.225f};
  p.height = 48;
  p.width = 48;
  p.resize = 64;
  p.crop = 48;
  p.classes = {"cat", "d\"og", "\xc3\xa9"};
  write_preprocess(p, dir / "net.preprocess.json");
  EXPECT_NE(testing::read_bytes(dir / "net.preprocess.json").find("0.485,"), std::string::npos);
  const auto back = find_preprocess(dir / "net");
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->input, p.input);
  EXPECT_EQ(back->bgr, p.bgr);
  EXPECT_EQ(back->scale, p.scale);
  EXPECT_EQ(back->mean, p.mean);
  EXPECT_EQ(back->std, p.std);
  EXPECT_EQ(back->height, p.height);
  EXPECT_EQ(back->resize, p.resize);
  EXPECT_EQ(back->crop, p.crop);
  EXPECT_EQ(back->classes, p.classes);
  EXPECT_FALSE(find_preprocess(dir / "other").has_value());
}

TEST(Preprocess, NamesThatAreNoUtf8AreStillWritten) {
  const TempDir dir;
  Preprocess p;
  p.input = "in\xff";
  write_preprocess(p, dir / "net.preprocess.json");
  EXPECT_EQ(read_preprocess(dir / "net.preprocess.json").input, "in\xef\xbf\xbd");
}

TEST(Preprocess, ReadsTheSharedOnes) {
  const auto models = testing::models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const auto p = find_preprocess((*models / "resnet50-cifar10" / "resnet50").string());
  ASSERT_TRUE(p.has_value());
  EXPECT_EQ(p->height, 32);
  EXPECT_EQ(p->classes.size(), 10u);
  EXPECT_NEAR(p->scale, 1.0 / 255, 1e-9);
}

}  // namespace
}  // namespace xdn
