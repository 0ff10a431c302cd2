#include "training/fake_quant.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "kernels/reference/quantize.h"
#include "support/guarded.h"

namespace xdn::testing {
namespace {

using training::fake_quantize;
using training::LevelGrid;

LevelGrid grid_of(std::vector<int64_t> zero, double lowest, double highest, int64_t axis = 0) {
  LevelGrid grid;
  grid.axis = axis;
  grid.zero = at::tensor(zero);
  grid.low = lowest - grid.zero.to(at::kDouble);
  grid.high = highest - grid.zero.to(at::kDouble);
  return grid;
}

/// Numbers within and beyond the range, and many ties and ends.
at::Tensor numbers(at::IntArrayRef sizes, const at::Tensor& scale, uint64_t seed) {
  at::Tensor x = at::empty(sizes, at::kFloat);
  Uniform random(seed);
  float* out = x.data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) {
    out[i] = i % 3 == 0 ? 0.5f * static_cast<float>(random.between(-620, 620)) : 300 * random();
  }
  return x * scale;
}

struct Case {
  const char* name;
  at::Tensor x, scale;
  LevelGrid grid;
};

std::vector<Case> cases() {
  const at::Tensor whole = at::tensor({0.0173f});
  const at::Tensor each = at::tensor({0.0173f, 1e-5f, 3.0f, 0.25f});
  const auto along = [&](int64_t axis, int64_t rank) {
    std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
    shape[static_cast<size_t>(axis)] = 4;
    return each.reshape(shape);
  };
  std::vector<Case> all;
  all.push_back({"u8", numbers({3, 40, 20, 30}, whole, 1), whole, grid_of({114}, 0, 255)});
  all.push_back({"channels last",
                 numbers({3, 40, 20, 30}, whole, 2).contiguous(at::MemoryFormat::ChannelsLast), whole,
                 grid_of({0}, 0, 255)});
  all.push_back(
      {"slice", numbers({3, 8, 20, 30}, whole, 3).slice(2, 0, 20, 2), whole, grid_of({-3}, -128, 127)});
  all.push_back({"rows", numbers({4, 3, 5, 5}, along(0, 4), 4).contiguous(at::MemoryFormat::ChannelsLast),
                 each, grid_of({0, 0, 0, 0}, -127, 127)});
  all.push_back({"columns", numbers({9, 4}, along(1, 2), 5), each, grid_of({3, -4, 100, 0}, -128, 127, 1)});
  all.push_back({"second axis",
                 numbers({6, 4, 3, 3}, along(1, 4), 6).contiguous(at::MemoryFormat::ChannelsLast), each,
                 grid_of({128, 127, 9, 255}, 0, 255, 1)});
  all.push_back({"wide", numbers({4}, each, 7) * 3e5, each, grid_of({0, 0, 0, 0}, -0x7fffffff, 0x7fffffff)});
  all.back().grid.is_wide = true;
  all[0].grid.has_batch = all[1].grid.has_batch = true;
  return all;
}

/// Level less zero point, and quotient, of element i in row-major order; by the definition.
struct Expected {
  std::vector<int64_t> channel;
  std::vector<double> ratio, level;

  explicit Expected(const Case& c) {
    const at::Tensor x = c.x.contiguous();
    int64_t inner = 1;
    for (int64_t axis = c.grid.axis + 1; axis < x.dim(); ++axis) inner *= x.size(axis);
    for (int64_t i = 0; i < x.numel(); ++i) {
      channel.push_back(c.grid.channels() == 1 ? 0 : i / inner % c.grid.channels());
      const float number = x.data_ptr<float>()[i], scale = c.scale.data_ptr<float>()[channel.back()];
      ratio.push_back(c.grid.is_wide ? static_cast<double>(number) / static_cast<double>(scale)
                                     : static_cast<double>(number / scale));
      level.push_back(std::nearbyint(ratio.back()));
    }
  }
};

TEST(FakeQuant, RoundsAsTheReference) {
  for (const Case& c : cases()) {
    if (c.grid.is_wide) continue;  // the reference divides in f32
    SCOPED_TRACE(c.name);
    const at::Tensor x = c.x.contiguous();
    reference::QuantizeShape shape{1, c.grid.channels(), x.numel()};
    if (c.grid.channels() > 1) {
      shape.inner = 1;
      for (int64_t axis = 0; axis < x.dim(); ++axis) {
        if (axis != c.grid.axis) (axis < c.grid.axis ? shape.outer : shape.inner) *= x.size(axis);
      }
    }
    const int64_t* zero = c.grid.zero.data_ptr<int64_t>();
    const double lowest = c.grid.low[0].item<double>() + static_cast<double>(zero[0]);
    const double highest = c.grid.high[0].item<double>() + static_cast<double>(zero[0]);
    std::vector<int64_t> levels(static_cast<size_t>(x.numel()));
    std::vector<double> expected(levels.size());
    reference::quantize(shape, x.data_ptr<float>(), c.scale.data_ptr<float>(), zero,
                        static_cast<int64_t>(lowest), static_cast<int64_t>(highest), levels.data());
    reference::dequantize(shape, levels.data(), c.scale.data_ptr<float>(), zero, expected.data());
    for (const bool by_ops : {false, true}) {
      const at::Tensor y = fake_quantize(c.x, c.scale, c.grid, by_ops).contiguous();
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(static_cast<double>(y.data_ptr<float>()[i]), expected[i]) << i << (by_ops ? " by ops" : "");
      }
    }
  }
}

TEST(FakeQuant, GradientsAreThoseOfTheDefinition) {
  for (const Case& c : cases()) {
    for (const bool by_ops : {false, true}) {
      SCOPED_TRACE(std::string(c.name) + (by_ops ? " by ops" : ""));
      const at::Tensor x = c.x.detach().clone().requires_grad_();
      const at::Tensor scale = c.scale.detach().clone().requires_grad_();
      const at::Tensor y = fake_quantize(x, scale, c.grid, by_ops);
      const at::Tensor dy = at::sin(at::arange(y.numel(), at::kFloat)).reshape(y.sizes());  // not as x lies
      y.backward(dy);
      const Expected expected(c);
      const at::Tensor dx = x.grad().contiguous();
      std::vector<double> sums(static_cast<size_t>(c.grid.channels())), sizes(sums.size());
      int64_t inside = 0;
      for (size_t i = 0; i < expected.level.size(); ++i) {
        const int64_t channel = expected.channel[i];
        const double low = c.grid.low[channel].item<double>(), high = c.grid.high[channel].item<double>();
        const double level = expected.level[i], slope = static_cast<double>(dy.data_ptr<float>()[i]);
        const bool is_inside = level >= low && level <= high;
        inside += is_inside ? 1 : 0;
        ASSERT_EQ(dx.data_ptr<float>()[i], is_inside ? dy.data_ptr<float>()[i] : 0.0f) << i;
        const auto j = static_cast<size_t>(channel);
        sums[j] += slope * (is_inside ? level - expected.ratio[i] : std::clamp(level, low, high));
        sizes[j] += 1;
      }
      if (c.x.numel() > 100) {
        EXPECT_GT(inside, c.x.numel() / 10);
        EXPECT_LT(inside, c.x.numel());
      }
      for (size_t j = 0; j < sums.size(); ++j) {
        const auto channel = static_cast<int64_t>(j);
        const double low = c.grid.low[channel].item<double>(), high = c.grid.high[channel].item<double>();
        const double n = sizes[j] / static_cast<double>(c.grid.has_batch ? c.x.size(0) : 1);
        const double wanted = sums[j] / std::sqrt(n * std::max(high, -low));
        EXPECT_NEAR(scale.grad()[channel].item<double>(), wanted, 1e-4 * std::abs(wanted) + 1e-5) << j;
      }
    }
  }
}

/// Where nothing is clipped, the result's own derivative by the scale, at fixed levels, is the level; the
/// quotient's share goes to x. Moving x along with the scale must leave the levels and scale the result.
TEST(FakeQuant, TheScalesGradientIsConsistentWithMovingBoth) {
  const at::Tensor whole = at::tensor({0.02f});
  const LevelGrid grid = grid_of({0}, -127, 127);
  at::manual_seed(1);
  const at::Tensor x = (at::rand({500}) * 4 - 2).requires_grad_(), scale = whole.clone().requires_grad_();
  const at::Tensor y = fake_quantize(x, scale, grid);
  y.sum().backward();
  const double factor = 1 / std::sqrt(500.0 * 127);
  const double by_scale = scale.grad().item<double>() / factor * 0.02;
  const double by_x = (x.grad() * x.detach()).sum().item<double>();
  EXPECT_NEAR(by_scale + by_x, y.sum().item<double>(), 1e-2);
}

TEST(FakeQuant, TheSameBitsForAnyNumberOfThreads) {
  const Case c = cases()[0];
  std::vector<at::Tensor> results;
  const int before = at::get_num_threads();
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    const at::Tensor x = c.x.detach().clone().requires_grad_();
    const at::Tensor scale = c.scale.detach().clone().requires_grad_();
    fake_quantize(x, scale, c.grid).square().sum().backward();
    results.push_back(scale.grad());
  }
  at::set_num_threads(before);
  EXPECT_TRUE(at::equal(results[0], results[1]));
}

TEST(FakeQuant, NansStay) {
  const at::Tensor x = at::tensor({1.0f, std::nanf("")});
  const LevelGrid grid = grid_of({3}, 0, 255);
  for (const bool by_ops : {false, true}) {
    EXPECT_TRUE(std::isnan(fake_quantize(x, at::tensor({0.1f}), grid, by_ops)[1].item<float>()));
  }
}

TEST(FakeQuant, LevelsAndBack) {
  const at::Tensor each = at::tensor({0.013f, 7e-6f});
  LevelGrid grid = grid_of({0, 5}, -128, 127);
  std::vector<int8_t> all;
  for (int row = 0; row < 2; ++row) {
    for (int level = -128; level < 128; ++level) all.push_back(static_cast<int8_t>(level));
  }
  const Tensor levels = Tensor::of({2, 256}, all), other(DType::kI8, {2, 256});
  const at::Tensor x = training::from_levels(levels, each, grid);
  EXPECT_EQ(x[0][255].item<float>(), 127 * 0.013f);
  EXPECT_EQ(x[1][0].item<float>(), -133 * 7e-6f);
  EXPECT_TRUE(at::equal(fake_quantize(x, each, grid), x));
  EXPECT_EQ(training::to_levels(x, each, grid, other).to_ints(), levels.to_ints());
  // More bits than an f32 holds: levels stay as long as their number does.
  grid = grid_of({0, 0}, -0x7fffffff, 0x7fffffff);
  grid.is_wide = true;
  const Tensor bias = Tensor::of({2}, std::vector<int32_t>{0x3fffffff, -77777777});
  at::Tensor b = training::from_levels(bias, each, grid);
  EXPECT_EQ(training::to_levels(b, each, grid, bias).to_ints(), bias.to_ints());
  b = b * 1000;
  EXPECT_EQ(training::to_levels(b, each, grid, bias).to_ints(),
            (std::vector<int64_t>{0x7fffffff, -0x7fffffff}));
}

}  // namespace
}  // namespace xdn::testing
