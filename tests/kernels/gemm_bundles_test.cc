// The same layer through every bundle and panel width: the same bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/gemm_block.h"
#include "kernels/gemm_problem.h"
#include "kernels/kernel_rows.h"

namespace xdn::kernels {
namespace {

using testing::elem_of;
using testing::KernelRow;
using testing::kKernelRows;
using testing::Uniform;

constexpr int64_t kRows = 29, kWords = 21, kColumns = 75;

/// Rows of words by words of columns, and an epilogue, in bytes and numbers that know nothing of panels.
struct Layer {
  explicit Layer(Arith which) : arith(which), per_word(4 / elem_bytes(elem_of(which))) {
    Uniform uniform(7);
    const Elem elem = elem_of(arith);
    a.resize(kRows * kWords * 4);
    b.resize(kWords * kColumns * 4);
    for (int64_t i = 0; i < kRows * kWords * per_word; ++i) {
      testing::store_elem(elem, a.data(), i,
                          elem == Elem::kU8 ? static_cast<float>(i * 37 % 256) : uniform());
    }
    for (int64_t i = 0; i < kWords * kColumns * per_word; ++i) {
      testing::store_elem(elem, b.data(), i,
                          elem == Elem::kU8 ? static_cast<float>(i * 91 % 256) : uniform());
    }
    for (int64_t j = 0; j < kColumns; ++j) {
      bias.push_back(elem == Elem::kU8 ? 128 : uniform());
      scale.push_back(0.0007f * (2 + uniform()));
      start.push_back(static_cast<int32_t>(uniform.between(-5000, 5000)));
    }
  }

  Arith arith;
  int64_t per_word;
  std::vector<uint8_t> a, b;
  std::vector<float> bias, scale;
  std::vector<int32_t> start;
};

std::vector<uint8_t> run(const Layer& layer, const GemmFamily& family, int vectors, int64_t columns,
                         Elem c_elem) {
  const int64_t c_bytes = elem_bytes(c_elem);
  std::vector<uint8_t> c(static_cast<size_t>(kRows * kColumns * c_bytes));
  for (int64_t first = 0; first < kColumns; first += columns) {
    const int64_t stored = std::min(columns, kColumns - first);
    std::vector<uint8_t> panel(static_cast<size_t>(kWords * columns * 4));
    for (int64_t k = 0; k < kWords; ++k) {
      std::copy_n(layer.b.data() + (k * kColumns + first) * 4, stored * 4, panel.data() + k * columns * 4);
    }
    std::vector<float> bias(static_cast<size_t>(columns)), scale(bias);
    std::vector<int32_t> start(static_cast<size_t>(columns));
    std::copy_n(layer.bias.data() + first, stored, bias.data());
    std::copy_n(layer.scale.data() + first, stored, scale.data());
    std::copy_n(layer.start.data() + first, stored, start.data());
    const GemmPair pair{layer.a.data(), panel.data(), kWords, kWords * 4};
    GemmArgs args{};
    args.pairs = &pair;
    args.n_pairs = 1;
    args.panel_columns = columns;
    args.store_columns = stored;
    args.c = c.data() + first * c_bytes;
    args.ldc = kColumns * c_bytes;
    args.c_elem = c_elem;
    args.bias = bias.data();
    if (layer.arith == Arith::kI8) {
      args.scale = scale.data();
      args.start = start.data();
    }
    args.c_scale = 60;
    args.c_shift = 110.5f;
    args.act = GemmAct::kRelu;
    gemm_rows(family, vectors, args, kRows);
  }
  return c;
}

class Bundles : public ::testing::TestWithParam<Arith> {};

TEST_P(Bundles, GiveTheSameBytesAtEveryWidth) {
  const Layer layer(GetParam());
  for (const Elem c : {Elem::kF32, Elem::kBf16, Elem::kU8}) {
    std::vector<uint8_t> want;
    for (const KernelRow& row : kKernelRows) {
      const bool own_order = row.arith == Arith::kBf16 && std::string_view(row.bundle) == "avx512bf16";
      const KernelTable* table = find_kernels(row.bundle);
      if (row.arith != GetParam() || own_order || table == nullptr) continue;
      const GemmFamily& family = table->gemm[static_cast<size_t>(row.arith)];
      const auto got = run(layer, family, row.vectors, row.vectors * table->lanes, c);
      if (want.empty()) want = got;
      EXPECT_TRUE(got == want) << row.bundle << ", " << row.vectors << " vectors, to " << testing::name(c);
    }
    EXPECT_GT(std::count_if(want.begin(), want.end(), [](uint8_t byte) { return byte != 0 && byte != 255; }),
              kRows * kColumns / 4);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryArith, Bundles, ::testing::Values(Arith::kF32, Arith::kBf16, Arith::kI8),
                         [](const auto& p) { return std::string(testing::name(p.param)); });

}  // namespace
}  // namespace xdn::kernels
