#include "kernels/reference/elementwise.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/error.h"
#include "kernels/reference/walk.h"

namespace xdn::reference {
namespace {

template <class W>
W divide(W a, W b) {
  if constexpr (std::is_floating_point_v<W>) {
    return a / b;
  } else {
    if (b == 0) throw input_error("expected a divisor other than 0 in an integer division");
    if constexpr (std::is_signed_v<W>) {
      if (b == -1) return static_cast<W>(uint64_t{0} - static_cast<uint64_t>(a));
    }
    return a / b;
  }
}

/// Sums, differences and products: modulo 2^64 for integers.
template <class W, class F>
W wrapping(W a, W b, F f) {
  if constexpr (std::is_floating_point_v<W>) {
    return f(a, b);
  } else {
    return static_cast<W>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  }
}

template <class W>
W maximum(W a, W b) {
  if constexpr (std::is_floating_point_v<W>) {
    if (std::isnan(a)) return a;
    if (std::isnan(b)) return b;
  }
  return a < b ? b : a;
}

template <class W>
W apply(Binary op, W a, W b) {
  switch (op) {
    case Binary::kAdd:
      return wrapping(a, b, [](auto p, auto q) { return p + q; });
    case Binary::kSub:
      return wrapping(a, b, [](auto p, auto q) { return p - q; });
    case Binary::kMul:
      return wrapping(a, b, [](auto p, auto q) { return p * q; });
    case Binary::kDiv:
      return divide(a, b);
    case Binary::kMax:
      return maximum(a, b);
    case Binary::kPRelu:
      break;
  }
  return a < W{0} ? wrapping(a, b, [](auto p, auto q) { return p * q; }) : a;
}

template <class W, class E>
W integer_power(W base, E exponent) {
  if (exponent < E{0}) {
    if (base == W{0}) throw input_error("expected no negative power of the integer 0");
    if (base == W{1}) return W{1};
    if (base == static_cast<W>(-1) && std::is_signed_v<W>) return exponent % 2 == 0 ? W{1} : base;
    return W{0};
  }
  uint64_t result = 1, factor = static_cast<uint64_t>(base);
  for (auto rest = static_cast<uint64_t>(exponent); rest != 0; rest >>= 1) {
    if ((rest & 1) != 0) result *= factor;
    factor *= factor;
  }
  return static_cast<W>(result);
}

template <class W, class E>
W raise(W base, E exponent) {
  if constexpr (std::is_floating_point_v<W>) {
    return std::pow(base, static_cast<double>(exponent));
  } else if constexpr (std::is_floating_point_v<E>) {
    return saturate_to(std::pow(static_cast<double>(base), exponent), std::numeric_limits<W>::min(),
                       std::numeric_limits<W>::max());
  } else {
    return integer_power(base, exponent);
  }
}

double clip(double x, double low, double high) {
  if (x < low) x = low;
  return x > high ? high : x;
}

template <class I>
I saturate(double value, I low, I high) {
  if (std::isnan(value)) return I{0};
  // high may round up to a power of two: a value equal to it does not fit the type any more.
  if (value >= static_cast<double>(high)) return high;
  if (value <= static_cast<double>(low)) return low;
  return static_cast<I>(value);
}

}  // namespace

int64_t saturate_to(double value, int64_t low, int64_t high) { return saturate(value, low, high); }
uint64_t saturate_to(double value, uint64_t low, uint64_t high) { return saturate(value, low, high); }

template <class W>
void binary(Binary op, const Dims& dims, const W* a, const Dims& a_strides, const W* b, const Dims& b_strides,
            W* y) {
  walk(dims, a_strides, b_strides, [&](int64_t i, int64_t j) { *y++ = apply(op, a[i], b[j]); });
}

template <class W, class E>
void power(const Dims& dims, const W* base, const Dims& base_strides, const E* exponent,
           const Dims& exponent_strides, W* y) {
  walk(dims, base_strides, exponent_strides,
       [&](int64_t i, int64_t j) { *y++ = raise(base[i], exponent[j]); });
}

void unary(Unary op, double a, double b, double* x, int64_t size) {
  const auto each = [&](auto f) { std::transform(x, x + size, x, f); };
  switch (op) {
    case Unary::kRelu:
      return each([](double v) { return v < 0 ? 0 : v; });
    case Unary::kLeakyRelu:
      return each([a](double v) { return v < 0 ? a * v : v; });
    case Unary::kClip:
      return each([a, b](double v) { return clip(v, a, b); });
    case Unary::kSigmoid:
      return each([](double v) { return 1 / (1 + std::exp(-v)); });
    case Unary::kHardSigmoid:
      return each([a, b](double v) { return clip(a * v + b, 0, 1); });
    case Unary::kHardSwish:
      return each([](double v) { return v * clip(v / 6 + 0.5, 0, 1); });
  }
}

#define XDN_INSTANTIATE(W)                                                                              \
  template void binary<W>(Binary, const Dims&, const W*, const Dims&, const W*, const Dims&, W*);       \
  template void power<W, double>(const Dims&, const W*, const Dims&, const double*, const Dims&, W*);   \
  template void power<W, int64_t>(const Dims&, const W*, const Dims&, const int64_t*, const Dims&, W*); \
  template void power<W, uint64_t>(const Dims&, const W*, const Dims&, const uint64_t*, const Dims&, W*);
XDN_INSTANTIATE(double)
XDN_INSTANTIATE(int64_t)
XDN_INSTANTIATE(uint64_t)
#undef XDN_INSTANTIATE

}  // namespace xdn::reference
