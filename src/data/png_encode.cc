#include <png.h>

#include <csetjmp>
#include <new>
#include <utility>

#include "base/error.h"
#include "data/image.h"

namespace xdn {
namespace {

/// As in the decoder: what has a destructor lives outside the function that calls setjmp.
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

void on_write(png_structp png, png_bytep src, size_t count) {
  auto* encoder = static_cast<Encoder*>(png_get_io_ptr(png));
  try {
    encoder->bytes.insert(encoder->bytes.end(), src, src + count);
    return;
  } catch (const std::bad_alloc&) {
    // C frames lie between here and the caller: reported as libpng reports its own.
  }
  png_error(png, "out of memory");
}

void on_flush(png_structp) {}

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
  const auto row_bytes = static_cast<size_t>(image.width) * 3;
  for (size_t y = 0; y < static_cast<size_t>(image.height); ++y) {
    png_write_row(png, image.rgb.data() + y * row_bytes);
  }
  png_write_end(png, encoder.info);
  return true;
}

}  // namespace

std::vector<uint8_t> to_png(const Image& image) {
  XDN_CHECK(image.height >= 1 && image.height <= kMaxImageSide && image.width >= 1 &&
            image.width <= kMaxImageSide && image.height * image.width <= kMaxImagePixels);
  XDN_CHECK(image.rgb.size() == static_cast<size_t>(image.height * image.width * 3));
  Encoder encoder;
  if (!write_image(encoder, image)) throw failure("cannot encode a PNG: out of memory");
  return std::move(encoder.bytes);
}

}  // namespace xdn
