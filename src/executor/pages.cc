#include "executor/pages.h"

#include <sys/mman.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/tensor.h"

namespace xdn {

void FreePages::operator()(std::byte* p) const {
  if (mapped > 0) {
    munmap(p, mapped);
  } else {
    std::free(p);
  }
}

PageBytes allocate_pages(int64_t bytes, bool huge_pages) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const auto wanted = static_cast<size_t>(bytes);
  if (wanted < kHugePage) return {allocate_aligned(wanted, 64, false).release(), FreePages{}};
  const size_t size = (wanted + kHugePage - 1) / kHugePage * kHugePage;
  void* mapped = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw failure("out of memory: " + std::to_string(bytes) + " bytes");
  const auto base = static_cast<std::byte*>(mapped);
  const size_t head = (kHugePage - reinterpret_cast<uintptr_t>(base) % kHugePage) % kHugePage;
  if (head > 0) munmap(base, head);
  munmap(base + head + size, kHugePage - head);
  (void)madvise(base + head, size, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return {base + head, FreePages{size}};
}

}  // namespace xdn
