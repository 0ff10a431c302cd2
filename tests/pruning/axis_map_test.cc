#include "pruning/axis_map.h"

#include <gtest/gtest.h>

namespace xdn::testing {
namespace {

/// "0>0 1>1, lost 2 3 / ": pairs, then what is lost of the input, and of the result.
std::string mapped(const Dims& from, const Dims& to) {
  const pruning::AxisMap map = pruning::map_axes(from, to);
  std::string out;
  for (const auto& pair : map.pairs) out += std::to_string(pair.in) + ">" + std::to_string(pair.out) + " ";
  for (const size_t axis : map.lost_in) out += "-" + std::to_string(axis) + " ";
  for (const size_t axis : map.lost_out) out += "+" + std::to_string(axis) + " ";
  return out;
}

TEST(AxisMap, OfReshapes) {
  constexpr int64_t N = kBatch;
  EXPECT_EQ(mapped({N, 4, 6, 5}, {N, 4, 6, 5}), "0>0 1>1 2>2 3>3 ");
  EXPECT_EQ(mapped({N, 4, 6, 5}, {N, 120}), "0>0 1>1 -2 -3 ");
  EXPECT_EQ(mapped({N, 120}, {N, 4, 6, 5}), "0>0 1>1 +2 +3 ");
  EXPECT_EQ(mapped({N, 4, 6, 5}, {N, 4, 30}), "0>0 1>1 2>2 -3 ");
  EXPECT_EQ(mapped({N, 4, 1, 1}, {N, 4}), "0>0 1>1 ");
  EXPECT_EQ(mapped({N, 4}, {1, N, 1, 4}), "0>1 1>3 ");
  EXPECT_EQ(mapped({N, 1, 6, 5}, {N, 30}), "0>0 2>1 -3 ");
  EXPECT_EQ(mapped({N, 6, 5}, {N, 2, 3, 5}), "0>0 1>1 2>3 +2 ");
  EXPECT_EQ(mapped({N, 4, 6, 5}, {N, 8, 3, 5}), "0>0 3>3 -1 -2 +1 +2 ");
  EXPECT_EQ(mapped({4, N, 5}, {N, 20}), "-0 -1 -2 +0 +1 ");
  EXPECT_EQ(mapped({4, N, 5}, {2, N, 10}), "-0 -1 -2 +0 +1 +2 ");
  EXPECT_EQ(mapped({N, 0, 3}, {N, 3, 0}), "-0 -1 -2 +0 +1 +2 ");
  EXPECT_EQ(mapped({}, {1, 1}), "");
}

}  // namespace
}  // namespace xdn::testing
