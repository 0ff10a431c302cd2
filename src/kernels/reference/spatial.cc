#include "kernels/reference/spatial.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

namespace xdn::reference {
namespace {

int64_t volume(const Extent3& extent) { return extent[0] * extent[1] * extent[2]; }

template <class F>
void for_each_position(const Extent3& extent, F&& f) {
  Extent3 at{};
  for (at[0] = 0; at[0] < extent[0]; ++at[0]) {
    for (at[1] = 0; at[1] < extent[1]; ++at[1]) {
      for (at[2] = 0; at[2] < extent[2]; ++at[2]) f(at);
    }
  }
}

Extent3 tap_position(const Window3& window, const Extent3& out, const Extent3& tap) {
  Extent3 in{};
  for (size_t i = 0; i < 3; ++i)
    in[i] = out[i] * window.stride[i] + tap[i] * window.dilation[i] - window.pad[i];
  return in;
}

bool inside(const Extent3& at, const Extent3& low, const Extent3& high) {
  for (size_t i = 0; i < 3; ++i) {
    if (at[i] < low[i] || at[i] >= high[i]) return false;
  }
  return true;
}

int64_t offset(const Extent3& at, const Extent3& extent) {
  return (at[0] * extent[1] + at[1]) * extent[2] + at[2];
}

constexpr Extent3 kOrigin{0, 0, 0};

/// Images that share a pass over the weights: without it 1x1 layers of 2048 channels wait for memory.
constexpr int64_t kImages = 8;

/// packed[group, tap, ic, oc] = w[group, oc, ic, tap]: the innermost loop of conv runs over output channels.
std::vector<double> pack_weights(const ConvShape& shape, const double* w) {
  const int64_t taps = volume(shape.window.kernel);
  std::vector<double> packed(static_cast<size_t>(shape.group * taps * shape.ic * shape.oc));
  for (int64_t g = 0; g < shape.group; ++g) {
    for (int64_t o = 0; o < shape.oc; ++o) {
      for (int64_t i = 0; i < shape.ic; ++i) {
        for (int64_t t = 0; t < taps; ++t) {
          packed[static_cast<size_t>(((g * taps + t) * shape.ic + i) * shape.oc + o)] = *w++;
        }
      }
    }
  }
  return packed;
}

}  // namespace

void conv(const ConvShape& shape, const double* x, const double* w, const double* bias, double* y) {
  const int64_t in_plane = volume(shape.in), out_plane = volume(shape.out);
  const int64_t w_tap = shape.ic * shape.oc, w_group = volume(shape.window.kernel) * w_tap;
  const std::vector<double> packed = pack_weights(shape, w);
  std::vector<double> sums(static_cast<size_t>(kImages * shape.oc));
  for (int64_t first = 0; first < shape.n; first += kImages) {
    const int64_t images = std::min(kImages, shape.n - first);
    for (int64_t g = 0; g < shape.group; ++g) {
      for_each_position(shape.out, [&](const Extent3& out) {
        for (int64_t n = 0; n < images; ++n) {
          for (int64_t o = 0; o < shape.oc; ++o) {
            sums[static_cast<size_t>(n * shape.oc + o)] = bias == nullptr ? 0 : bias[g * shape.oc + o];
          }
        }
        for_each_position(shape.window.kernel, [&](const Extent3& tap) {
          const Extent3 in = tap_position(shape.window, out, tap);
          if (!inside(in, kOrigin, shape.in)) return;
          for (int64_t i = 0; i < shape.ic; ++i) {
            const double* row =
                packed.data() + g * w_group + offset(tap, shape.window.kernel) * w_tap + i * shape.oc;
            for (int64_t n = 0; n < images; ++n) {
              const int64_t plane = ((first + n) * shape.group + g) * shape.ic + i;
              const double value = x[plane * in_plane + offset(in, shape.in)];
              double* sum = sums.data() + n * shape.oc;
              for (int64_t o = 0; o < shape.oc; ++o) sum[o] += value * row[o];
            }
          }
        });
        for (int64_t n = 0; n < images; ++n) {
          double* dst = y + ((first + n) * shape.group + g) * shape.oc * out_plane + offset(out, shape.out);
          for (int64_t o = 0; o < shape.oc; ++o)
            dst[o * out_plane] = sums[static_cast<size_t>(n * shape.oc + o)];
        }
      });
    }
  }
}

template <class W>
void max_pool(const PoolShape& shape, const W* x, W lowest, W* y) {
  const auto better = [](W value, W best) {
    if constexpr (std::is_floating_point_v<W>) return value > best || std::isnan(value);
    return value > best;
  };
  for (int64_t plane = 0; plane < shape.planes; ++plane) {
    for_each_position(shape.out, [&](const Extent3& out) {
      W best = lowest;
      for_each_position(shape.window.kernel, [&](const Extent3& tap) {
        const Extent3 in = tap_position(shape.window, out, tap);
        if (!inside(in, kOrigin, shape.in)) return;
        const W value = x[offset(in, shape.in)];
        if (better(value, best)) best = value;
      });
      *y++ = best;
    });
    x += volume(shape.in);
  }
}

template void max_pool<double>(const PoolShape&, const double*, double, double*);
template void max_pool<int64_t>(const PoolShape&, const int64_t*, int64_t, int64_t*);
template void max_pool<uint64_t>(const PoolShape&, const uint64_t*, uint64_t, uint64_t*);

void average_pool(const PoolShape& shape, const double* x, bool count_padding, double* y) {
  Extent3 padded_low{}, padded_high{};
  for (size_t i = 0; i < 3; ++i) {
    padded_low[i] = -shape.window.pad[i];
    padded_high[i] = shape.in[i] + shape.window.pad_end[i];
  }
  for (int64_t plane = 0; plane < shape.planes; ++plane) {
    for_each_position(shape.out, [&](const Extent3& out) {
      double sum = 0;
      int64_t count = 0;
      for_each_position(shape.window.kernel, [&](const Extent3& tap) {
        const Extent3 in = tap_position(shape.window, out, tap);
        const bool within = inside(in, kOrigin, shape.in);
        if (within) sum += x[offset(in, shape.in)];
        if (within || (count_padding && inside(in, padded_low, padded_high))) ++count;
      });
      *y++ = count == 0 ? 0 : sum / static_cast<double>(count);
    });
    x += volume(shape.in);
  }
}

void lrn_across(const LrnParams& params, int64_t n, int64_t c, int64_t inner, const double* x, double* y) {
  const int64_t before = (params.size - 1) / 2, after = params.size / 2;
  const double factor = params.alpha / static_cast<double>(params.size);
  for (int64_t image = 0; image < n; ++image) {
    for (int64_t channel = 0; channel < c; ++channel) {
      const int64_t first = std::max<int64_t>(0, channel - before), last = std::min(c - 1, channel + after);
      for (int64_t i = 0; i < inner; ++i) {
        double squares = 0;
        for (int64_t k = first; k <= last; ++k) squares += x[k * inner + i] * x[k * inner + i];
        *y++ = x[channel * inner + i] * std::pow(params.bias + factor * squares, -params.beta);
      }
    }
    x += c * inner;
  }
}

void lrn_within(const LrnParams& params, int64_t planes, int64_t h, int64_t w, const double* x, double* y) {
  const int64_t before = (params.size - 1) / 2, after = params.size / 2;
  const double factor = params.alpha / (static_cast<double>(params.size) * static_cast<double>(params.size));
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t row = 0; row < h; ++row) {
      for (int64_t column = 0; column < w; ++column) {
        double squares = 0;
        for (int64_t i = std::max<int64_t>(0, row - before); i <= std::min(h - 1, row + after); ++i) {
          for (int64_t j = std::max<int64_t>(0, column - before); j <= std::min(w - 1, column + after); ++j) {
            squares += x[i * w + j] * x[i * w + j];
          }
        }
        *y++ = x[row * w + column] * std::pow(params.bias + factor * squares, -params.beta);
      }
    }
    x += h * w;
  }
}

}  // namespace xdn::reference
