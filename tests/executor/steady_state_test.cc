// Counts calls of the allocator, of every thread, while plans run.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "executor/plan_support.h"
#include "support/qdq.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define XDN_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define XDN_SANITIZED
#endif
#endif
#if defined(__GLIBC__) && !defined(XDN_SANITIZED)
#define XDN_COUNTS_ALLOCATIONS
#endif

namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
}  // namespace

#ifdef XDN_COUNTS_ALLOCATIONS
extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* old, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* block);

static void count() {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
}
void* malloc(size_t bytes) {
  count();
  return __libc_malloc(bytes);
}
void* calloc(size_t n, size_t bytes) {
  count();
  return __libc_calloc(n, bytes);
}
void* realloc(void* old, size_t bytes) {
  count();
  return __libc_realloc(old, bytes);
}
void* memalign(size_t alignment, size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** block, size_t alignment, size_t bytes) {
  count();
  *block = __libc_memalign(alignment, bytes);
  return *block == nullptr ? ENOMEM : 0;
}
void free(void* block) {
  if (block != nullptr) count();
  __libc_free(block);
}
}
#endif

namespace xdn::testing {
namespace {

/// Every kind of fast step: stem, blocks, pools, concat, an add of its own, unary, classifier.
Graph float_net() {
  NetBuilder net(1);
  ValueId x = net.conv(net.input(3, 16, 16), 3, 16, {7, 2, 3});
  x = net.pool(x, true, 3, 2, 1, true);
  x = net.bottleneck(x, 16, 8, 32, 1);
  x = net.conv(x, 32, 32, {3, 1, 1, 32});
  const ValueId y = net.add(OpType::kHardSwish, NoAttrs{}, {x});
  x = net.add(OpType::kAdd, NoAttrs{}, {x, y});
  x = net.add(OpType::kConcat, AxisAttrs{1}, {x, net.pool(y, false, 3, 1, 1, false)});
  return net.finish(net.classifier(x, 64, 10));
}

Graph quantized_net() {
  QdqBuilder net(2);
  const Quant in{0.0078f, 117}, level{0.0203f, 131}, mean{0.0051f, 128};
  ValueId x = net.qdq(net.input(3, 16, 16), in);
  x = net.qdq(net.qconv(x, 3, 16, {.kernel = 7, .stride = 2, .pad = 3}), level);
  PoolAttrs pool;
  pool.window = {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}};
  x = net.qdq(net.add(OpType::kMaxPool, pool, {x}), level);
  ValueId y = net.qdq(net.qconv(x, 16, 16, {.kernel = 3, .pad = 1}), level);
  x = net.qdq(net.activate(net.add(OpType::kAdd, NoAttrs{}, {y, x}), ActKind::kRelu), level);
  y = net.qdq(net.qconv(x, 16, 16, {.kernel = 3, .pad = 1, .group = 16}), level);
  y = net.qdq(net.add(OpType::kSigmoid, NoAttrs{}, {y}), mean);
  x = net.qdq(net.add(OpType::kAdd, NoAttrs{}, {net.add(OpType::kHardSwish, NoAttrs{}, {x}), y}), level);
  x = net.qdq(net.add(OpType::kGlobalAveragePool, NoAttrs{}, {x}), mean);
  return net.finish(net.qgemm(net.add(OpType::kFlatten, FlattenAttrs{}, {x}), 16, 10));
}

struct Plan {
  const char* name;
  bool quantized;
  Precision precision;
};

class SteadyState : public ::testing::TestWithParam<Plan> {};

TEST_P(SteadyState, AllocatesNothing) {
#ifndef XDN_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "skipped: malloc belongs to the sanitizer, or is not glibc's";
#endif
  const Graph graph = GetParam().quantized ? quantized_net() : float_net();
  constexpr int64_t kMost = 20, kBytes = 16 * 16 * 3;
  const std::vector<uint8_t> bytes(kMost * kBytes, 77);
  const std::vector<float> floats = random_input(graph, kMost, 1);
  for (const int dp : {1, 2}) {
    for (const int mp : {1, 2}) {
      for (const int64_t n : {int64_t{1}, kMost}) {
        for (const bool pixels : {false, true}) {
          ExecOptions options;
          options.precision = GetParam().precision;
          options.threads = dp * mp;
          options.data_parallel = dp;
          options.model_parallel = mp;
          if (pixels) options.pixels = PixelMap{{0.01f, 0.01f, 0.01f}, {-1, -1, -1}, {0, 1, 2}};
          Executor executor(graph, options);
          executor.start_profile();
          std::vector<float> out(static_cast<size_t>(n * executor.output_size()));
          const ImageSource mapped{.data = bytes.data(), .fill = {}};
          ImageSource filled;
          filled.fill = [&](int64_t first, int64_t count, uint8_t* dst) {
            std::memcpy(dst, bytes.data() + first * kBytes, static_cast<size_t>(count * kBytes));
          };
          const auto run_once = [&] {
            if (!pixels) return executor.run_f32(floats.data(), n, out.data());
            executor.run_u8(mapped, n, out.data());
            executor.run_u8(filled, n, out.data());
          };
          run_once();
          allocations = 0;
          counting = true;
          for (int i = 0; i < 3; ++i) run_once();
          counting = false;
          EXPECT_EQ(allocations.load(), 0)
              << "dp " << dp << " mp " << mp << " batch " << n << (pixels ? " from bytes" : " from floats");
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, SteadyState,
                         ::testing::Values(Plan{"f32", false, Precision::kFp32},
                                           Plan{"bf16", false, Precision::kBf16},
                                           Plan{"int8", true, Precision::kInt8},
                                           Plan{"int8_and_bf16", true, Precision::kBf16},
                                           Plan{"fake_quantized", true, Precision::kFp32}),
                         [](const auto& p) { return std::string(p.param.name); });

/// The counters themselves: otherwise zero would say nothing.
TEST(SteadyStateCounter, SeesAllocations) {
#ifndef XDN_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "skipped: malloc belongs to the sanitizer, or is not glibc's";
#endif
  allocations = 0;
  counting = true;
  auto* volatile block = new std::vector<int>(1000);
  delete block;
  counting = false;
  EXPECT_GE(allocations.load(), 4);
}

}  // namespace
}  // namespace xdn::testing
