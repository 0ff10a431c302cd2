#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/cpu.h"
#include "executor/executor.h"
#include "executor/reference.h"
#include "support/guarded.h"

namespace xdn::testing {

inline std::vector<float> random_input(const Graph& graph, int64_t n, uint64_t seed) {
  const Dims& shape = graph.value(graph.inputs()[0]).shape;
  std::vector<float> out(static_cast<size_t>(n * shape[1] * shape[2] * shape[3]));
  Uniform uniform(seed);
  for (float& x : out) x = uniform();
  return out;
}

/// What the graph means, node by node.
inline std::vector<float> oracle(const Graph& graph, const std::vector<float>& input, int64_t n) {
  Dims dims = graph.value(graph.inputs()[0]).shape;
  dims[0] = n;
  const Tensor x = Tensor::of(dims, input);
  const std::vector<Tensor> out = run_reference(graph, std::span(&x, 1));
  return {out[0].data<float>().begin(), out[0].data<float>().end()};
}

inline std::vector<float> run(Executor& executor, const std::vector<float>& input, int64_t n) {
  std::vector<float> out(static_cast<size_t>(n * executor.output_size()));
  executor.run_f32(input.data(), n, out.data());
  return out;
}

inline std::vector<float> run(const Graph& graph, const ExecOptions& options, const std::vector<float>& input,
                              int64_t n) {
  Executor executor(graph, options);
  return run(executor, input, n);
}

/// Those that this processor has, "ref" included.
inline std::vector<Isa> present_isas() {
  const CpuFeatures& cpu = cpu_features();
  std::vector<Isa> out{Isa::kRef};
  if (cpu.avx2) out.push_back(Isa::kAvx2);
  if (cpu.avx512) out.push_back(Isa::kAvx512);
  if (cpu.avx512vnni) out.push_back(Isa::kAvx512Vnni);
  if (cpu.avx512bf16) out.push_back(Isa::kAvx512Bf16);
  return out;
}

inline float largest_of(const std::vector<float>& values) {
  float largest = 0;
  for (const float x : values) largest = std::max(largest, std::fabs(x));
  return largest;
}

/// Every element of `got` is within `most` of the one of `want`.
inline void expect_within(const std::vector<float>& got, const std::vector<float>& want, float most) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(std::fabs(got[i] - want[i]) <= most)
        << "element " << i << ": " << got[i] << " instead of " << want[i] << ", tolerance " << most;
  }
}

/// The options' plan gives the same bytes for every split of two threads, tile and batch, as `first` holds
/// them for the first images of `input`.
inline void expect_same_bytes(const Graph& graph, ExecOptions options, const std::vector<float>& input,
                              const std::vector<float>& first) {
  std::set<std::pair<int, int>> splits;  // where there is one processor, all are one
  for (const int dp : {1, 2}) {
    for (const int mp : {1, 2}) {
      options.threads = dp * mp;
      options.data_parallel = dp;
      options.model_parallel = mp;
      const ExecSettings settings = Executor(graph, options).settings();
      if (!splits.emplace(settings.data_parallel, settings.model_parallel).second) continue;
      for (const int tile : {1, 3, 8}) {
        options.batch_tile = tile;
        Executor executor(graph, options);
        for (const int64_t n : {1, 2, 7, 20}) {
          const std::vector<float> got = run(executor, input, n);
          ASSERT_TRUE(std::memcmp(got.data(), first.data(), got.size() * sizeof(float)) == 0)
              << isa_name(executor.settings().isa) << " dp " << dp << " mp " << mp << " tile " << tile
              << " batch " << n;
        }
      }
    }
  }
}

}  // namespace xdn::testing
