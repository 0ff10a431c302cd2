#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/elements.h"
#include "kernels/kernel_table.h"
#include "support/guarded.h"

namespace xdn::testing {

using Row = std::unique_ptr<GuardedBytes>;

inline Row make_row(Elem elem, int64_t count) {
  return std::make_unique<GuardedBytes>(static_cast<size_t>(count * kernels::elem_bytes(elem)));
}

/// Floats in [-4, 4) or any bytes.
inline Row random_row(Elem elem, int64_t count, uint64_t seed) {
  Row row = make_row(elem, count);
  Uniform uniform(seed);
  for (int64_t i = 0; i < count; ++i) {
    const float value = elem == Elem::kU8 ? static_cast<float>(uniform.between(0, 255)) : uniform() * 4;
    store_elem(elem, row->data(), i, value);
  }
  return row;
}

/// The index of the first element that differs from f(index), or -1.
template <class F>
int64_t first_difference(Elem elem, GuardedBytes& got, F&& f) {
  const int64_t bytes = kernels::elem_bytes(elem);
  for (int64_t i = 0; i < static_cast<int64_t>(got.size()) / bytes; ++i) {
    uint8_t want[4];
    store_elem(elem, want, 0, f(i));
    if (std::memcmp(want, got.data() + i * bytes, static_cast<size_t>(bytes)) != 0) return i;
  }
  return -1;
}

inline constexpr Elem kElems[] = {Elem::kF32, Elem::kBf16, Elem::kU8};

/// Lengths around every vector width and its multiples, and around a chunk of bytes.
inline constexpr int64_t kLengths[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 255, 257, 513};

class EveryBundle : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    table_ = kernels::find_kernels(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << "skipped: this processor lacks " << GetParam();
  }
  const kernels::KernelTable* table_ = nullptr;
};

#define XDN_INSTANTIATE_EVERY_BUNDLE(suite)                                                        \
  INSTANTIATE_TEST_SUITE_P(EveryBundle, suite,                                                     \
                           ::testing::Values("ref", "avx2", "avx512", "avx512vnni", "avx512bf16"), \
                           [](const auto& p) { return std::string(p.param); })

}  // namespace xdn::testing
