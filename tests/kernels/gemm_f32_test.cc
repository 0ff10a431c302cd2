#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "kernels/gemm_block.h"
#include "support/guarded.h"

namespace xdn::kernels {
namespace {

using testing::GuardedFloats;
using testing::Uniform;

struct Row {
  const char* bundle;
  int vectors, most_rows;
};
constexpr Row kRows[] = {
#define XDN_GEMM_F32(bundle, vectors, rows) {#bundle, vectors, rows},
#include "kernels/kernels.inc"
};

struct Problem {
  int64_t rows, columns, store_columns;
  std::vector<int64_t> ks;
  bool residual;
  GemmAct act;
};

/// The twin, written from the contract in gemm.h alone; same order of operations, so results are equal to the
/// bit.
std::vector<float> expected(const GemmF32Args& args, int64_t rows) {
  std::vector<float> c(static_cast<size_t>(rows * args.store_columns));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < args.store_columns; ++j) {
      float sum = args.bias[j];
      for (int64_t p = 0; p < args.n_pairs; ++p) {
        const GemmPair& pair = args.pairs[p];
        for (int64_t k = 0; k < pair.k; ++k) {
          sum = std::fma(pair.a[r * pair.lda + k], pair.b[k * args.panel_columns + j], sum);
        }
      }
      if (args.residual != nullptr) sum += args.residual[r * args.ldr + j];
      if (args.act == GemmAct::kRelu) sum = sum > 0 ? sum : 0;
      if (args.act == GemmAct::kLeakyRelu) sum = sum < 0 ? sum * args.lo : sum;
      if (args.act == GemmAct::kClip) sum = std::fmin(std::fmax(sum, args.lo), args.hi);
      c[static_cast<size_t>(r * args.store_columns + j)] = sum;
    }
  }
  return c;
}

void check(const KernelTable& table, int vectors, const Problem& problem, uint64_t seed) {
  Uniform uniform(seed);
  const int64_t rows = problem.rows, columns = problem.columns, stored = problem.store_columns;
  std::vector<std::unique_ptr<GuardedFloats>> a, b;
  std::vector<GemmPair> pairs;
  for (const int64_t k : problem.ks) {
    const int64_t lda = k + uniform.between(0, 5);
    a.push_back(std::make_unique<GuardedFloats>(static_cast<size_t>((rows - 1) * lda + k)));
    b.push_back(std::make_unique<GuardedFloats>(static_cast<size_t>(k * columns)));
    for (size_t i = 0; i < a.back()->size(); ++i) (*a.back())[i] = uniform();
    for (size_t i = 0; i < b.back()->size(); ++i) (*b.back())[i] = uniform();
    pairs.push_back({a.back()->data(), b.back()->data(), k, lda});
  }
  GuardedFloats bias(static_cast<size_t>(columns));
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = uniform();
  const int64_t ldc = stored + 3, ldr = stored + 1;
  GuardedFloats c(static_cast<size_t>((rows - 1) * ldc + stored)),
      residual(static_cast<size_t>((rows - 1) * ldr + stored));
  const float untouched = 12345.0f;
  for (size_t i = 0; i < c.size(); ++i) c[i] = untouched;
  for (size_t i = 0; i < residual.size(); ++i) residual[i] = uniform();

  GemmF32Args args{};
  args.pairs = pairs.data();
  args.n_pairs = static_cast<int64_t>(pairs.size());
  args.c = c.data();
  args.ldc = ldc;
  args.bias = bias.data();
  args.residual = problem.residual ? residual.data() : nullptr;
  args.ldr = ldr;
  args.act = problem.act;
  args.lo = problem.act == GemmAct::kLeakyRelu ? 0.25f : -0.5f;
  args.hi = 0.75f;
  args.panel_columns = columns;
  args.store_columns = stored;
  const std::vector<float> want = expected(args, rows);
  gemm_f32_rows(table, vectors, args, rows);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < stored; ++j) {
      ASSERT_EQ(c[static_cast<size_t>(r * ldc + j)], want[static_cast<size_t>(r * stored + j)])
          << table.bundle << " vectors " << vectors << " rows " << rows << " row " << r << " column " << j;
    }
    for (int64_t j = stored; j < ldc && r * ldc + j < static_cast<int64_t>(c.size()); ++j) {
      ASSERT_EQ(c[static_cast<size_t>(r * ldc + j)], untouched) << "wrote beyond its columns";
    }
  }
}

class GemmF32 : public ::testing::TestWithParam<Row> {
 protected:
  void SetUp() override {
    table_ = find_kernels(GetParam().bundle);
    if (table_ == nullptr) GTEST_SKIP() << "skipped: this processor lacks " << GetParam().bundle;
  }
  const KernelTable* table_ = nullptr;
};

TEST_P(GemmF32, EqualsTwinForEveryRowCount) {
  const int vectors = GetParam().vectors;
  const int64_t columns = vectors * table_->lanes;
  ASSERT_EQ(table_->most_rows[vectors - 1], GetParam().most_rows);
  for (int64_t rows = 1; rows <= 2 * GetParam().most_rows + 1; ++rows) {
    check(*table_, vectors, {rows, columns, columns, {7, 1, 16}, rows % 2 == 0, GemmAct::kRelu},
          static_cast<uint64_t>(rows));
  }
}

TEST_P(GemmF32, EqualsTwinForEveryActivationAndLength) {
  const int vectors = GetParam().vectors;
  const int64_t columns = vectors * table_->lanes;
  uint64_t seed = 100;
  for (const GemmAct act : {GemmAct::kNone, GemmAct::kRelu, GemmAct::kLeakyRelu, GemmAct::kClip}) {
    for (const std::vector<int64_t>& ks :
         {std::vector<int64_t>{}, {1}, {2, 3}, {64}, {5, 5, 5, 5, 5, 5, 5, 5, 5}}) {
      for (const bool residual : {false, true})
        check(*table_, vectors, {5, columns, columns, ks, residual, act}, ++seed);
    }
  }
}

TEST_P(GemmF32, StoresOnlyTheColumnsAsked) {
  const int vectors = GetParam().vectors;
  const int64_t columns = vectors * table_->lanes;
  for (int64_t stored = 1; stored <= columns; ++stored) {
    check(*table_, vectors, {3, columns, stored, {9}, stored % 2 == 0, GemmAct::kClip},
          static_cast<uint64_t>(stored));
  }
}

INSTANTIATE_TEST_SUITE_P(EveryRow, GemmF32, ::testing::ValuesIn(kRows), [](const auto& p) {
  return std::string(p.param.bundle) + "_" + std::to_string(p.param.vectors);
});

TEST(KernelTable, UnknownBundleIsNull) { EXPECT_EQ(find_kernels("avx1024"), nullptr); }

}  // namespace
}  // namespace xdn::kernels
