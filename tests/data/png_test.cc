#include <zlib.h>

#include "data/data_testing.h"

namespace xdn {
namespace {

using testing::encode_png;
using testing::expect_input_error;
using testing::make_image;
using testing::PngSpec;

PngSpec spec_of(int color_type, int depth, int64_t height, int64_t width, std::vector<uint8_t> rows) {
  PngSpec spec;
  spec.color_type = color_type;
  spec.bit_depth = depth;
  spec.height = height;
  spec.width = width;
  spec.rows = std::move(rows);
  return spec;
}

TEST(Png, DecodesRgbExactly) {
  const Image image = make_image(13, 21);
  const Image back = decode_image(encode_png(image));
  EXPECT_EQ(back.height, 13);
  EXPECT_EQ(back.width, 21);
  EXPECT_EQ(back.rgb, image.rgb);
}

TEST(Png, WhatIsEncodedDecodesExactly) {
  for (const auto& [height, width] : {std::pair{13, 21}, {1, 1}, {1, 700}, {224, 224}}) {
    const Image image = make_image(height, width);
    const Image back = decode_image(to_png(image));
    EXPECT_EQ(back.height, height);
    EXPECT_EQ(back.width, width);
    EXPECT_EQ(back.rgb, image.rgb);
  }
}

TEST(Png, DecodesInterlacedExactly) {
  const Image image = make_image(13, 21);
  PngSpec spec = spec_of(2, 8, 13, 21, image.rgb);
  spec.interlaced = true;
  EXPECT_EQ(decode_image(encode_png(spec)).rgb, image.rgb);
}

TEST(Png, GrayOfEveryDepth) {
  EXPECT_EQ(decode_image(encode_png(spec_of(0, 8, 1, 2, {7, 250}))).rgb,
            (std::vector<uint8_t>{7, 7, 7, 250, 250, 250}));
  EXPECT_EQ(decode_image(encode_png(spec_of(0, 1, 1, 2, {0x40}))).rgb,
            (std::vector<uint8_t>{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(decode_image(encode_png(spec_of(0, 4, 1, 2, {0x3F}))).rgb,
            (std::vector<uint8_t>{0x33, 0x33, 0x33, 255, 255, 255}));
  EXPECT_EQ(decode_image(encode_png(spec_of(0, 16, 1, 2, {0x12, 0x12, 0xFF, 0xFF}))).rgb,
            (std::vector<uint8_t>{0x12, 0x12, 0x12, 255, 255, 255}));
}

TEST(Png, PaletteWithAndWithoutTransparency) {
  PngSpec spec = spec_of(3, 8, 1, 3, {0, 2, 1});
  spec.palette = {1, 2, 3, 40, 50, 60, 7, 8, 9};
  const std::vector<uint8_t> expected = {1, 2, 3, 7, 8, 9, 40, 50, 60};
  EXPECT_EQ(decode_image(encode_png(spec)).rgb, expected);
  spec.transparency = {0, 128, 255};
  EXPECT_EQ(decode_image(encode_png(spec)).rgb, expected);
}

TEST(Png, AlphaIsDropped) {
  EXPECT_EQ(decode_image(encode_png(spec_of(6, 8, 1, 2, {1, 2, 3, 0, 4, 5, 6, 255}))).rgb,
            (std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(decode_image(encode_png(spec_of(4, 8, 1, 2, {9, 0, 8, 77}))).rgb,
            (std::vector<uint8_t>{9, 9, 9, 8, 8, 8}));
  EXPECT_EQ(decode_image(encode_png(spec_of(6, 16, 1, 1, {10, 10, 20, 20, 30, 30, 0, 0}))).rgb,
            (std::vector<uint8_t>{10, 20, 30}));
}

TEST(Png, EveryTruncationIsAnError) {
  const std::vector<uint8_t> whole = encode_png(make_image(30, 30));
  for (size_t n = 0; n < whole.size(); n += 37) {
    expect_input_error("", [&] { decode_image(std::span(whole.data(), n)); });
  }
  for (size_t cut = 1; cut <= 12; ++cut) {
    expect_input_error("corrupt PNG data",
                       [&] { decode_image(std::span(whole.data(), whole.size() - cut)); });
  }
}

TEST(Png, EveryBitFlipIsAnError) {
  const std::vector<uint8_t> whole = encode_png(make_image(9, 9));
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::vector<uint8_t> flipped = whole;
    flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1u << (bit % 8)));
    expect_input_error("", [&] { decode_image(flipped); });
  }
}

/// Bytes 16 ... 23 of a PNG are width and height; the checksum of the chunk follows at 29.
std::vector<uint8_t> with_size(uint32_t height, uint32_t width) {
  std::vector<uint8_t> png = encode_png(make_image(4, 4));
  const auto put = [&](size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) png[at + i] = static_cast<uint8_t>(value >> (24 - 8 * i));
  };
  put(16, width);
  put(20, height);
  put(29, static_cast<uint32_t>(crc32(0, png.data() + 12, 17)));
  return png;
}

TEST(Png, SizeIsCheckedBeforeMemoryIsTaken) {
  EXPECT_EQ(decode_image(with_size(4, 4)).height, 4);
  expect_input_error("too short", [] { decode_image(with_size(9000, 9000)); });
  expect_input_error("", [] { decode_image(with_size(60000, 60000)); });
  expect_input_error("corrupt PNG", [] { decode_image(with_size(4, 70000)); });
  expect_input_error("corrupt PNG", [] { decode_image(with_size(0, 4)); });
}

}  // namespace
}  // namespace xdn
