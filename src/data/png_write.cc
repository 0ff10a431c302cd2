#include <png.h>

#include <csetjmp>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/codecs.h"

namespace xdn {
namespace {

struct Encoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<uint8_t> bytes;

  Encoder() = default;
  ~Encoder() { png_destroy_write_struct(&png, &info); }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
};

[[noreturn]] void on_error(png_structp png, png_const_charp) { png_longjmp(png, 1); }
void on_warning(png_structp, png_const_charp) {}
void on_flush(png_structp) {}

/// No exception may cross libpng's frames.
bool append(Encoder& encoder, png_bytep data, size_t bytes) noexcept {
  try {
    encoder.bytes.insert(encoder.bytes.end(), data, data + bytes);
    return true;
  } catch (...) {
    return false;
  }
}
void on_write(png_structp png, png_bytep data, size_t bytes) {
  if (!append(*static_cast<Encoder*>(png_get_io_ptr(png)), data, bytes)) png_error(png, "out of memory");
}

/// Whatever has a destructor lives with the caller: libpng comes back here by longjmp.
bool write_image(Encoder& encoder, const Image& image) {
  encoder.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, on_error, on_warning);
  if (encoder.png == nullptr) return false;
  png_structp png = encoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  encoder.info = png_create_info_struct(png);
  if (encoder.info == nullptr) return false;
  png_set_write_fn(png, &encoder, on_write, on_flush);
  png_set_IHDR(png, encoder.info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, encoder.info);
  for (int64_t y = 0; y < image.height; ++y) png_write_row(png, image.rgb.data() + y * image.width * 3);
  png_write_end(png, nullptr);
  return true;
}

}  // namespace

std::vector<uint8_t> png_bytes(const Image& image) {
  XDN_CHECK(image.height > 0 && image.width > 0 && image.height <= kMaxImageSide &&
            image.width <= kMaxImageSide);
  XDN_CHECK(static_cast<int64_t>(image.rgb.size()) == image.height * image.width * 3);
  Encoder encoder;
  if (!write_image(encoder, image)) throw failure("out of memory while writing a PNG");
  return std::move(encoder.bytes);
}

}  // namespace xdn
