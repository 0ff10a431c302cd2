#include "base/tensor.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace xdn {
namespace {

TEST(ElementCount, RefusesNegativeAndHugeShapes) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({3, 0, 5}), 0);
  EXPECT_EQ(element_count({2, 3, 4}, 8), 24);
  EXPECT_THROW(element_count({2, -3}), Error);
  EXPECT_THROW(element_count({int64_t{1} << 40}), Error);
  EXPECT_THROW(element_count({int64_t{1} << 32, int64_t{1} << 32}), Error);
  EXPECT_THROW(element_count({std::numeric_limits<int64_t>::max(), 2}), Error);
}

TEST(Tensor, CopiesShareUntilWritten) {
  Tensor a = Tensor::of<float>({2}, std::vector<float>{1, 2});
  Tensor b = a;
  EXPECT_EQ(a.raw(), b.raw());
  b.mutable_data<float>()[0] = 5;
  EXPECT_EQ(a.data<float>()[0], 1);
  EXPECT_EQ(b.data<float>()[0], 5);
}

TEST(Tensor, ViewIsCopiedBeforeWriting) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  Tensor view = Tensor::view(DType::kF32, {3}, owner, owner->data());
  EXPECT_EQ(view.raw(), owner->data());
  view.mutable_data<float>()[1] = 9;
  EXPECT_EQ((*owner)[1], 2);
  EXPECT_EQ(view.data<float>()[1], 9);
}

TEST(Tensor, LargeOnesHavePagesOfTheirOwn) {
  const int64_t size = (int64_t{1} << 20) + 3;
  Tensor a(DType::kF32, {size});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a.raw()) % 64, 0u);
  for (const float value : a.data<float>()) ASSERT_EQ(value, 0.0f);
  const void* storage = a.raw();
  a.mutable_data<float>()[static_cast<size_t>(size) - 1] = 4;
  EXPECT_EQ(a.raw(), storage) << "written in place while nobody shares it";
  Tensor b = a;
  b.mutable_data<float>()[0] = 5;
  EXPECT_EQ(a.as_double(0), 0);
  EXPECT_EQ(b.as_double(size - 1), 4);
}

TEST(Tensor, Uninitialized) {
  Tensor a = Tensor::uninitialized(DType::kI32, {2, 3});
  EXPECT_EQ(a.size(), 6);
  for (int32_t& value : a.mutable_data<int32_t>()) value = 7;
  EXPECT_EQ(a.to_ints(), std::vector<int64_t>(6, 7));
  EXPECT_THROW(Tensor::uninitialized(DType::kF32, {-1}), Error);
  EXPECT_EQ(Tensor::copy(DType::kI32, {3, 2}, a.raw(), a.bytes()).to_ints(), a.to_ints());
}

TEST(Tensor, ConvertsSaturatingFromFloat) {
  const Tensor f = Tensor::of<float>(
      {4}, std::vector<float>{300.0f, -5.5f, std::numeric_limits<float>::quiet_NaN(), 7.9f});
  const Tensor u = f.converted(DType::kU8);
  EXPECT_EQ(u.to_ints(), (std::vector<int64_t>{255, 0, 0, 7}));
  EXPECT_EQ(f.converted(DType::kI64).as_int(0), 300);
  EXPECT_EQ(f.converted(DType::kBool).as_int(1), 1);
  EXPECT_EQ(f.converted(DType::kF16).as_double(3), 7.8984375);
}

TEST(Tensor, ScalarsAndReshape) {
  EXPECT_EQ(Tensor::scalar<int64_t>(7).as_int(0), 7);
  EXPECT_EQ(Tensor::scalar<int64_t>(7).rank(), 0u);
  EXPECT_EQ(Tensor(DType::kI32, {2, 3}).reshaped({6}).dims(), Dims{6});
}

TEST(Dims, Print) { EXPECT_EQ(to_string(Dims{kBatch, 3, 32}), "[N,3,32]"); }

}  // namespace
}  // namespace xdn
