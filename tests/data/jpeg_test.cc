#include <algorithm>
#include <cmath>

#include "data/data_testing.h"

namespace xdn {
namespace {

using testing::encode_jpeg;
using testing::expect_input_error;
using testing::JpegKind;
using testing::make_image;

double mean_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.height, b.height);
  EXPECT_EQ(a.width, b.width);
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) sum += std::abs(static_cast<double>(a.rgb[i]) - b.rgb[i]);
  return sum / static_cast<double>(a.rgb.size());
}

Image smooth(int64_t height, int64_t width) { return resize_image(make_image(4, 4), height, width); }

TEST(Jpeg, DecodesBaselineAndProgressive) {
  const Image image = smooth(37, 53);
  const Image baseline = decode_image(encode_jpeg(image, JpegKind::kBaseline, 95));
  EXPECT_LT(mean_difference(image, baseline), 4);
  EXPECT_EQ(decode_image(encode_jpeg(image, JpegKind::kProgressive, 95)).rgb, baseline.rgb);
}

TEST(Jpeg, GrayBecomesThreeEqualChannels) {
  const Image gray = decode_image(encode_jpeg(smooth(9, 11), JpegKind::kGray));
  ASSERT_EQ(gray.rgb.size(), 9u * 11 * 3);
  for (size_t i = 0; i < gray.rgb.size(); i += 3) {
    EXPECT_EQ(gray.rgb[i], gray.rgb[i + 1]);
    EXPECT_EQ(gray.rgb[i], gray.rgb[i + 2]);
  }
}

TEST(Jpeg, RefusesCmyk) {
  expect_input_error("CMYK", [] { decode_image(encode_jpeg(make_image(8, 8), JpegKind::kCmyk)); });
}

TEST(Jpeg, RefusesOtherFormats) {
  expect_input_error("is empty", [] { decode_image(std::vector<uint8_t>{}); });
  expect_input_error("neither", [] { decode_image(std::vector<uint8_t>{'G', 'I', 'F', '8', '9', 'a'}); });
  expect_input_error("neither", [] { decode_image(std::vector<uint8_t>{0xFF, 0xD8}); });
}

TEST(Jpeg, NamesTheFile) {
  const testing::TempDir dir;
  testing::write_bytes(dir / "broken.jpg", std::vector<uint8_t>{0xFF, 0xD8, 0xFF, 0xE0});
  expect_input_error("broken.jpg: corrupt JPEG data", [&] { decode_image(dir / "broken.jpg"); });
  expect_input_error("missing.jpg: cannot open", [&] { decode_image(dir / "missing.jpg"); });
  expect_input_error("expected a file", [&] { decode_image(dir.path().string()); });
}

TEST(Jpeg, SizeIsCheckedBeforeMemoryIsTaken) {
  std::vector<uint8_t> jpeg = encode_jpeg(make_image(16, 16));
  // SOF0: FF C0, length, precision, height, width.
  const uint8_t sof[] = {0xFF, 0xC0};
  const auto at = std::search(jpeg.begin(), jpeg.end(), std::begin(sof), std::end(sof));
  ASSERT_NE(at, jpeg.end());
  for (int i = 5; i < 9; ++i) at[i] = 0xF0;
  expect_input_error("beyond the limit", [&] { decode_image(jpeg); });
}

TEST(Jpeg, EveryTruncationIsAnError) {
  for (const JpegKind kind : {JpegKind::kBaseline, JpegKind::kProgressive, JpegKind::kGray}) {
    const std::vector<uint8_t> whole = encode_jpeg(make_image(40, 40), kind, 75);
    for (size_t n = 0; n < whole.size(); n += 37) {
      expect_input_error("", [&] { decode_image(std::span(whole.data(), n)); });
    }
    for (size_t cut = 1; cut <= 8; ++cut) {
      expect_input_error("corrupt JPEG data",
                         [&] { decode_image(std::span(whole.data(), whole.size() - cut)); });
    }
  }
}

TEST(Jpeg, BitFlipsNeverCrash) {
  int refused = 0, accepted = 0;
  for (const JpegKind kind : {JpegKind::kBaseline, JpegKind::kProgressive}) {
    const std::vector<uint8_t> whole = encode_jpeg(make_image(24, 24), kind, 60);
    for (size_t bit = 0; bit < whole.size() * 8; bit += 5) {
      std::vector<uint8_t> flipped = whole;
      flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1u << (bit % 8)));
      try {
        const Image image = decode_image(flipped);
        EXPECT_EQ(image.rgb.size(), static_cast<size_t>(image.height * image.width * 3));
        ++accepted;
      } catch (const Error& error) {
        EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(ErrorKind::kInput)) << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(accepted, 0);
}

TEST(Jpeg, TooManyScansAreRefused) {
  std::vector<uint8_t> jpeg = encode_jpeg(make_image(16, 16), JpegKind::kProgressive);
  // The last scan, repeated: from its SOS marker to the end-of-image marker.
  const uint8_t sos[] = {0xFF, 0xDA};
  const auto at = std::find_end(jpeg.begin(), jpeg.end(), std::begin(sos), std::end(sos));
  const std::vector<uint8_t> scan(at, jpeg.end() - 2);
  std::vector<uint8_t> bomb(jpeg.begin(), jpeg.end() - 2);
  for (int i = 0; i < 300; ++i) bomb.insert(bomb.end(), scan.begin(), scan.end());
  bomb.insert(bomb.end(), {0xFF, 0xD9});
  expect_input_error("corrupt JPEG data", [&] { decode_image(bomb); });
}

}  // namespace
}  // namespace xdn
