#include <csetjmp>
#include <cstddef>
#include <cstdio>
// jpeglib.h needs size_t and FILE declared before it.
#include <jpeglib.h>

#include <cstring>
#include <string>

#include "base/error.h"
#include "data/codecs.h"

namespace xdn {
namespace {

/// Progressive files may have any number of scans over the whole image; real ones have about ten.
constexpr int kMaxScans = 100;

/// libjpeg reports errors by longjmp. No object with a destructor lives in a function that calls setjmp or
/// between it and libjpeg: the decoder's state and the pixels belong to the caller of those functions.
struct Decoder {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];

  Decoder() { std::memset(this, 0, sizeof *this); }
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

Decoder& decoder_of(j_common_ptr info) { return *static_cast<Decoder*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  Decoder& decoder = decoder_of(info);
  info->err->format_message(info, decoder.message);
  std::longjmp(decoder.jump, 1);
}

/// A negative level is a warning: damaged data that libjpeg would paint over.
void on_message(j_common_ptr info, int level) {
  if (level < 0) on_error(info);
}

void on_progress(j_common_ptr info) {
  Decoder& decoder = decoder_of(info);
  if (decoder.info.input_scan_number <= kMaxScans) return;
  std::snprintf(decoder.message, sizeof decoder.message, "more than %d scans", kMaxScans);
  std::longjmp(decoder.jump, 1);
}

bool read_header(Decoder& decoder, const uint8_t* data, size_t bytes) {
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.info.client_data = &decoder;
  decoder.errors.error_exit = on_error;
  decoder.errors.emit_message = on_message;
  decoder.progress.progress_monitor = on_progress;
  if (setjmp(decoder.jump) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.info.progress = &decoder.progress;
  jpeg_mem_src(&decoder.info, data, static_cast<unsigned long>(bytes));
  jpeg_read_header(&decoder.info, TRUE);
  return true;
}

bool read_pixels(Decoder& decoder, uint8_t* rgb) {
  if (setjmp(decoder.jump) != 0) return false;
  decoder.info.out_color_space = JCS_RGB;
  decoder.info.dct_method = JDCT_ISLOW;
  decoder.info.do_fancy_upsampling = TRUE;
  jpeg_start_decompress(&decoder.info);
  const size_t row_bytes = size_t{decoder.info.output_width} * 3;
  while (decoder.info.output_scanline < decoder.info.output_height) {
    JSAMPROW row = rgb + decoder.info.output_scanline * row_bytes;
    jpeg_read_scanlines(&decoder.info, &row, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

Error corrupt(const Decoder& decoder) {
  std::string why = printable(decoder.message);
  constexpr std::string_view kPrefix = "Corrupt JPEG data: ";
  if (why.starts_with(kPrefix)) why.erase(0, kPrefix.size());
  return input_error("corrupt JPEG data: " + why);
}

}  // namespace

Image decode_jpeg(std::span<const uint8_t> bytes) {
  Decoder decoder;
  if (!read_header(decoder, bytes.data(), bytes.size())) throw corrupt(decoder);
  switch (decoder.info.jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
    case JCS_RGB:
      break;
    case JCS_CMYK:
    case JCS_YCCK:
      throw input_error("JPEG image is CMYK, expected gray or RGB");
    default:
      throw input_error("JPEG image has an unknown colour space, expected gray or RGB");
  }
  Image image = allocate_image(decoder.info.image_height, decoder.info.image_width);
  if (!read_pixels(decoder, image.rgb.data())) throw corrupt(decoder);
  return image;
}

}  // namespace xdn
