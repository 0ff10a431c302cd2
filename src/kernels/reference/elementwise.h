#pragma once

#include <cstdint>

#include "base/tensor.h"

// W, here and in the other headers of this folder, is the type arithmetic happens in: double for the floating
// types, int64_t and uint64_t for the integers, which wrap.
namespace xdn::reference {

enum class Binary : uint8_t { kAdd, kSub, kMul, kDiv, kMax, kPRelu };

/// y[dims] = op(a, b); a stride is 0 along an axis that is broadcast. Integers divide towards zero; dividing
/// one by zero is an input error. Max is NaN where an operand is. PRelu: a where a >= 0, else a * b.
template <class W>
void binary(Binary op, const Dims& dims, const W* a, const Dims& a_strides, const W* b, const Dims& b_strides,
            W* y);

/// y = base ^ exponent. An integer base takes a floating exponent through double, truncating; an integer
/// power wraps, a negative one of anything but 1 and -1 is 0, and of 0 an input error.
template <class W, class E>
void power(const Dims& dims, const W* base, const Dims& base_strides, const E* exponent,
           const Dims& exponent_strides, W* y);

enum class Unary : uint8_t { kRelu, kLeakyRelu, kClip, kSigmoid, kHardSigmoid, kHardSwish };

/// x = op(x), with the operator's parameters: leaky_relu's slope a; clip's [a, b] (b wins over a);
/// clip(a * x + b, 0, 1) for hard_sigmoid. NaN stays NaN.
void unary(Unary op, double a, double b, double* x, int64_t size);

/// double to integer: truncates, saturates, and NaN becomes 0.
int64_t saturate_to(double value, int64_t low, int64_t high);
uint64_t saturate_to(double value, uint64_t low, uint64_t high);

}  // namespace xdn::reference
