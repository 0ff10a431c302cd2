// xdn::Model: what it says of a file, and files that cannot be used.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <xdn/xdn.hpp>

#include "api/api_support.h"
#include "cli/fixtures.h"
#include "cli/models.h"

namespace {

using xdn::testing::kClasses;
using xdn::testing::random_bytes;
using xdn::testing::TempDir;
using xdn::testing::write_residual_net;

/// What the call throws; the test fails where it throws nothing.
template <class F>
xdn::Error error_of(F&& f) {
  try {
    f();
  } catch (const xdn::Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return {xdn::ErrorCode::kFailure, "no error"};
}

void expect_error(const xdn::Error& error, xdn::ErrorCode code, const std::string& part) {
  EXPECT_EQ(error.code(), code) << error.what();
  EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << "\nlacks " << part;
  EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
}

TEST(ApiModel, SaysShapesNamesAndPreprocessing) {
  const TempDir dir;
  const xdn::Model model = xdn::Model::load(write_residual_net(dir.path().string()));
  const xdn::ModelInfo info = model.info();
  EXPECT_EQ(info.channels, 3);
  EXPECT_EQ(info.height, 16);
  EXPECT_EQ(info.width, 16);
  EXPECT_EQ(info.image_size(), 768u);
  EXPECT_EQ(info.outputs, kClasses);
  EXPECT_EQ(info.input_name, "data");
  EXPECT_GT(info.parameters, 0);
  EXPECT_GT(info.macs, info.parameters);
  EXPECT_FALSE(info.quantized);
  EXPECT_EQ(model.class_names().size(), 7u);
  EXPECT_EQ(model.class_name(6), "class-6");
  EXPECT_EQ(model.class_name(7), "class 7");
  EXPECT_EQ(model.class_name(-1), "class -1");
  const xdn::Preprocess preprocess = model.preprocess();
  EXPECT_EQ(preprocess.bgr, 1);
  EXPECT_EQ(preprocess.unknown, 0);
  EXPECT_FLOAT_EQ(preprocess.mean[2], 1.1f);
  EXPECT_FLOAT_EQ(preprocess.std[0], 0.5f);
  EXPECT_EQ(preprocess.height, 16);
}

TEST(ApiModel, SaysThatNobodySaidHowImagesAreMade) {
  const TempDir dir;
  const std::string path = write_residual_net(dir.path().string());
  std::filesystem::remove(dir / "net.preprocess.json");
  const xdn::Model model = xdn::Model::load(path);
  EXPECT_EQ(model.preprocess().unknown, 1);
  EXPECT_TRUE(model.class_names().empty());
  EXPECT_EQ(model.class_name(0), "class 0");
}

TEST(ApiModel, TakesImagesOfAnotherSize) {
  const TempDir dir;
  xdn::LoadOptions options;
  options.height = 24;
  options.width = 20;
  const xdn::Model model = xdn::Model::load(write_residual_net(dir.path().string()), options);
  EXPECT_EQ(model.info().height, 24);
  EXPECT_EQ(model.info().width, 20);
  xdn::Session session(model);
  EXPECT_EQ(session.run(random_bytes(2 * 3 * 24 * 20)).size(), 2u * kClasses);
}

TEST(ApiModel, PreprocessingHandedInReplacesTheFile) {
  const TempDir dir;
  const std::string path = write_residual_net(dir.path().string());
  const std::vector<uint8_t> images = random_bytes(768);
  const std::vector<float> from_file = xdn::Session(xdn::Model::load(path)).run(images);

  xdn::Preprocess same = xdn::Model::load(path).preprocess();
  std::filesystem::remove(dir / "net.preprocess.json");
  xdn::LoadOptions options;
  options.preprocess = &same;
  const xdn::Model handed_in = xdn::Model::load(path, options);
  EXPECT_EQ(handed_in.preprocess().unknown, 0);
  EXPECT_EQ(xdn::Session(handed_in).run(images), from_file);

  xdn::Preprocess other;  // all 0: raw bytes in RGB
  options.preprocess = &other;
  const xdn::Model raw = xdn::Model::load(path, options);
  EXPECT_EQ(raw.preprocess().scale, 1);
  EXPECT_EQ(raw.preprocess().std[1], 1);
  EXPECT_NE(xdn::Session(raw).run(images), from_file);
}

TEST(ApiModel, OptimizedAndSavedItGivesTheSameLogits) {
  const TempDir dir;
  const std::string path = write_residual_net(dir.path().string());
  const std::string out = dir / "fused.onnx";
  const xdn::Model model = xdn::Model::load(path);
  model.optimized(xdn::Fusion::kAggressive).save(out);
  EXPECT_LT(xdn::testing::node_count(out), xdn::testing::node_count(path));

  const xdn::Model fused = xdn::Model::load(out);
  EXPECT_EQ(fused.class_names(), model.class_names());
  EXPECT_EQ(fused.preprocess().mean[1], model.preprocess().mean[1]);
  const std::vector<uint8_t> images = random_bytes(768 * 3);
  const std::vector<float> a = xdn::Session(model).run(images), b = xdn::Session(fused).run(images);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4f * (1 + std::fabs(a[i])));
}

TEST(ApiModel, SavesCaffeFiles) {
  const TempDir dir;
  const xdn::Model model = xdn::Model::load(write_residual_net(dir.path().string()));
  model.save(dir / "out.prototxt" + ":" + dir / "out.caffemodel");
  EXPECT_EQ(xdn::Model::load(dir / "out.prototxt" + ":" + dir / "out.caffemodel").info().parameters,
            model.info().parameters);
  EXPECT_TRUE(std::filesystem::exists(dir / "out.preprocess.json"));
}

TEST(ApiModel, WarningsLeaveStdoutAlone) {
  const TempDir dir;
  const auto files = xdn::testing::write_caffe(dir.path().string(),
                                               [](std::string& text) { text += "\nmade_up_field: 3\n"; });
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  (void)xdn::Model::load(files.spec());
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("xdn: warning: "), std::string::npos) << said;
  EXPECT_NE(said.find("made_up_field"), std::string::npos) << said;
}

TEST(ApiModel, ImagesAreDecodedAndResized) {
  const TempDir dir;
  const std::string path = xdn::testing::write_onnx(dir.path().string());
  xdn::testing::write_text(dir / "net.preprocess.json", xdn::testing::color_preprocess(8));
  const xdn::Model model = xdn::Model::load(path);
  xdn::testing::write_png(dir / "green.png", 20, 12, 10, 200, 30);
  const std::vector<uint8_t> pixels = model.load_image(dir / "green.png");
  ASSERT_EQ(pixels.size(), 8u * 8 * 3);
  for (size_t i = 0; i < pixels.size(); i += 3) {
    EXPECT_NEAR(pixels[i], 17, 8);
    EXPECT_NEAR(pixels[i + 1], 207, 8);
    EXPECT_NEAR(pixels[i + 2], 37, 8);
  }
  const std::string file = xdn::testing::read_text(dir / "green.png");
  EXPECT_EQ(model.decode_image(file.data(), file.size()), pixels);
}

TEST(ApiModel, ErrorsNameTheFile) {
  const TempDir dir;
  const auto load = [](const std::string& path) { return error_of([&] { (void)xdn::Model::load(path); }); };
  expect_error(load(dir / "absent.onnx"), xdn::ErrorCode::kBadInput, "absent.onnx");
  expect_error(load("model.pt"), xdn::ErrorCode::kBadInput, "model.pt: is not a model");
  expect_error(load(""), xdn::ErrorCode::kBadInput, "is not a model");

  const std::string path = write_residual_net(dir.path().string());
  xdn::testing::write_text(dir / "net.preprocess.json", "{\"size\": [8, 8]}");
  expect_error(load(path), xdn::ErrorCode::kBadInput, "net.onnx: takes images of 16x16");
  xdn::testing::write_text(dir / "net.preprocess.json", "{\"std\": 0}");
  expect_error(load(path), xdn::ErrorCode::kBadInput, "net.preprocess.json: field 'std'");
  std::filesystem::remove(dir / "net.preprocess.json");
  xdn::testing::truncate_file(path, std::filesystem::file_size(path) / 2);
  expect_error(load(path), xdn::ErrorCode::kBadInput, "net.onnx");
}

TEST(ApiModel, ErrorsOfImagesAndOutputs) {
  const TempDir dir;
  const xdn::Model model = xdn::Model::load(write_residual_net(dir.path().string()));
  expect_error(error_of([&] { (void)model.load_image(dir / "no.png"); }), xdn::ErrorCode::kBadInput,
               "no.png");
  xdn::testing::write_text(dir / "text.png", "no image");
  expect_error(error_of([&] { (void)model.load_image(dir / "text.png"); }), xdn::ErrorCode::kBadInput,
               "text.png: is neither a JPEG nor a PNG image");
  expect_error(error_of([&] { (void)model.decode_image("abc", 3); }), xdn::ErrorCode::kBadInput, "neither");
  expect_error(error_of([&] { model.save(dir / "none/out.onnx"); }), xdn::ErrorCode::kFailure, "none/out");
  expect_error(error_of([&] { model.save("out.txt"); }), xdn::ErrorCode::kBadInput, "out.txt");
}

TEST(ApiModel, ErrorsOfOptions) {
  const TempDir dir;
  const std::string path = write_residual_net(dir.path().string());
  const auto load = [&](const xdn::LoadOptions& options) {
    return error_of([&] { (void)xdn::Model::load(path, options); });
  };
  xdn::LoadOptions options;
  options.height = 8;
  expect_error(load(options), xdn::ErrorCode::kBadArgument, "options.width");
  options.width = -1;
  expect_error(load(options), xdn::ErrorCode::kBadArgument, "options.width is -1");
  xdn::Preprocess preprocess;
  options = {};
  options.preprocess = &preprocess;
  preprocess.std[1] = 1e-45f;
  expect_error(load(options), xdn::ErrorCode::kBadArgument, "range of a float");
  preprocess.std[1] = 1;
  preprocess.crop = 9;
  preprocess.resize = 8;
  expect_error(load(options), xdn::ErrorCode::kBadArgument, "preprocess: crop 9");
}

TEST(ApiModel, Version) { EXPECT_EQ(xdn::version().find_first_not_of("0123456789."), std::string::npos); }

}  // namespace
