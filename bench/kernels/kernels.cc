// Every GEMM row of kernels.inc over the shapes of real networks: bench/shapes/*.txt, one problem per line,
// "rows k oc pairs", k in elements. Rates are multiply-accumulates per second of one thread.
//
//   build/release/bench/kernels/kernels              every row, every shape file
//   kernels --benchmark_filter='avx512/f32/4/'   four vectors of avx512's f32
//   kernels --benchmark_filter='/i8/'            every bundle's i8
//   kernels --benchmark_filter=aliasing          why rows are padded (docs/executor.md)
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "executor/plan.h"
#include "kernels/gemm_block.h"

namespace {

using namespace xdn;
using namespace xdn::kernels;

struct Row {
  const char* arith;
  const char* bundle;
  int vectors;
};
constexpr Row kRows[] = {
#define XDN_GEMM(arith, bundle, vectors, rows) {#arith, #bundle, vectors},
#include "kernels/kernels.inc"
};

Arith arith_of(const Row& row) {
  const std::string name = row.arith;
  return name == "f32" ? Arith::kF32 : name == "bf16" ? Arith::kBf16 : Arith::kI8;
}

Elem elem_of(const Row& row) {
  const Arith arith = arith_of(row);
  return arith == Arith::kF32 ? Elem::kF32 : arith == Arith::kBf16 ? Elem::kBf16 : Elem::kU8;
}

struct Shape {
  int64_t rows, k, oc, pairs;
};

Tensor zeros(int64_t words) { return Tensor(DType::kF32, {words}); }

/// One layer: all panels of oc over all rows, `pairs` taps of k channels each, rows of a `ld` elements apart.
void gemm(benchmark::State& state, Row row, Shape shape, int64_t ld) {
  const KernelTable* table = find_kernels(row.bundle);
  if (table == nullptr) {
    state.SkipWithError("this processor lacks the bundle");
    return;
  }
  const GemmFamily& family = table->gemm[static_cast<size_t>(arith_of(row))];
  const Elem elem = elem_of(row);
  const int64_t bytes = elem_bytes(elem), words = (shape.k * bytes + 3) / 4;
  const int64_t columns = row.vectors * table->lanes;
  const int64_t panels = (shape.oc + columns - 1) / columns;
  const int64_t lda = ld * bytes, ldc = padded_row(panels * columns, elem) * bytes;
  Tensor a = zeros(shape.pairs * shape.rows * lda / 4), b = zeros(panels * shape.pairs * words * columns);
  Tensor c = zeros(shape.rows * ldc / 4), bias = zeros(columns), scale = zeros(columns);
  const char* const src = static_cast<const char*>(a.mutable_raw());
  const char* const weights = static_cast<const char*>(b.mutable_raw());
  char* const dst = static_cast<char*>(c.mutable_raw());
  std::vector<GemmPair> pairs(static_cast<size_t>(shape.pairs));
  for (auto unused : state) {
    (void)unused;
    for (int64_t panel = 0; panel < panels; ++panel) {
      for (int64_t p = 0; p < shape.pairs; ++p) {
        pairs[static_cast<size_t>(p)] = {src + p * shape.rows * lda,
                                         weights + (panel * shape.pairs + p) * words * columns * 4, words,
                                         lda};
      }
      GemmArgs args{};
      args.pairs = pairs.data();
      args.n_pairs = shape.pairs;
      args.c = dst + panel * columns * bytes;
      args.ldc = ldc;
      args.c_elem = elem;
      args.bias = bias.data<float>().data();
      if (elem == Elem::kU8) args.scale = scale.data<float>().data();
      args.act = GemmAct::kRelu;
      args.panel_columns = args.store_columns = columns;
      gemm_rows(family, row.vectors, args, shape.rows);
    }
    benchmark::ClobberMemory();
  }
  state.counters["MAC/s"] =
      benchmark::Counter(static_cast<double>(shape.rows * shape.k * shape.oc * shape.pairs),
                         benchmark::Counter::kIsIterationInvariantRate);
}

std::string label(const Row& row, const std::string& set, const Shape& s) {
  return std::string(row.bundle) + "/" + row.arith + "/" + std::to_string(row.vectors) + "/" + set + "/" +
         std::to_string(s.rows) + "x" + std::to_string(s.k) + "x" + std::to_string(s.oc) + "x" +
         std::to_string(s.pairs);
}

void register_shapes(const std::filesystem::path& file) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    Shape shape{};
    if (line.empty() || line[0] == '#' || !(words >> shape.rows >> shape.k >> shape.oc >> shape.pairs))
      continue;
    for (const Row& row : kRows) {
      if (std::string(row.bundle) == "ref") continue;
      benchmark::RegisterBenchmark(
          label(row, file.stem().string(), shape).c_str(),
          [=](benchmark::State& state) { gemm(state, row, shape, padded_row(shape.k, elem_of(row))); });
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path folder = XDN_SHAPES;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") register_shapes(entry.path());
  }
  for (const int64_t pad : {0, 16}) {
    const Shape shape{96, 1024, 256, 1};
    const Row row{"f32", "avx512", 2};
    benchmark::RegisterBenchmark(("aliasing/ld_" + std::to_string(shape.k + pad)).c_str(),
                                 [=](benchmark::State& state) { gemm(state, row, shape, shape.k + pad); });
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return EXIT_FAILURE;
  benchmark::RunSpecifiedBenchmarks();
  return EXIT_SUCCESS;
}
