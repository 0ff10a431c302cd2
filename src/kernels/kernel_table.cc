#include "kernels/kernel_table.h"

#include <string_view>

#include "base/cpu.h"

namespace xdn::kernels {

#if defined(__x86_64__)
namespace {

KernelTable with_vnni() {
  KernelTable table = avx512::table();
  table.bundle = "avx512vnni";
  table.gemm[static_cast<size_t>(Arith::kI8)] = avx512vnni::family_i8();
  return table;
}

KernelTable with_bf16() {
  KernelTable table = cpu_features().avx512vnni ? with_vnni() : avx512::table();
  table.bundle = "avx512bf16";
  table.gemm[static_cast<size_t>(Arith::kBf16)] = avx512bf16::family_bf16();
  return table;
}

}  // namespace
#endif

const KernelTable* find_kernels(const char* wanted) {
  const std::string_view name = wanted;
  if (name == "ref") return &ref::table();
#if defined(__x86_64__)
  const CpuFeatures& cpu = cpu_features();
  if (name == "avx2" && cpu.avx2) return &avx2::table();
  if (name == "avx512" && cpu.avx512) return &avx512::table();
  if (name == "avx512vnni" && cpu.avx512 && cpu.avx512vnni) {
    static const KernelTable table = with_vnni();
    return &table;
  }
  if (name == "avx512bf16" && cpu.avx512 && cpu.avx512bf16) {
    static const KernelTable table = with_bf16();
    return &table;
  }
#endif
  return nullptr;
}

}  // namespace xdn::kernels
