#include "evaluator/peak.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/thread_pool.h"
#include "evaluator/resources.h"
#include "kernels/kernel_table.h"

namespace xdn {
namespace {

constexpr double kSeconds = 0.05, kSlice = 0.001;
constexpr int64_t kRounds = 500;  ///< between looks at the clock; some microseconds

}  // namespace

double measure_peak(Isa isa, const std::string& arith, int threads) {
  constexpr std::array kNames{"f32", "bf16", "i8"};
  const auto name = std::find(kNames.begin(), kNames.end(), arith);
  const kernels::KernelTable* table = kernels::find_kernels(isa_name(isa));
  if (name == kNames.end() || table == nullptr) return 0;
  const kernels::GemmFamily& family = table->gemm[name - kNames.begin()];
  // Each thread's best slice: others may have wanted the processor in between.
  std::vector<double> best(static_cast<size_t>(threads), 0.0);
  ThreadPool pool(threads);
  const Stopwatch watch;
  pool.run([&](int thread) {
    while (watch.seconds() < kSeconds) {
      const Stopwatch slice;
      int64_t macs = 0;
      while (slice.seconds() < kSlice) macs += family.peak(kRounds);
      double& mine = best[static_cast<size_t>(thread)];
      mine = std::max(mine, static_cast<double>(macs) / slice.seconds());
    }
  });
  return std::accumulate(best.begin(), best.end(), 0.0);
}

std::vector<std::string> missing_isas() {
  std::vector<std::string> missing;
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni, Isa::kAvx512Bf16}) {
    if (kernels::find_kernels(isa_name(isa)) == nullptr) missing.emplace_back(isa_name(isa));
  }
  return missing;
}

}  // namespace xdn
