#include "kernels/kernel_table.h"

#include <string_view>

#include "base/cpu.h"

namespace xdn::kernels {

const KernelTable* find_kernels(const char* bundle) {
  const std::string_view name = bundle;
  if (name == "ref") return &ref::table();
#if defined(__x86_64__)
  if (name == "avx2" && cpu_features().avx2) return &avx2::table();
  if (name == "avx512" && cpu_features().avx512) return &avx512::table();
#endif
  return nullptr;
}

}  // namespace xdn::kernels
