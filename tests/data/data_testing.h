#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/dataset.h"
#include "data/image.h"
#include "support/shared_data.h"

namespace xdn::testing {

/// f throws an Error of this kind, of one line, that has `part` in it.
inline void expect_error(ErrorKind kind, const std::string& part, const std::function<void()>& f) {
  try {
    f();
    ADD_FAILURE() << "no error, expected one with: " << part;
  } catch (const Error& error) {
    const std::string line = error.what();
    EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(kind)) << line;
    EXPECT_NE(line.find(part), std::string::npos) << line << "\nexpected to hold: " << part;
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
  }
}
inline void expect_input_error(const std::string& part, const std::function<void()>& f) {
  expect_error(ErrorKind::kInput, part, f);
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}
inline void write_bytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  write_bytes(path, std::string(bytes.begin(), bytes.end()));
}
inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline std::vector<std::string> list(const std::filesystem::path& dir) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

/// A deterministic picture: gradients with some noise.
Image make_image(int64_t height, int64_t width, uint32_t seed = 1);

enum class JpegKind { kBaseline, kProgressive, kGray, kCmyk };
std::vector<uint8_t> encode_jpeg(const Image& image, JpegKind kind = JpegKind::kBaseline, int quality = 90);

/// rows hold the samples as PNG lays them out for this colour type and depth.
struct PngSpec {
  int64_t height = 0, width = 0;
  int bit_depth = 8, color_type = 2;  ///< 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGB + alpha
  bool interlaced = false;
  std::vector<uint8_t> rows;
  std::vector<uint8_t> palette;       ///< r g b ...
  std::vector<uint8_t> transparency;  ///< alpha by palette entry
};
std::vector<uint8_t> encode_png(const PngSpec& spec);
std::vector<uint8_t> encode_png(const Image& image);

/// classes x images_per_class JPEGs under dir/class_K/NNNN.jpg
void make_image_folder(const std::string& dir, int classes, int images_per_class, int64_t height = 8,
                       int64_t width = 8);

/// Images made up on the fly: byte j of image i is (7 i + j) mod 251, label i mod classes.
class SyntheticDataset : public Dataset {
 public:
  SyntheticDataset(int64_t count, int classes, int64_t height = 4, int64_t width = 5) {
    geometry_.height = height;
    geometry_.width = width;
    for (int64_t i = 0; i < count; ++i) labels_.push_back(i % classes);
    for (int c = 0; c < classes; ++c) classes_.push_back("class " + std::to_string(c));
    source_ = "synthetic";
  }
  void read(int64_t first, int64_t count, uint8_t* dst) const override {
    check_range(first, count);
    for (int64_t i = first; i < first + count; ++i) {
      if (on_read) on_read(i);
      for (int64_t j = 0; j < image_bytes(); ++j) *dst++ = byte(i, j);
    }
  }
  std::string name(int64_t i) const override { return "synthetic[" + std::to_string(i) + "]"; }

  static uint8_t byte(int64_t i, int64_t j) { return static_cast<uint8_t>((7 * i + j) % 251); }
  std::function<void(int64_t)> on_read;
};

/// The whole data set through read().
inline std::vector<uint8_t> read_all(const Dataset& dataset) {
  std::vector<uint8_t> bytes(static_cast<size_t>(dataset.size() * dataset.image_bytes()));
  dataset.read(0, dataset.size(), bytes.data());
  return bytes;
}

}  // namespace xdn::testing
