#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/tensor.h"

namespace xdn {

/// What a .npy file says of itself. Elements are little-endian and in C order, from byte data_offset on.
struct NpyHeader {
  DType dtype = DType::kF32;
  Dims dims;
  size_t data_offset = 0;
};

/// Magic, version (1.0, 2.0, 3.0) and the header dictionary; `file` holds the beginning of a file, at least
/// up to the data (kMaxNpyHeader bytes always suffice). Input error on anything but C order, numbers of at
/// most 8 bytes and a shape that element_count accepts.
NpyHeader parse_npy_header(std::span<const char> file);
inline constexpr size_t kMaxNpyHeader = size_t{1} << 16;

/// A version 1.0 header, padded with spaces so that the data starts at a multiple of `alignment`.
std::string npy_header(DType dtype, const Dims& dims, size_t alignment = 64);
inline constexpr size_t kNpyPage = 4096;

/// The whole file as a tensor. The file must end where the data ends.
Tensor read_npy(const std::string& path);
/// Appears whole or not at all. page_aligned: the data starts on a page, for mmap().
void write_npy(const std::string& path, const Tensor& tensor, bool page_aligned = false);

}  // namespace xdn
