#include "training/fake_quant.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace xdn::training {
namespace {

constexpr int64_t kBlock = 16384;  ///< elements of one channel for all that a thread takes at least

/// Half to even, for |x| below 2^22 and 2^51: adding and subtracting 1.5 * 2^23 (2^52) leaves no fraction.
/// Vectorises without SSE4.1, unlike nearbyint.
float rounded(float x) { return (x + 0x1.8p23f) - 0x1.8p23f; }
double rounded(double x) { return (x + 0x1.8p52) - 0x1.8p52; }

/// NaN stays.
template <class T>
T clamped(T x, T low, T high) {
  const T above = x < low ? low : x;
  return above > high ? high : above;
}

template <class T>
void quantize(const float* __restrict x, int64_t n, float scale, T low, T high, float* __restrict y) {
  for (int64_t i = 0; i < n; ++i) {
    const T level = rounded(clamped(static_cast<T>(x[i]) / static_cast<T>(scale), low, high));
    y[i] = static_cast<float>(level) * scale;
  }
}

/// Returns the scale's derivative.
template <class T>
double differentiate(const float* __restrict x, const float* __restrict dy, int64_t n, float scale, T low,
                     T high, float* __restrict dx) {
  constexpr int64_t kLanes = 16, kRun = 1024;  // sums of f32 stay short
  double sum = 0;
  for (int64_t first = 0; first < n; first += kRun) {
    float lanes[kLanes] = {};
    const int64_t last = std::min(n, first + kRun);
    const auto element = [&](int64_t i) {
      const T ratio = static_cast<T>(x[i]) / static_cast<T>(scale);
      const T level = rounded(clamped(ratio, low - 1, high + 1));
      const bool inside = level >= low && level <= high;
      dx[i] = inside ? dy[i] : 0.0f;
      return dy[i] * static_cast<float>(inside ? level - ratio : clamped(level, low, high));
    };
    int64_t i = first;
    for (; i + kLanes <= last; i += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += element(i + lane);
    }
    for (; i < last; ++i) lanes[0] += element(i);
    for (const float lane : lanes) sum += static_cast<double>(lane);
  }
  return sum;
}

/// A dense tensor's memory in pieces of one channel.
struct Pieces {
  int64_t size, length, count, channels;

  Pieces(const at::Tensor& x, const LevelGrid& grid) : size(x.numel()), channels(grid.channels()) {
    length = channels == 1 ? kBlock : x.stride(grid.axis);
    count = (size + length - 1) / length;
  }
  /// work(piece, channel, first element, elements)
  template <class Work>
  void for_each(const Work& work) const {
    at::parallel_for(0, count, std::max<int64_t>(1, kBlock / length), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        work(p, p % channels, p * length, std::min(length, size - p * length));
      }
    });
  }
};

/// An axis of one element may have any stride, which Pieces would believe.
at::Tensor dense(const at::Tensor& x, const LevelGrid& grid) {
  const bool believable = grid.channels() == 1 || x.size(grid.axis) == grid.channels();
  XDN_CHECK(believable && x.scalar_type() == at::kFloat);
  return x.is_non_overlapping_and_dense() ? x : x.contiguous();
}

/// dy as x lies. Strides of single elements mean nothing.
at::Tensor same_order(const at::Tensor& dy, const at::Tensor& x) {
  for (int64_t axis = 0; axis < x.dim(); ++axis) {
    if (x.size(axis) > 1 && dy.stride(axis) != x.stride(axis)) return at::empty_like(x).copy_(dy);
  }
  return dy;
}

/// 1 / sqrt(n * max(high, -low)), f64 by channel.
at::Tensor scale_factor(const at::Tensor& x, const LevelGrid& grid) {
  const int64_t parts = (grid.has_batch ? x.size(0) : 1) * grid.channels();
  const auto n = static_cast<double>(std::max<int64_t>(1, x.numel() / std::max<int64_t>(1, parts)));
  return at::rsqrt(at::maximum(grid.high, -grid.low) * n);
}

template <class T>
at::Tensor forward_as(const at::Tensor& x, const at::Tensor& scale, const LevelGrid& grid) {
  at::Tensor y = at::empty_like(x);
  const float* src = x.data_ptr<float>();
  const float* scales = scale.data_ptr<float>();
  const double *low = grid.low.data_ptr<double>(), *high = grid.high.data_ptr<double>();
  float* dst = y.data_ptr<float>();
  Pieces(x, grid).for_each([&](int64_t, int64_t c, int64_t first, int64_t n) {
    quantize(src + first, n, scales[scale.numel() == 1 ? 0 : c], static_cast<T>(low[c]),
             static_cast<T>(high[c]), dst + first);
  });
  return y;
}

template <class T>
std::pair<at::Tensor, at::Tensor> backward_as(const at::Tensor& x, const at::Tensor& scale,
                                              const LevelGrid& grid, const at::Tensor& dy) {
  at::Tensor dx = at::empty_like(x), dscale = at::zeros({grid.channels()}, at::kDouble);
  const float *src = x.data_ptr<float>(), *derivative = dy.data_ptr<float>();
  const float* scales = scale.data_ptr<float>();
  const double *low = grid.low.data_ptr<double>(), *high = grid.high.data_ptr<double>();
  float* dst = dx.data_ptr<float>();
  const Pieces pieces(x, grid);
  std::vector<double> sums(static_cast<size_t>(pieces.count));
  pieces.for_each([&](int64_t p, int64_t c, int64_t first, int64_t n) {
    sums[static_cast<size_t>(p)] =
        differentiate(src + first, derivative + first, n, scales[scale.numel() == 1 ? 0 : c],
                      static_cast<T>(low[c]), static_cast<T>(high[c]), dst + first);
  });
  double* total = dscale.data_ptr<double>();
  for (int64_t p = 0; p < pieces.count; ++p) total[p % pieces.channels] += sums[static_cast<size_t>(p)];
  return {dx, dscale};
}

/// f64 or f32 [channels] along the axis of x.
at::Tensor along(const at::Tensor& values, const at::Tensor& x, const LevelGrid& grid, at::ScalarType type) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  if (values.numel() > 1) shape[static_cast<size_t>(grid.axis)] = values.numel();
  return values.reshape(shape).to(x.device(), type);
}

/// The quotients and their levels by libtorch's operators, one beyond the ends where they are beyond.
struct Quotients {
  at::Tensor ratio, level, low, high;
  Quotients(const at::Tensor& x, const at::Tensor& scale, const LevelGrid& grid) {
    const at::ScalarType type = grid.is_wide ? at::kDouble : at::kFloat;
    low = along(grid.low, x, grid, type);
    high = along(grid.high, x, grid, type);
    ratio = at::div(x.to(type), along(scale, x, grid, type));
    level = at::round(at::clamp(ratio, low - 1, high + 1));
  }
};

at::Tensor forward_by_ops(const at::Tensor& x, const at::Tensor& scale, const LevelGrid& grid) {
  const Quotients q(x, scale, grid);
  return at::mul(at::clamp(q.level, q.low, q.high).to(at::kFloat), along(scale, x, grid, at::kFloat));
}

std::pair<at::Tensor, at::Tensor> backward_by_ops(const at::Tensor& x, const at::Tensor& scale,
                                                  const LevelGrid& grid, const at::Tensor& dy) {
  const Quotients q(x, scale, grid);
  const at::Tensor inside = at::logical_and(q.level >= q.low, q.level <= q.high);
  const at::Tensor slope = at::where(inside, q.level - q.ratio, at::clamp(q.level, q.low, q.high));
  at::Tensor dscale = at::mul(dy, slope).to(at::kDouble);
  if (grid.channels() == 1) {
    dscale = dscale.sum().reshape({1});
  } else {
    dscale = dscale.transpose(0, grid.axis).reshape({grid.channels(), -1}).sum(1);
  }
  return {at::where(inside, dy, at::zeros_like(dy)), dscale};
}

class FakeQuantize : public torch::autograd::Function<FakeQuantize> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& scale, const LevelGrid& grid, bool by_ops) {
    const at::Tensor x = by_ops ? given : dense(given, grid);
    context->save_for_backward({x, scale, grid.low, grid.high});
    context->saved_data["axis"] = grid.axis;
    context->saved_data["is_wide"] = grid.is_wide;
    context->saved_data["has_batch"] = grid.has_batch;
    context->saved_data["by_ops"] = by_ops;
    if (by_ops) return forward_by_ops(x, scale, grid);
    return grid.is_wide ? forward_as<double>(x, scale, grid) : forward_as<float>(x, scale, grid);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list derivatives) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &scale = saved[1];
    LevelGrid grid;
    grid.low = saved[2];
    grid.high = saved[3];
    grid.axis = context->saved_data["axis"].toInt();
    grid.is_wide = context->saved_data["is_wide"].toBool();
    grid.has_batch = context->saved_data["has_batch"].toBool();
    const at::Tensor& dy = derivatives[0];
    const bool by_ops = context->saved_data["by_ops"].toBool();
    auto [dx, dscale] = by_ops         ? backward_by_ops(x, scale, grid, dy)
                        : grid.is_wide ? backward_as<double>(x, scale, grid, same_order(dy, x))
                                       : backward_as<float>(x, scale, grid, same_order(dy, x));
    dscale = at::mul(dscale, scale_factor(x, grid).to(x.device()));
    if (scale.numel() == 1) dscale = dscale.sum();
    return {dx, dscale.reshape(scale.sizes()).to(at::kFloat), at::Tensor(), at::Tensor()};
  }
};

/// Channel of each element in row-major order.
class Channels {
 public:
  Channels(at::IntArrayRef sizes, const LevelGrid& grid) : channels_(grid.channels()) {
    for (size_t axis = static_cast<size_t>(grid.axis) + 1; axis < sizes.size(); ++axis) inner_ *= sizes[axis];
  }
  int64_t operator()(int64_t i) const { return channels_ == 1 ? 0 : i / inner_ % channels_; }

 private:
  int64_t channels_, inner_ = 1;
};

std::vector<float> scales_of(const at::Tensor& scale, const LevelGrid& grid) {
  const at::Tensor all = scale.detach().to(at::kCPU).reshape(-1).expand({grid.channels()}).contiguous();
  return {all.data_ptr<float>(), all.data_ptr<float>() + all.numel()};
}

}  // namespace

at::Tensor fake_quantize(const at::Tensor& x, const at::Tensor& scale, const LevelGrid& grid, bool by_ops) {
  XDN_CHECK(scale.numel() == 1 || scale.numel() == grid.channels());
  return FakeQuantize::apply(x, scale, grid, by_ops || !x.is_cpu());
}

at::Tensor from_levels(const Tensor& levels, const at::Tensor& scale, const LevelGrid& grid) {
  const std::vector<int64_t> values = levels.to_ints();
  const std::vector<float> scales = scales_of(scale, grid);
  const int64_t* zero = grid.zero.data_ptr<int64_t>();
  at::Tensor out = at::empty(levels.dims(), at::kFloat);
  const Channels channel(out.sizes(), grid);
  float* x = out.data_ptr<float>();
  for (int64_t i = 0; i < out.numel(); ++i) {
    const int64_t c = channel(i);
    x[i] = static_cast<float>(values[static_cast<size_t>(i)] - zero[c]) * scales[static_cast<size_t>(c)];
  }
  return out;
}

Tensor to_levels(const at::Tensor& x, const at::Tensor& scale, const LevelGrid& grid, const Tensor& before) {
  const at::Tensor same = from_levels(before, scale, grid);
  const at::Tensor numbers = x.detach().to(at::kCPU).contiguous();
  XDN_CHECK(numbers.sizes() == same.sizes());
  const std::vector<float> scales = scales_of(scale, grid);
  const int64_t* zero = grid.zero.data_ptr<int64_t>();
  const double *low = grid.low.data_ptr<double>(), *high = grid.high.data_ptr<double>();
  const Channels channel(numbers.sizes(), grid);
  std::vector<int64_t> levels = before.to_ints();
  for (int64_t i = 0; i < numbers.numel(); ++i) {
    const float number = numbers.data_ptr<float>()[i];
    if (number == same.data_ptr<float>()[i]) continue;
    const int64_t c = channel(i);
    const float s = scales[static_cast<size_t>(c)];
    const double ratio =
        grid.is_wide ? static_cast<double>(number) / static_cast<double>(s) : static_cast<double>(number / s);
    levels[static_cast<size_t>(i)] = static_cast<int64_t>(rounded(clamped(ratio, low[c], high[c]))) + zero[c];
  }
  return Tensor::of(before.dims(), levels).converted(before.dtype());
}

}  // namespace xdn::training
