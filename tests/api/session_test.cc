// xdn::Session against Executor itself, and in every layout; several threads at once.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <thread>
#include <xdn/xdn.hpp>

#include "api/api_support.h"
#include "cli/fixtures.h"
#include "cli/models.h"
#include "support/guarded.h"

namespace {

using namespace xdn::testing;

constexpr int64_t kImage = 3 * 16 * 16;

xdn::SessionOptions one_thread(xdn::Input input = xdn::Input::kU8) {
  xdn::SessionOptions options;
  options.threads = 1;
  options.input = input;
  return options;
}

template <class F>
void expect_error(xdn::ErrorCode code, const std::string& part, F&& f) {
  try {
    f();
  } catch (const xdn::Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << "\nlacks " << part;
    return;
  }
  ADD_FAILURE() << "no error; expected " << part;
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b, float relative) {
  ASSERT_EQ(a.size(), b.size());
  float largest = 0;
  for (const float x : a) largest = std::max(largest, std::fabs(x));
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], relative * largest) << i;
}

/// The model and some images, in all four forms.
class ApiSession : public ::testing::Test {
 protected:
  static constexpr int64_t n = 37;
  const TempDir dir;
  const std::string path = write_residual_net(dir.path().string());
  const xdn::Model model = xdn::Model::load(path);
  const std::vector<uint8_t> bytes = random_bytes(n * kImage);
  const std::vector<float> floats = normalised(path, bytes);
};

TEST_F(ApiSession, BytesGiveTheExecutorsLogits) {
  xdn::Session session(model, one_thread());
  const std::vector<float> logits = session.run(bytes);
  EXPECT_EQ(logits, executor_u8(path, bytes, n));
  EXPECT_EQ(session.run(to_nchw(bytes, 3, 256), xdn::Layout::kNCHW), logits);
}

TEST_F(ApiSession, FloatsGiveTheExecutorsLogits) {
  xdn::Session session(model, one_thread(xdn::Input::kF32));
  const std::vector<float> logits = session.run(floats);
  EXPECT_EQ(logits, executor_f32(path, floats, n));
  EXPECT_EQ(session.run(to_nhwc(floats, 3, 256), xdn::Layout::kNHWC), logits);
}

TEST_F(ApiSession, BytesAreNormalisedInside) {
  xdn::Session bytes_in(model, one_thread()), floats_in(model, one_thread(xdn::Input::kF32));
  expect_near(bytes_in.run(bytes), floats_in.run(floats), 1e-4f);
}

TEST_F(ApiSession, TheOracleTakesEveryForm) {
  xdn::SessionOptions options = one_thread();
  options.isa = "ref";
  xdn::Session bytes_in(model, options);
  options.input = xdn::Input::kF32;
  xdn::Session floats_in(model, options);
  EXPECT_EQ(bytes_in.settings().isa, "ref");
  const std::vector<float> fast = xdn::Session(model, one_thread()).run(bytes);
  expect_near(bytes_in.run(bytes), fast, 1e-4f);
  expect_near(floats_in.run(to_nhwc(floats, 3, 256), xdn::Layout::kNHWC), fast, 1e-4f);
  EXPECT_TRUE(bytes_in.profile().empty());
}

TEST_F(ApiSession, NothingOutsideTheCallersBuffersIsTouched) {
  xdn::Session session(model, one_thread());
  const std::vector<float> expected = session.run(bytes);
  Guarded<uint8_t> images(bytes.size());
  std::copy(bytes.begin(), bytes.end(), images.begin());
  for (const xdn::Layout layout : {xdn::Layout::kNHWC, xdn::Layout::kNCHW}) {
    Guarded<float> logits(expected.size());
    session.run(images.data(), n, logits.data(), layout);
    if (layout == xdn::Layout::kNCHW) continue;  // of other images: the bytes lie in NHWC
    EXPECT_TRUE(std::equal(logits.begin(), logits.end(), expected.begin()));
  }
  xdn::Session floats_in(model, one_thread(xdn::Input::kF32));
  Guarded<float> values(floats.size());
  for (const xdn::Layout layout : {xdn::Layout::kNHWC, xdn::Layout::kNCHW}) {
    Guarded<float> logits(expected.size());
    floats_in.run(values.data(), n, logits.data(), layout);
  }
}

TEST_F(ApiSession, ThreadSettingsAreKeptAndChangeNothing) {
  const std::vector<float> expected = xdn::Session(model, one_thread()).run(bytes);
  EXPECT_EQ(xdn::Session(model, one_thread()).settings().data_parallel, 1);
  xdn::SessionOptions options;
  options.batch_tile = 5;
  xdn::Session session(model, options);
  EXPECT_EQ(session.settings().batch_tile, 5);
  EXPECT_EQ(session.run(bytes), expected);
  options.model_parallel = 2;
  xdn::Session shared(model, options);
  EXPECT_EQ(shared.run(bytes), expected);
  EXPECT_LE(shared.settings().model_parallel, 2);
  options.fusion = xdn::Fusion::kOff;
  expect_near(xdn::Session(model, options).run(bytes), expected, 1e-4f);
}

TEST_F(ApiSession, BfloatIsAsAskedFor) {
  xdn::SessionOptions options = one_thread();
  options.precision = xdn::Precision::kBf16;
  xdn::Session session(model, options);
  EXPECT_EQ(session.settings().precision, "bf16");
  const std::vector<float> expected = xdn::Session(model, one_thread()).run(bytes), got = session.run(bytes);
  EXPECT_NE(got, expected);
  expect_near(got, expected, 0.05f);
}

TEST_F(ApiSession, QuantizedModelsRunInEightBits) {
  const TempDir quantized_dir;
  const std::string quantized = write_quantized_net(quantized_dir.path().string());
  const xdn::Model eight_bits = xdn::Model::load(quantized);
  EXPECT_TRUE(eight_bits.info().quantized);
  xdn::Session session(eight_bits, one_thread());
  EXPECT_EQ(session.settings().precision, "int8");
  const std::vector<float> logits = session.run(bytes);
  EXPECT_EQ(logits, executor_u8(quantized, bytes, n));
  EXPECT_EQ(session.run(to_nchw(bytes, 3, 256), xdn::Layout::kNCHW), logits);
}

TEST_F(ApiSession, ProfileCountsWhatRan) {
  xdn::Session session(model, one_thread());
  (void)session.run(bytes);
  session.start_profile();
  (void)session.run(bytes);
  const std::vector<xdn::LayerProfile> layers = session.profile();
  ASSERT_FALSE(layers.empty());
  int64_t macs = 0;
  double seconds = 0;
  for (const xdn::LayerProfile& layer : layers) {
    macs += layer.macs;
    seconds += layer.seconds;
    EXPECT_FALSE(layer.kernel.empty());
  }
  EXPECT_EQ(macs, model.info().macs);
  EXPECT_GT(seconds, 0);
  session.start_profile();
  for (const xdn::LayerProfile& layer : session.profile()) EXPECT_EQ(layer.seconds, 0);
}

TEST_F(ApiSession, OutlivesTheModelAndMoves) {
  const auto make = [&] { return xdn::Session(xdn::Model::load(path), one_thread()); };
  xdn::Session session = make();
  const std::vector<float> expected = session.run(bytes);
  std::filesystem::remove(path);
  xdn::Session moved = std::move(session);
  EXPECT_EQ(moved.run(bytes), expected);
}

TEST_F(ApiSession, WrongCallsAreErrors) {
  using xdn::ErrorCode;
  xdn::Session session(model, one_thread()), floats_in(model, one_thread(xdn::Input::kF32));
  std::vector<float> logits(n * kClasses);
  expect_error(ErrorCode::kBadArgument, "no whole images of 768",
               [&] { (void)session.run(random_bytes(kImage - 1)); });
  expect_error(ErrorCode::kBadArgument, "images is null",
               [&] { session.run(static_cast<const uint8_t*>(nullptr), 1, logits.data()); });
  expect_error(ErrorCode::kBadArgument, "logits is null", [&] { session.run(bytes.data(), 1, nullptr); });
  expect_error(ErrorCode::kBadArgument, "n is -1", [&] { session.run(bytes.data(), -1, logits.data()); });
  expect_error(ErrorCode::kBadArgument, "n is 9223372036854775807",
               [&] { session.run(bytes.data(), INT64_MAX, logits.data()); });
  expect_error(ErrorCode::kBadArgument, "layout is 2",
               [&] { session.run(bytes.data(), 1, logits.data(), static_cast<xdn::Layout>(2)); });
  expect_error(ErrorCode::kBadArgument, "takes bytes", [&] { (void)session.run(floats); });
  expect_error(ErrorCode::kBadArgument, "takes floats", [&] { (void)floats_in.run(bytes); });
  expect_error(ErrorCode::kBadArgument, "takes floats", [&] { (void)floats_in.classify("x.png"); });
  EXPECT_TRUE(session.run(std::vector<uint8_t>{}).empty());
  session.run(bytes.data(), 0, logits.data());
}

TEST_F(ApiSession, WrongOptionsAreErrors) {
  using xdn::ErrorCode;
  const auto expect = [&](ErrorCode code, const std::string& part, auto&& change) {
    xdn::SessionOptions options;
    change(options);
    expect_error(code, part, [&] { xdn::Session session(model, options); });
  };
  expect(ErrorCode::kBadArgument, "options.threads is -1", [](auto& o) { o.threads = -1; });
  expect(ErrorCode::kBadArgument, "options.batch_tile is 5000", [](auto& o) { o.batch_tile = 5000; });
  expect(ErrorCode::kBadArgument, "options.batch is -3", [](auto& o) { o.batch = -3; });
  expect(ErrorCode::kBadArgument, "options.isa is no instruction set: 'neon'",
         [](auto& o) { o.isa = "neon"; });
  expect(ErrorCode::kBadArgument, "options.precision is 9",
         [](auto& o) { o.precision = static_cast<xdn::Precision>(9); });
  expect(ErrorCode::kBadArgument, "options.fusion is -2",
         [](auto& o) { o.fusion = static_cast<xdn::Fusion>(-2); });
  expect(ErrorCode::kBadInput, "net.onnx: the model is float",
         [](auto& o) { o.precision = xdn::Precision::kInt8; });
}

TEST(ApiSessionPieces, NhwcFloatsOfManyPiecesGiveWhatTheWholeGives) {
  const TempDir dir;
  constexpr int64_t kSide = 256, kElements = 3 * kSide * kSide, n = 50;  // more than 8 Mi elements
  const std::string path = write_strided_net(dir.path().string(), kSide);
  const std::vector<float> floats = normalised(path, random_bytes(n * kElements));
  xdn::Session session(xdn::Model::load(path), one_thread(xdn::Input::kF32));
  EXPECT_EQ(session.run(to_nhwc(floats, 3, kSide * kSide), xdn::Layout::kNHWC), session.run(floats));
}

TEST(ApiTopK, OrdersAndCounts) {
  const std::vector<float> logits{1, 3, 3, -2};
  const std::vector<xdn::Answer> best = xdn::top_k(logits, 3);
  ASSERT_EQ(best.size(), 3u);
  EXPECT_EQ(best[0].label, 1);
  EXPECT_EQ(best[1].label, 2);
  EXPECT_EQ(best[2].label, 0);
  EXPECT_EQ(best[0].logit, 3);
  EXPECT_NEAR(best[0].probability, 1 / (2 + std::exp(-2.0) + std::exp(-5.0)), 1e-12);
  EXPECT_EQ(xdn::top_k(logits, 100).size(), 4u);
  EXPECT_TRUE(xdn::top_k(logits, 0).empty());
  EXPECT_TRUE(xdn::top_k({}, 5).empty());
  EXPECT_TRUE(xdn::top_k({1, NAN}, 1).empty());
  expect_error(xdn::ErrorCode::kBadArgument, "k is -1", [&] { (void)xdn::top_k(logits, -1); });
}

TEST(ApiClassify, KnowsColours) {
  const TempDir dir;
  const std::string path = write_onnx(dir.path().string());
  write_text(dir / "net.preprocess.json", color_preprocess(8));
  write_png(dir / "red.png", 8, 8, 220, 10, 20);
  write_jpeg(dir / "blue.jpg", 30, 20, 10, 20, 220);
  const xdn::Model model = xdn::Model::load(path);
  xdn::Session session(model, one_thread());
  const auto best = [&](const std::string& image) {
    return model.class_name(session.classify(image, 2).at(0).label);
  };
  EXPECT_EQ(best(dir / "red.png"), "red");
  EXPECT_EQ(best(dir / "blue.jpg"), "blue");
  EXPECT_EQ(session.classify(dir / "red.png").size(), 3u);
  expect_error(xdn::ErrorCode::kBadInput, "none.png", [&] { (void)session.classify(dir / "none.png"); });
}

/// Runs f(i) on `count` threads at once.
template <class F>
void on_threads(int count, F&& f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&f, i] { f(i); });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ApiSession, ThreadsMayShareASession) {
  xdn::Session bytes_in(model, one_thread()), floats_in(model, one_thread(xdn::Input::kF32));
  const std::vector<float> expected = bytes_in.run(bytes), of_floats = floats_in.run(floats);
  const std::vector<float> nhwc = to_nhwc(floats, 3, 256);
  on_threads(4, [&](int thread) {
    for (int round = 0; round < 10; ++round) {
      // A number of images for each thread: whoever ran between another's tiles would leave its marks.
      const auto images = static_cast<size_t>(n - thread - round);
      std::vector<uint8_t> some(bytes.begin(), bytes.begin() + static_cast<int64_t>(images * kImage));
      std::vector<float> logits = bytes_in.run(some);
      EXPECT_TRUE(std::equal(logits.begin(), logits.end(), expected.begin()));
      std::vector<float> part(nhwc.begin(), nhwc.begin() + static_cast<int64_t>(images * kImage));
      logits = floats_in.run(part, xdn::Layout::kNHWC);
      EXPECT_EQ(logits.size(), images * kClasses);
      EXPECT_TRUE(std::equal(logits.begin(), logits.end(), of_floats.begin()));
      if (thread == 0) bytes_in.start_profile();
      (void)bytes_in.profile();
    }
  });
}

TEST_F(ApiSession, ThreadsMayShareAModelAndHaveErrorsOfTheirOwn) {
  const std::vector<float> expected = xdn::Session(model, one_thread()).run(bytes);
  on_threads(4, [&](int thread) {
    xdn_model* none = nullptr;
    const std::string absent = "absent" + std::to_string(thread) + ".onnx";
    EXPECT_EQ(xdn_model_load(absent.c_str(), nullptr, &none), XDN_BAD_INPUT);
    xdn::Session session(model, one_thread());
    EXPECT_EQ(session.run(bytes), expected);
    EXPECT_EQ(model.optimized().info().outputs, kClasses);
    EXPECT_EQ(model.class_names().size(), 7u);
    EXPECT_NE(std::string(xdn_last_error()).find(absent), std::string::npos) << xdn_last_error();
  });
}

}  // namespace
