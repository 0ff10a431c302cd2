// What this machine can do at most: multiply-accumulates per second of every bundle's arithmetics on
// registers alone, and bytes per second read from the caches and from memory, all threads at once.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "base/cpu.h"
#include "base/thread_pool.h"
#include "evaluator/bandwidth.h"
#include "kernels/kernel_table.h"

namespace {

using namespace xdn;
using nlohmann::ordered_json;

constexpr int kRounds = 7;
constexpr int64_t kLeastMemory = int64_t{512} << 20, kLeastMemoryOfThread = int64_t{64} << 20;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Units per second of all threads together, over kRounds rounds.
struct Rate {
  double median, least, most;
};

/// Does `amount` of something on one thread and returns the units done.
using Work = std::function<int64_t(int thread, int64_t amount)>;

Rate measure(ThreadPool& pool, double seconds, const Work& work) {
  std::vector<int64_t> done(static_cast<size_t>(pool.size()));
  const auto round = [&](int64_t amount) {
    const double start = now();
    pool.run([&](int thread) { done[static_cast<size_t>(thread)] = work(thread, amount); });
    return now() - start;
  };
  round(1);
  int64_t amount = 1;
  double took = round(amount);
  while (took < 0.2 * seconds / kRounds) took = round(amount *= 2);
  amount = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(amount) * seconds / kRounds / took));
  std::vector<double> rates;
  for (int i = 0; i < kRounds; ++i) {
    took = round(amount);
    int64_t units = 0;
    for (const int64_t n : done) units += n;
    rates.push_back(static_cast<double>(units) / took);
  }
  std::sort(rates.begin(), rates.end());
  return {rates[kRounds / 2], rates.front(), rates.back()};
}

/// Each thread reads its own memory over and over.
Rate read_rate(ThreadPool& pool, double seconds, int64_t bytes_per_thread) {
  const ReadStream stream(pool, bytes_per_thread);
  return measure(pool, seconds, [&](int thread, int64_t amount) {
    for (int64_t i = 0; i < amount; ++i) stream.read(thread);
    return amount * stream.bytes_per_thread();
  });
}

ordered_json report(const char* what, const Rate& rate, const char* unit) {
  fmt::print("  {:<20} {:>9.1f} {}  ({:.1f} ... {:.1f})\n", what, rate.median / 1e9, unit, rate.least / 1e9,
             rate.most / 1e9);
  return {{"median", rate.median}, {"min", rate.least}, {"max", rate.most}};
}

ordered_json peaks(ThreadPool& pool, double seconds) {
  ordered_json rows = ordered_json::array();
  constexpr const char* kArithNames[] = {"f32", "bf16", "i8"};
  for (const char* bundle : {"avx2", "avx512", "avx512vnni", "avx512bf16"}) {
    const kernels::KernelTable* table = kernels::find_kernels(bundle);
    if (table == nullptr) continue;
    for (size_t arith = 0; arith < kernels::kAriths; ++arith) {
      const kernels::GemmFamily& family = table->gemm[arith];
      if (std::string_view(family.bundle) != bundle) continue;  // another bundle's
      const std::string name = fmt::format("{} {}", bundle, kArithNames[arith]);
      const Rate rate =
          measure(pool, seconds, [&](int, int64_t amount) { return family.peak(amount * 1000); });
      rows.push_back({{"bundle", bundle},
                      {"arith", kArithNames[arith]},
                      {"mac_per_second", report(name.c_str(), rate, "GMAC/s")}});
    }
  }
  return rows;
}

/// Of buffers that fill half of a cache, or exceed all of them. A cache whose half is no more than the ones
/// below hold is left out.
ordered_json bandwidths(ThreadPool& pool, double seconds) {
  ordered_json rows = ordered_json::array();
  const int64_t threads = pool.size();
  const int64_t l1 = data_cache_bytes(1), l2 = data_cache_bytes(2), l3 = data_cache_bytes(3);
  const auto add = [&](const char* level, int64_t bytes) {
    const Rate rate = read_rate(pool, seconds, bytes);
    const std::string name = fmt::format("{}, {} KiB each", level, bytes >> 10);
    rows.push_back({{"level", level},
                    {"bytes_per_thread", bytes},
                    {"bytes_per_second", report(name.c_str(), rate, "GB/s")}});
  };
  if (l1 > 0 && l2 / 2 > 2 * l1) add("L2", l2 / 2);
  if (l2 > 0 && l3 / 2 / threads > 2 * l2) add("L3", l3 / 2 / threads);
  add("memory", std::max({kLeastMemory / threads, 4 * l3 / threads, kLeastMemoryOfThread}));
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What this machine's processor and memory can do at most.", "peak");
  int threads = available_cpus();
  double seconds = 0.7;
  std::string json_path;
  app.add_option("--threads", threads, "Threads; default: what the machine grants")
      ->check(CLI::Range(1, 4096));
  app.add_option("--seconds", seconds, "For each number")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  app.add_option("--json", json_path, "Write the results as JSON to this file");
  CLI11_PARSE(app, argc, argv);
  try {
    ThreadPool pool(threads);
    fmt::print("{}, {} thread{}; median of {} rounds (least ... most)\n", cpu_model(), threads,
               threads == 1 ? "" : "s", kRounds);
    ordered_json json;
    json["cpu"] = cpu_model();
    json["threads"] = threads;
    fmt::print("multiply-accumulates on registers\n");
    json["peaks"] = peaks(pool, seconds);
    fmt::print("reads\n");
    json["bandwidths"] = bandwidths(pool, seconds);
    if (!json_path.empty()) {
      AtomicFile file(json_path);
      file.write(json.dump(1) + "\n");
      file.commit();
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "peak: {}\n", error.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
