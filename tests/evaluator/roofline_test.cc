#include "evaluator/roofline.h"

#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "evaluator/bandwidth.h"

namespace xdn {
namespace {

/// A machine of 100 GMAC/s in f32 and 10 GB/s: memory bounds below 10 MACs per byte.
Peaks machine() { return {.macs_per_second = {{"f32", 100e9}, {"i8", 400e9}}, .bytes_per_second = 10e9}; }

StepReport step(int64_t macs, int64_t activation_bytes, int64_t weight_bytes, double seconds) {
  StepReport report;
  report.arith = "f32";
  report.macs = macs;
  report.activation_bytes = activation_bytes;
  report.weight_bytes = weight_bytes;
  report.seconds = seconds;
  return report;
}

TEST(Roofline, ByHand) {
  // 50 images of 2 M MACs in 2 ms: 50 GMAC/s. 80 kB of activations, and a tenth of 200 kB of weights.
  const RooflinePoint point = roofline_point(step(2'000'000, 80'000, 200'000, 2e-3), 50, 10, machine());
  EXPECT_DOUBLE_EQ(point.macs_per_second, 50e9);
  EXPECT_DOUBLE_EQ(point.peak_share, 0.5);
  EXPECT_DOUBLE_EQ(point.macs_per_byte, 20);
  EXPECT_DOUBLE_EQ(point.bytes_per_second, 100'000 * 50 / 2e-3);
  EXPECT_FALSE(point.memory_bound);
}

TEST(Roofline, MemoryBoundsBelowTheRidge) {
  EXPECT_TRUE(roofline_point(step(999'000, 100'000, 0, 1), 1, 1, machine()).memory_bound);
  EXPECT_FALSE(roofline_point(step(1'001'000, 100'000, 0, 1), 1, 1, machine()).memory_bound);
  // A higher peak moves the ridge: to 40.
  StepReport integers = step(1'001'000, 100'000, 0, 1);
  integers.arith = "i8";
  EXPECT_TRUE(roofline_point(integers, 1, 1, machine()).memory_bound);
}

TEST(Roofline, TilesShareTheWeights) {
  const StepReport dense = step(1'000'000, 1000, 1'000'000, 1);
  EXPECT_TRUE(roofline_point(dense, 64, 1, machine()).memory_bound);
  EXPECT_FALSE(roofline_point(dense, 64, 64, machine()).memory_bound);
  EXPECT_DOUBLE_EQ(roofline_point(dense, 64, 1, machine()).macs_per_byte, 1e6 / 1'001'000);
}

TEST(Roofline, StepsWithoutMacsMoveBytes) {
  const RooflinePoint point = roofline_point(step(0, 1000, 0, 1e-6), 1, 1, machine());
  EXPECT_TRUE(point.memory_bound);
  EXPECT_EQ(point.macs_per_second, 0);
  EXPECT_EQ(point.peak_share, 0);
  EXPECT_DOUBLE_EQ(point.bytes_per_second, 1e9);
}

TEST(Roofline, NotTimedOrOfUnknownPeak) {
  const RooflinePoint untimed = roofline_point(step(5'000'000, 100'000, 0, 0), 1, 1, machine());
  EXPECT_EQ(untimed.macs_per_second, 0);
  EXPECT_EQ(untimed.bytes_per_second, 0);
  EXPECT_DOUBLE_EQ(untimed.macs_per_byte, 50);
  StepReport other = step(5'000'000, 100'000, 0, 1);
  other.arith = "bf16";
  EXPECT_EQ(roofline_point(other, 1, 1, machine()).peak_share, 0);
}

TEST(Peaks, OfThisMachineArePositive) {
  const Peaks peaks = measure_peaks(Isa::kRef, 1);
  for (const char* arith : {"f32", "bf16", "i8"}) EXPECT_GT(peaks.macs_per_second.at(arith), 0) << arith;
  EXPECT_GT(peaks.bytes_per_second, 1e7);
}

TEST(ReadStream, CoversItsBytes) {
  ThreadPool pool(2);
  const ReadStream stream(pool, 1000);
  EXPECT_EQ(stream.bytes_per_thread(), 768);  // whole groups of four lines
  pool.run([&](int thread) { stream.read(thread); });
}

}  // namespace
}  // namespace xdn
