#include <algorithm>
#include <cmath>

#include "data/data_testing.h"

namespace xdn {
namespace {

using testing::expect_input_error;
using testing::make_image;

/// The same filter in double, without rounding between the passes.
std::vector<double> reference(const Image& image, int64_t height, int64_t width) {
  const auto weights = [](int64_t src, int64_t dst, int64_t d) {
    const double scale = static_cast<double>(src) / static_cast<double>(dst);
    const double reach = std::max(1.0, scale), centre = (static_cast<double>(d) + 0.5) * scale;
    std::vector<double> w(static_cast<size_t>(src));
    double total = 0;
    for (int64_t s = 0; s < src; ++s) {
      double& value = w[static_cast<size_t>(s)];
      value = std::max(0.0, 1 - std::abs(static_cast<double>(s) + 0.5 - centre) / reach);
      total += value;
    }
    for (double& value : w) value /= total;
    return w;
  };
  std::vector<double> out;
  for (int64_t y = 0; y < height; ++y) {
    const auto rows = weights(image.height, height, y);
    for (int64_t x = 0; x < width; ++x) {
      const auto columns = weights(image.width, width, x);
      for (size_t c = 0; c < 3; ++c) {
        double sum = 0;
        for (size_t sy = 0; sy < rows.size(); ++sy) {
          for (size_t sx = 0; sx < columns.size(); ++sx) {
            sum += rows[sy] * columns[sx] * image.rgb[(sy * columns.size() + sx) * 3 + c];
          }
        }
        out.push_back(sum);
      }
    }
  }
  return out;
}

TEST(Resize, MatchesTheFilterInDouble) {
  const Image image = make_image(23, 31);
  const std::pair<int64_t, int64_t> sizes[] = {{23, 31}, {46, 62}, {11, 15}, {5, 80},
                                               {64, 3},  {1, 1},   {24, 30}};
  for (const auto& [height, width] : sizes) {
    const Image resized = resize_image(image, height, width);
    const std::vector<double> expected = reference(image, height, width);
    ASSERT_EQ(resized.rgb.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      // Half a level of rounding at the end, 2^-9 between the passes, and 2^-17 for each weight.
      EXPECT_NEAR(resized.rgb[i], expected[i], 0.52) << height << "x" << width << " at " << i;
    }
  }
}

TEST(Resize, SameSizeIsTheIdentity) {
  const Image image = make_image(7, 9);
  EXPECT_EQ(resize_image(image, 7, 9).rgb, image.rgb);
  EXPECT_NE(resize_image(image, 7, 10).rgb.size(), image.rgb.size());
}

TEST(Resize, FlatStaysFlat) {
  for (const int level : {0, 1, 127, 254, 255}) {
    Image image = make_image(50, 70);
    std::fill(image.rgb.begin(), image.rgb.end(), static_cast<uint8_t>(level));
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{3, 200}, {111, 7}, {1, 1}, {49, 71}}) {
      const Image resized = resize_image(image, height, width);
      EXPECT_TRUE(std::all_of(resized.rgb.begin(), resized.rgb.end(), [&](uint8_t v) { return v == level; }));
    }
  }
}

TEST(Resize, KnownValues) {
  Image image;
  image.height = 1;
  image.width = 2;
  image.rgb = {0, 0, 0, 100, 200, 40};
  // Enlarging to 4: centres at 0.25, 0.75, 1.25, 1.75 source pixels; quarter and three-quarter mixes between.
  EXPECT_EQ(resize_image(image, 1, 4).rgb,
            (std::vector<uint8_t>{0, 0, 0, 25, 50, 10, 75, 150, 30, 100, 200, 40}));
  EXPECT_EQ(resize_image(image, 1, 1).rgb, (std::vector<uint8_t>{50, 100, 20}));
}

TEST(Resize, ExtremeShapes) {
  Image tall = make_image(60000, 1);
  EXPECT_EQ(resize_image(tall, 1, 60000).rgb.size(), 180000u);
  expect_input_error("beyond the limit", [&] { resize_image(tall, 60000, 60000); });
  expect_input_error("beyond the limit", [&] { resize_image(tall, 100000, 1); });
  expect_input_error("beyond the limit", [&] { resize_image(tall, 0, 5); });
}

TEST(Crop, TakesTheMiddle) {
  const Image image = make_image(5, 8);
  const Image crop = centre_crop(image, 2, 3);
  for (int64_t y = 0; y < 2; ++y) {
    for (int64_t x = 0; x < 3; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        EXPECT_EQ(crop.rgb[static_cast<size_t>((y * 3 + x) * 3 + c)],
                  image.rgb[static_cast<size_t>(((y + 1) * 8 + x + 2) * 3 + c)]);
      }
    }
  }
  expect_input_error("smaller than the crop of 6x8", [&] { centre_crop(image, 6, 8); });
}

TEST(Fit, ResizesTheShorterSideThenCrops) {
  const auto size = [](const Geometry& geometry) {
    const Image image = fit_image(make_image(30, 50), geometry);
    return std::pair(image.height, image.width);
  };
  using Size = std::pair<int64_t, int64_t>;
  EXPECT_EQ(size({}), Size(30, 50));
  EXPECT_EQ(size({.resize = 15}), Size(15, 25));
  EXPECT_EQ(size({.resize = 16}), Size(16, 26));
  EXPECT_EQ(size({.resize = 16, .crop = 12}), Size(12, 12));
  EXPECT_EQ(size({.crop = 12}), Size(12, 12));
  EXPECT_EQ(size({.height = 9, .width = 8}), Size(9, 8));
  EXPECT_EQ(size({.resize = 16, .crop = 16, .height = 16, .width = 16}), Size(16, 16));
  expect_input_error("is 16x26 after resize and crop, expected 16x16",
                     [&] { size({.resize = 16, .height = 16, .width = 16}); });
  expect_input_error("smaller than the crop", [&] { size({.crop = 31}); });
}

TEST(Fit, RefusesContradictions) {
  expect_input_error("both height and width", [] { check_geometry({.height = 3}); });
  expect_input_error("not from 0", [] { check_geometry({.resize = -1}); });
  expect_input_error("not from 0", [] { check_geometry({.crop = 70000}); });
  expect_input_error("larger than resize", [] { check_geometry({.resize = 5, .crop = 6}); });
  expect_input_error("expected size", [] { check_geometry({.crop = 6, .height = 6, .width = 7}); });
}

}  // namespace
}  // namespace xdn
