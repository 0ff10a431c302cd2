#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "support/shared_data.h"

namespace xdn::testing {

void write_text(const std::string& path, const std::string& text);
std::string read_text(const std::string& path);

/// Keeps the first `bytes` bytes of a file.
void truncate_file(const std::string& path, size_t bytes);
/// Flips one bit.
void flip_bit(const std::string& path, size_t byte, int bit = 0);

/// height x width pixels of one colour, with a little deterministic noise (less than 16).
void write_png(const std::string& path, int height, int width, int red, int green, int blue);
void write_jpeg(const std::string& path, int height, int width, int red, int green, int blue);

/// dir/{blue,green,red}/{0..n-1}.png or .jpg: pure colours of side x side.
void write_color_folder(const std::string& dir, int images_per_class = 3, int side = 8, bool jpeg = false);

}  // namespace xdn::testing
