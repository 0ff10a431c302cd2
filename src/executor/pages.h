#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace xdn {

struct FreePages {
  size_t mapped = 0;  ///< bytes; 0: of the allocator
  void operator()(std::byte* p) const;
};
using PageBytes = std::unique_ptr<std::byte[], FreePages>;

/// Not initialised, at least 64-byte aligned. From 2 MiB on pages of its own, 2 MiB aligned, for which huge
/// ones are asked, or refused: advice on the allocator's memory would outlive its owner. Failure where there
/// is no memory.
PageBytes allocate_pages(int64_t bytes, bool huge_pages);

}  // namespace xdn
