// Every kernel of kernels.inc against a twin written from the contract in gemm.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/gemm_block.h"
#include "kernels/gemm_problem.h"
#include "kernels/kernel_rows.h"

namespace xdn::kernels {
namespace {

using testing::elem_of;
using testing::Fill;
using testing::GemmData;
using testing::GemmProblem;
using testing::KernelRow;
using testing::kKernelRows;
using testing::Tally;
using testing::Uniform;

constexpr GemmAct kActs[] = {GemmAct::kNone, GemmAct::kRelu, GemmAct::kLeakyRelu, GemmAct::kClip};
constexpr Elem kElems[] = {Elem::kF32, Elem::kBf16, Elem::kU8};
constexpr std::optional<Elem> kResiduals[] = {std::nullopt, Elem::kF32, Elem::kBf16, Elem::kU8};

class GemmKernel : public ::testing::TestWithParam<KernelRow> {
 protected:
  void SetUp() override {
    const KernelTable* table = find_kernels(GetParam().bundle);
    if (table == nullptr) GTEST_SKIP() << "skipped: this processor lacks " << GetParam().bundle;
    family_ = &table->gemm[static_cast<size_t>(GetParam().arith)];
    ASSERT_STREQ(family_->bundle, GetParam().bundle);
    columns_ = GetParam().vectors * table->lanes;
  }

  GemmProblem problem(int64_t rows, std::vector<int64_t> words) const {
    GemmProblem p;
    p.arith = GetParam().arith;
    p.rows = rows;
    p.columns = p.stored = columns_;
    p.words = std::move(words);
    p.c = elem_of(p.arith);
    return p;
  }

  /// Products of the processor's own pairs of bf16 are added in its own way.
  bool to_the_bit() const {
    return GetParam().arith != Arith::kBf16 || std::string_view(GetParam().bundle) != "avx512bf16";
  }

  Tally check(const GemmProblem& p, uint64_t seed) const {
    GemmData data(p, seed);
    gemm_rows(*family_, GetParam().vectors, data.args(), p.rows);
    // Sums of small whole numbers are exact in any order.
    EXPECT_EQ(data.difference(to_the_bit() || p.fill == Fill::kTies), "");
    return data.tally();
  }

  const GemmFamily* family_ = nullptr;
  int64_t columns_ = 0;
};

TEST_P(GemmKernel, EveryRowCount) {
  const int vectors = GetParam().vectors, most = GetParam().most_rows;
  ASSERT_EQ(family_->most_rows[vectors - 1], most);
  ASSERT_LE(vectors, family_->most_vectors);
  for (int64_t rows = 1; rows <= 2 * most + 1; ++rows) {
    auto p = problem(rows, {7, 1, 9});
    auto seed = static_cast<uint64_t>(rows * 10);
    p.act = GemmAct::kRelu;
    check(p, ++seed);
    p.residual = p.c;
    check(p, ++seed);
    p.start = true;
    p.middle = true;
    p.residual_factor = true;
    check(p, ++seed);
    p.c = Elem::kF32;
    check(p, ++seed);
    if (HasFailure()) return;
  }
}

TEST_P(GemmKernel, EveryEpilogueAndLength) {
  uint64_t seed = 1000;
  const int64_t rows = std::min(5, GetParam().most_rows + 1);
  for (const std::vector<int64_t>& words :
       {std::vector<int64_t>{}, {1}, {2, 3}, {0, 4}, {64}, {5, 5, 5, 5, 5, 5, 5, 5, 5}}) {
    for (const GemmAct act : kActs) {
      for (const Elem c : kElems) {
        for (const auto& residual : kResiduals) {
          for (const bool middle : {false, true}) {
            auto p = problem(rows, words);
            const uint32_t coin = Uniform(++seed).bits();
            p.act = act;
            p.c = c;
            p.residual = residual;
            p.residual_factor = residual.has_value() && (coin & 4) != 0;
            p.middle = middle;
            p.start = (coin & 8) != 0;
            check(p, seed);
            if (HasFailure()) return;
          }
        }
      }
    }
  }
}

TEST_P(GemmKernel, StoresOnlyTheColumnsAsked) {
  uint64_t seed = 2000;
  for (int64_t stored = 1; stored <= columns_; ++stored) {
    for (const Elem c : kElems) {
      auto p = problem(3, {9});
      p.stored = stored;
      p.act = GemmAct::kClip;
      p.c = c;
      p.residual = kResiduals[seed % 4];
      check(p, ++seed);
      if (HasFailure()) return;
    }
  }
}

TEST_P(GemmKernel, RoundsHalfToEvenAndSaturates) {
  uint64_t seed = 3000;
  const int64_t rows = GetParam().most_rows;
  for (const Elem c : {Elem::kBf16, Elem::kU8}) {
    for (const auto& residual : kResiduals) {
      for (const bool middle : {false, true}) {
        Tally tally;
        for (const GemmAct act : kActs) {
          auto p = problem(rows, GetParam().arith == Arith::kI8 ? std::vector<int64_t>{3, 2}
                                                                : std::vector<int64_t>{13, 7});
          p.fill = Fill::kTies;
          p.c = c;
          p.act = act;
          p.residual = residual;
          p.residual_factor = residual.has_value();
          p.middle = middle;
          p.start = act == GemmAct::kRelu;
          const Tally one = check(p, ++seed);
          if (HasFailure()) return;
          tally.ties += one.ties;
          tally.middle_ties += one.middle_ties;
          tally.below += one.below;
          tally.above += one.above;
        }
        EXPECT_TRUE(tally.middle_ties > 0 || !middle) << "no ties to see";
        EXPECT_TRUE(tally.ties > 0 || (c == Elem::kBf16 && middle)) << "no ties to see";
        const bool saturates = tally.below > 0 && tally.above > 0;
        EXPECT_TRUE(saturates || c != Elem::kU8 || middle) << "no saturation to see";
      }
    }
  }
}

class IntegerKernel : public GemmKernel {};

/// Sums that fill 31 bits: products of neighbours must not be saturated to 16 bits, nor sums to 32.
TEST_P(IntegerKernel, LargestSumsAreExact) {
  for (const std::vector<int64_t>& words : {std::vector<int64_t>{1}, {16000}, {5000, 11000}}) {
    for (const Elem c : kElems) {
      auto p = problem(2, words);
      p.fill = Fill::kExtremes;
      p.c = c;
      p.start = words.size() > 1;
      check(p, 4000);
      if (HasFailure()) return;
    }
  }
}

std::string row_name(const ::testing::TestParamInfo<KernelRow>& p) {
  return std::string(p.param.bundle) + "_" + testing::name(p.param.arith) + "_" +
         std::to_string(p.param.vectors);
}

std::vector<KernelRow> integer_rows() {
  std::vector<KernelRow> rows;
  for (const KernelRow& row : kKernelRows) {
    if (row.arith == Arith::kI8) rows.push_back(row);
  }
  return rows;
}

INSTANTIATE_TEST_SUITE_P(EveryRow, GemmKernel, ::testing::ValuesIn(kKernelRows), row_name);
INSTANTIATE_TEST_SUITE_P(EveryRow, IntegerKernel, ::testing::ValuesIn(integer_rows()), row_name);

TEST(KernelTable, UnknownBundleIsNull) { EXPECT_EQ(find_kernels("avx1024"), nullptr); }

TEST(KernelTable, EveryFamilyHasKernelsForAllItsRows) {
  for (const char* name : {"ref", "avx2", "avx512", "avx512vnni", "avx512bf16"}) {
    const KernelTable* table = find_kernels(name);
    if (table == nullptr) continue;
    EXPECT_STREQ(table->bundle, name);
    for (const GemmFamily& family : table->gemm) {
      ASSERT_GE(family.most_vectors, 1) << name;
      ASSERT_LE(family.most_vectors, kMostVectors) << name;
      for (int v = 0; v < family.most_vectors; ++v) {
        ASSERT_GE(family.most_rows[v], 1) << name;
        ASSERT_LE(family.most_rows[v], kMostRows) << name;
        for (int r = 0; r < family.most_rows[v]; ++r) EXPECT_NE(family.gemm[v][r], nullptr) << name;
      }
    }
  }
}

}  // namespace
}  // namespace xdn::kernels
