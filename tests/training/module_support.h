#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "executor/reference.h"
#include "support/guarded.h"
#include "training/module.h"

namespace xdn::testing {

/// n images for the graph's input, uniform in [-1, 1).
inline Tensor random_images(const Graph& graph, int64_t n, uint64_t seed = 1) {
  Dims dims = graph.value(graph.inputs()[0]).shape;
  dims[0] = n;
  Tensor images(DType::kF32, dims);
  Uniform uniform(seed);
  for (float& x : images.mutable_data<float>()) x = uniform();
  return images;
}

inline float largest(const Tensor& tensor) {
  float most = 0;
  for (const float x : tensor.data<float>()) most = std::max(most, std::abs(x));
  return most;
}

/// The module's outputs in evaluation mode are the reference's, within 64 roundings of the largest value per
/// node.
inline void expect_like_reference(const Graph& graph, int64_t n = 2) {
  const Tensor images = random_images(graph, n);
  std::map<std::string, Tensor> values;
  const std::vector<Tensor> expected = run_reference(graph, std::vector{images}, &values);
  float scale = 1;
  for (const auto& [name, value] : values) {
    if (value.dtype() == DType::kF32) scale = std::max(scale, largest(value));
  }
  const float tolerance =
      64 * std::numeric_limits<float>::epsilon() * scale * static_cast<float>(graph.order().size());
  training::Module module(graph);
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> got = module.outputs(training::to_torch(images));
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const Tensor result = training::from_torch(got[i]);
    ASSERT_EQ(result.dims(), expected[i].dims());
    const auto a = result.data<float>(), b = expected[i].data<float>();
    for (size_t j = 0; j < a.size(); ++j) ASSERT_NEAR(a[j], b[j], tolerance) << "output " << i << " at " << j;
  }
}

}  // namespace xdn::testing
