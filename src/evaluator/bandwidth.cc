#include "evaluator/bandwidth.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>

#include "base/error.h"
#include "evaluator/resources.h"

namespace xdn {
namespace {

using Block = uint64_t __attribute__((vector_size(64)));
constexpr size_t kPage = 4096, kUnroll = 4;

/// Reads count blocks, a multiple of kUnroll.
#if defined(__x86_64__)
[[gnu::target_clones("avx512f", "avx2", "default")]]
#endif
void read_blocks(const Block* blocks, size_t count) {
  Block sums[kUnroll] = {};
  for (size_t i = 0; i < count; i += kUnroll) {
    for (size_t j = 0; j < kUnroll; ++j) sums[j] += blocks[i + j];
  }
  for (const Block& sum : sums) asm volatile("" : : "m"(sum));
}

}  // namespace

int64_t data_cache_bytes(int level) {
  // sysconf is wrong about some processors' third level.
  std::error_code error;
  const std::filesystem::path folder = "/sys/devices/system/cpu/cpu0/cache";
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::ifstream level_file(at->path() / "level"), type_file(at->path() / "type");
    std::ifstream size_file(at->path() / "size");
    int found = 0;
    std::string type;
    int64_t kib = 0;  // "512K"
    if (!(level_file >> found) || !(type_file >> type) || !(size_file >> kib)) continue;
    if (found == level && type != "Instruction") return kib << 10;
  }
  return 0;
}

void ReadStream::Free::operator()(void* p) const { std::free(p); }

ReadStream::ReadStream(ThreadPool& pool, int64_t bytes_per_thread)
    : blocks_(static_cast<size_t>(bytes_per_thread) / sizeof(Block) / kUnroll * kUnroll) {
  XDN_CHECK(bytes_per_thread > 0 && blocks_ > 0);
  const size_t bytes = (blocks_ * sizeof(Block) + kPage - 1) / kPage * kPage;
  for (int i = 0; i < pool.size(); ++i) {
    void* memory = std::aligned_alloc(kPage, bytes);
    if (memory == nullptr) throw std::bad_alloc();
    parts_.emplace_back(memory);
  }
  pool.run([&](int thread) {
    std::fill_n(static_cast<Block*>(parts_[static_cast<size_t>(thread)].get()), blocks_, Block{});
  });
}

void ReadStream::read(int thread) const {
  read_blocks(static_cast<const Block*>(parts_[static_cast<size_t>(thread)].get()), blocks_);
}

int64_t ReadStream::bytes_per_thread() const { return static_cast<int64_t>(blocks_ * sizeof(Block)); }

double measure_bandwidth(int threads) {
  constexpr double kSeconds = 0.1;
  constexpr int kFewest = 3;
  constexpr int64_t kLeast = int64_t{128} << 20, kMost = int64_t{1} << 30;
  ThreadPool pool(threads);
  const ReadStream stream(pool, std::clamp(4 * data_cache_bytes(3), kLeast, kMost) / threads);
  const double bytes = static_cast<double>(stream.bytes_per_thread()) * threads;
  double best = 0;
  const Stopwatch watch;
  for (int pass = 0; pass < kFewest || watch.seconds() < kSeconds; ++pass) {
    const Stopwatch one;
    pool.run([&](int thread) { stream.read(thread); });
    best = std::max(best, bytes / std::max(one.seconds(), 1e-9));
  }
  return best;
}

}  // namespace xdn
