#include "data/data_testing.h"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
// jpeglib.h needs size_t and FILE declared before it.
#include <jpeglib.h>
#include <png.h>

namespace xdn::testing {

Image make_image(int64_t height, int64_t width, uint32_t seed) {
  Image image;
  image.height = height;
  image.width = width;
  uint32_t state = seed * 2654435761u + 12345u;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        state = state * 1664525u + 1013904223u;
        const int64_t value = (y * 5 * (c + 1) + x * 3 + static_cast<int64_t>(seed) * 17) % 200 +
                              static_cast<int64_t>(state >> 27);
        image.rgb.push_back(static_cast<uint8_t>(value));
      }
    }
  }
  return image;
}

std::vector<uint8_t> encode_jpeg(const Image& image, JpegKind kind, int quality) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long bytes = 0;
  jpeg_mem_dest(&info, &out, &bytes);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.image_width = static_cast<JDIMENSION>(image.width);
  const int components = kind == JpegKind::kGray ? 1 : kind == JpegKind::kCmyk ? 4 : 3;
  info.input_components = components;
  info.in_color_space = components == 1 ? JCS_GRAYSCALE : components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  if (kind == JpegKind::kProgressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> row(static_cast<size_t>(image.width * components));
  while (info.next_scanline < info.image_height) {
    const uint8_t* src = image.rgb.data() + size_t{info.next_scanline} * static_cast<size_t>(image.width) * 3;
    for (int64_t x = 0; x < image.width; ++x) {
      for (int c = 0; c < components; ++c) row[static_cast<size_t>(x * components + c)] = src[3 * x + c % 3];
    }
    JSAMPROW pointer = row.data();
    jpeg_write_scanlines(&info, &pointer, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::vector<uint8_t> result(out, out + bytes);
  std::free(out);
  return result;
}

std::vector<uint8_t> encode_png(const PngSpec& spec) {
  std::vector<uint8_t> out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp writer, png_bytep data, size_t bytes) {
        auto* sink = static_cast<std::vector<uint8_t>*>(png_get_io_ptr(writer));
        sink->insert(sink->end(), data, data + bytes);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(spec.width), static_cast<png_uint_32>(spec.height),
               spec.bit_depth, spec.color_type, spec.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> palette;
  for (size_t i = 0; i + 2 < spec.palette.size(); i += 3) {
    palette.push_back({spec.palette[i], spec.palette[i + 1], spec.palette[i + 2]});
  }
  if (!palette.empty()) png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  if (!spec.transparency.empty()) {
    png_set_tRNS(png, info, spec.transparency.data(), static_cast<int>(spec.transparency.size()), nullptr);
  }
  png_write_info(png, info);
  std::vector<uint8_t> rows = spec.rows;
  const size_t stride = rows.size() / static_cast<size_t>(spec.height);
  std::vector<png_bytep> pointers;
  for (int64_t y = 0; y < spec.height; ++y) pointers.push_back(rows.data() + static_cast<size_t>(y) * stride);
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

std::vector<uint8_t> encode_png(const Image& image) {
  PngSpec spec;
  spec.height = image.height;
  spec.width = image.width;
  spec.rows = image.rgb;
  return encode_png(spec);
}

void make_image_folder(const std::string& dir, int classes, int images_per_class, int64_t height,
                       int64_t width) {
  for (int c = 0; c < classes; ++c) {
    for (int i = 0; i < images_per_class; ++i) {
      char name[48];
      std::snprintf(name, sizeof name, "/class_%d/%04d.jpg", c, i);
      write_bytes(dir + name, encode_jpeg(make_image(height, width, static_cast<uint32_t>(100 * c + i))));
    }
  }
}

}  // namespace xdn::testing
