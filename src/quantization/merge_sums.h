#pragma once

#include <array>
#include <string>
#include <vector>

#include "quantization/linear_layer.h"

namespace xdn {

/// An Add of two convolutions' results that nobody else reads: a residual block's last convolution and its
/// projection. Where sx * sw[j], the scales of input and weights, are the same in both for every output
/// channel, integers can be summed in one accumulation: see docs/executor.md.
struct ConvolutionSum {
  std::string add;  ///< the Add's name
  std::array<LinearLayer, 2> convs;
};
std::vector<ConvolutionSum> convolution_sums(const Graph& graph);

/// The scales of both convolutions' weights, by output channel, that make sx * sw the larger one of both.
std::array<std::vector<float>, 2> tied_scales(const std::array<float, 2>& x_scales,
                                              const std::array<std::vector<float>, 2>& scales);

}  // namespace xdn
