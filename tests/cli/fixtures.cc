#include "cli/fixtures.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <vector>

// jpeglib.h needs FILE declared before it.
#include <jpeglib.h>
#include <png.h>

namespace xdn::testing {
namespace {

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

std::vector<uint8_t> noisy_pixels(int height, int width, std::array<int, 3> color) {
  std::vector<uint8_t> rgb;
  uint32_t state = 12345;
  for (int i = 0; i < height * width; ++i) {
    for (const int c : color) {
      state = state * 1664525u + 1013904223u;
      rgb.push_back(static_cast<uint8_t>(std::min(255, c + static_cast<int>(state >> 28))));
    }
  }
  return rgb;
}

}  // namespace

void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void truncate_file(const std::string& path, size_t bytes) { std::filesystem::resize_file(path, bytes); }

void flip_bit(const std::string& path, size_t byte, int bit) {
  std::string text = read_text(path);
  text.at(byte) = static_cast<char>(text.at(byte) ^ (1 << bit));
  write_text(path, text);
}

void write_png(const std::string& path, int height, int width, int red, int green, int blue) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  const std::vector<uint8_t> rgb = noisy_pixels(height, width, {red, green, blue});
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  if (png_image_write_to_file(&image, path.c_str(), 0, rgb.data(), 0, nullptr) == 0) {
    throw std::runtime_error("cannot write " + path);
  }
}

void write_jpeg(const std::string& path, int height, int width, int red, int green, int blue) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::vector<uint8_t> rgb = noisy_pixels(height, width, {red, green, blue});
  const File file(std::fopen(path.c_str(), "wb"), std::fclose);
  if (!file) throw std::runtime_error("cannot write " + path);
  jpeg_compress_struct encoder{};
  jpeg_error_mgr errors{};
  encoder.err = jpeg_std_error(&errors);
  jpeg_create_compress(&encoder);
  jpeg_stdio_dest(&encoder, file.get());
  encoder.image_width = static_cast<JDIMENSION>(width);
  encoder.image_height = static_cast<JDIMENSION>(height);
  encoder.input_components = 3;
  encoder.in_color_space = JCS_RGB;
  jpeg_set_defaults(&encoder);
  jpeg_set_quality(&encoder, 95, TRUE);
  jpeg_start_compress(&encoder, TRUE);
  while (encoder.next_scanline < encoder.image_height) {
    JSAMPROW row = rgb.data() + static_cast<size_t>(encoder.next_scanline) * static_cast<size_t>(width) * 3;
    jpeg_write_scanlines(&encoder, &row, 1);
  }
  jpeg_finish_compress(&encoder);
  jpeg_destroy_compress(&encoder);
}

void write_color_folder(const std::string& dir, int images_per_class, int side, bool jpeg) {
  for (int i = 0; i < images_per_class; ++i) {
    const std::string name = "/" + std::to_string(i) + (jpeg ? ".jpg" : ".png");
    const int bright = 200 + 10 * (i % 4);
    const auto write = jpeg ? write_jpeg : write_png;
    write(dir + "/blue" + name, side, side, 10, 20, bright);
    write(dir + "/green" + name, side, side, 20, bright, 10);
    write(dir + "/red" + name, side, side, bright, 10, 20);
  }
}

}  // namespace xdn::testing
