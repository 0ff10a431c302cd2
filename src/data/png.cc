#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/error.h"
#include "data/codecs.h"

namespace xdn {
namespace {

/// libpng reports errors by longjmp; as with JPEG, what has a destructor lives with the caller of the
/// functions that call setjmp.
struct Decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const uint8_t* data = nullptr;
  size_t left = 0;
  int passes = 1;
  char message[128] = "out of memory";

  Decoder() = default;
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* decoder = static_cast<Decoder*>(png_get_error_ptr(png));
  std::snprintf(decoder->message, sizeof decoder->message, "%s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep dst, size_t bytes) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
  if (bytes > decoder->left) png_error(png, "unexpected end of file");
  std::memcpy(dst, decoder->data, bytes);
  decoder->data += bytes;
  decoder->left -= bytes;
}

bool read_header(Decoder& decoder) {
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, on_error, on_warning);
  if (decoder.png == nullptr) return false;
  png_structp png = decoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  decoder.info = png_create_info_struct(png);
  if (decoder.info == nullptr) return false;
  png_set_read_fn(png, &decoder, on_read);
  png_set_user_limits(png, static_cast<png_uint_32>(kMaxImageSide), static_cast<png_uint_32>(kMaxImageSide));
  png_set_chunk_malloc_max(png, png_alloc_size_t{1} << 23);
  // Text, profiles and gamma do not change the bytes we return: skip them, and be strict about all else.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_benign_errors(png, 0);
  png_read_info(png, decoder.info);
  return true;
}

bool set_transforms(Decoder& decoder) {
  png_structp png = decoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  decoder.passes = png_set_interlace_handling(png);
  png_read_update_info(png, decoder.info);
  return true;
}

bool read_pixels(Decoder& decoder, uint8_t* rgb, png_uint_32 height, size_t row_bytes) {
  png_structp png = decoder.png;
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  for (int pass = 0; pass < decoder.passes; ++pass) {
    for (png_uint_32 y = 0; y < height; ++y) png_read_row(png, rgb + y * row_bytes, nullptr);
  }
  png_read_end(png, nullptr);
  return true;
}

Error corrupt(const Decoder& decoder) {
  return input_error("corrupt PNG data: " + printable(decoder.message));
}

}  // namespace

Image decode_png(std::span<const uint8_t> bytes) {
  Decoder decoder;
  decoder.data = bytes.data();
  decoder.left = bytes.size();
  if (!read_header(decoder)) throw corrupt(decoder);
  const png_uint_32 height = png_get_image_height(decoder.png, decoder.info);
  const png_uint_32 width = png_get_image_width(decoder.png, decoder.info);
  // Deflate cannot shrink data by more than 1032 to 1: a smaller file cannot hold the rows it promises.
  if (png_get_rowbytes(decoder.png, decoder.info) * height / 1032 > bytes.size()) {
    throw input_error("corrupt PNG data: too short for " + std::to_string(height) + "x" +
                      std::to_string(width) + " pixels");
  }
  if (!set_transforms(decoder)) throw corrupt(decoder);
  Image image = allocate_image(height, width);
  const size_t row_bytes = size_t{width} * 3;
  XDN_CHECK(png_get_rowbytes(decoder.png, decoder.info) == row_bytes);
  if (!read_pixels(decoder, image.rgb.data(), height, row_bytes)) throw corrupt(decoder);
  return image;
}

}  // namespace xdn
