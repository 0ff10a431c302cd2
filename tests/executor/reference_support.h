#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "executor/reference.h"

namespace xdn::testing {

inline Tensor f32(Dims dims, const std::vector<float>& values) { return Tensor::of(std::move(dims), values); }

/// 1, 2, 3, ... in the given shape.
inline Tensor counting(const Dims& dims) {
  Tensor tensor(DType::kF32, dims);
  float next = 1;
  for (float& value : tensor.mutable_data<float>()) value = next++;
  return tensor;
}

/// Evaluates one operator; null stands for an absent input.
inline Tensor evaluate(OpType type, OpAttrs attrs, const std::vector<const Tensor*>& inputs) {
  Node node;
  node.type = type;
  node.attrs = std::move(attrs);
  node.name = "layer";
  return evaluate_node(node, inputs);
}

template <class T>
std::vector<T> values(const Tensor& tensor) {
  const auto data = tensor.data<T>();
  return {data.begin(), data.end()};
}
inline std::vector<float> floats(const Tensor& tensor) {
  return values<float>(tensor.converted(DType::kF32));
}

/// The message of the input error that f throws.
template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

inline Window window(Dims kernel, Dims strides = {}, Dims begin = {}, Dims end = {}, Dims dilations = {}) {
  const size_t rank = kernel.size();
  const auto or_default = [&](Dims given, int64_t value) {
    return given.empty() ? Dims(rank, value) : std::move(given);
  };
  return {.kernel = std::move(kernel),
          .strides = or_default(std::move(strides), 1),
          .dilations = or_default(std::move(dilations), 1),
          .pads_begin = or_default(std::move(begin), 0),
          .pads_end = or_default(std::move(end), 0)};
}

}  // namespace xdn::testing
