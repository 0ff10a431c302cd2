#include "fusion/conv_weights.h"

#include <algorithm>
#include <cmath>

namespace xdn::fusion {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 28;

template <class F>
void with_elements(Tensor& tensor, F&& f) {
  if (tensor.dtype() == DType::kF32) {
    f(tensor.mutable_data<float>());
  } else {
    f(tensor.mutable_data<double>());
  }
}

int64_t product(const Dims& dims, size_t from) {
  int64_t out = 1;
  for (size_t i = from; i < dims.size(); ++i) out *= dims[i];
  return out;
}

double channel_pairs(const Graph& graph, const Node& conv) {
  const Dims& w = graph.value(conv.inputs[1]).shape;
  return std::max(1.0, static_cast<double>(w[0]) * static_cast<double>(w[1]));
}

}  // namespace

std::optional<Dims> identity_tap(const Window& window) {
  Dims tap(window.kernel.size());
  for (size_t i = 0; i < tap.size(); ++i) {
    if (window.pads_begin[i] % window.dilations[i] != 0) return std::nullopt;
    tap[i] = window.pads_begin[i] / window.dilations[i];
    if (tap[i] >= window.kernel[i]) return std::nullopt;
  }
  return tap;
}

bool identity_stays_inside(const Window& window, const Dims& in, const Dims& out) {
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    if (out[i + 2] < 1 || in[i + 2] < 1 || out[i + 2] - 1 > (in[i + 2] - 1) / window.strides[i]) return false;
  }
  return true;
}

std::optional<Dims> place_within(const Window& small, const Window& large) {
  if (small.strides != large.strides || small.kernel.size() != large.kernel.size()) return std::nullopt;
  Dims offset(large.kernel.size());
  for (size_t i = 0; i < offset.size(); ++i) {
    if (small.kernel[i] > 1 && small.dilations[i] != large.dilations[i]) return std::nullopt;
    const int64_t distance = large.pads_begin[i] - small.pads_begin[i];
    if (distance < 0 || distance % large.dilations[i] != 0) return std::nullopt;
    offset[i] = distance / large.dilations[i];
    if (offset[i] > large.kernel[i] - small.kernel[i]) return std::nullopt;
  }
  return offset;
}

bool has_own_weights(const Graph& graph, const Node& conv) {
  return graph.is_constant(conv.input(1)) && is_foldable_type(graph.value(conv.input(1)).dtype) &&
         (conv.input(2) == kNoValue || graph.is_constant(conv.input(2)));
}

double conv_macs(const Graph& graph, const Node& conv) {
  return static_cast<double>(node_cost(graph, conv).macs_effective);
}

double macs_per_channel_pair(const Graph& graph, const Node& conv) {
  return conv_macs(graph, conv) / channel_pairs(graph, conv);
}

double bytes_per_channel_pair(const Graph& graph, const Node& conv) {
  return value_bytes(graph, conv.inputs[1]) / channel_pairs(graph, conv);
}

std::optional<ConvWeights> ConvWeights::make(DType dtype, int64_t oc, int64_t ic, const Dims& kernel) {
  Dims dims{oc, ic};
  dims.insert(dims.end(), kernel.begin(), kernel.end());
  double elements = 1;
  for (const int64_t extent : dims) elements *= static_cast<double>(extent);
  if (elements > static_cast<double>(kMostElements)) return std::nullopt;
  return ConvWeights(Tensor(dtype, std::move(dims)));
}

int64_t ConvWeights::tap_offset(const Dims& tap) const {
  int64_t offset = 0;
  for (size_t i = 0; i < tap.size(); ++i) offset = offset * tensor_.dim(i + 2) + tap[i];
  return offset;
}

void ConvWeights::add(const Tensor& block, int64_t oc, int64_t ic, const Dims& tap) {
  const int64_t taps = product(tensor_.dims(), 2), block_taps = product(block.dims(), 2);
  std::vector<int64_t> offsets(static_cast<size_t>(block_taps));
  for (int64_t t = 0; t < block_taps; ++t) {
    Dims at = tap;
    for (size_t axis = at.size(), rest = static_cast<size_t>(t); axis-- > 0;) {
      const auto extent = static_cast<size_t>(block.dim(axis + 2));
      at[axis] += static_cast<int64_t>(rest % extent);
      rest /= extent;
    }
    offsets[static_cast<size_t>(t)] = tap_offset(at);
  }
  with_elements(tensor_, [&]<class T>(std::span<T> dst) {
    const std::span<const T> src = block.data<T>();
    size_t from = 0;
    for (int64_t o = 0; o < block.dim(0); ++o) {
      for (int64_t c = 0; c < block.dim(1); ++c) {
        const int64_t to = ((oc + o) * tensor_.dim(1) + ic + c) * taps;
        for (const int64_t offset : offsets) dst[static_cast<size_t>(to + offset)] += src[from++];
      }
    }
  });
}

void ConvWeights::add_identity(int64_t count, int64_t wrap, int64_t oc, int64_t ic, const Dims& tap) {
  const int64_t taps = product(tensor_.dims(), 2), offset = tap_offset(tap);
  with_elements(tensor_, [&](auto dst) {
    for (int64_t i = 0; i < count; ++i)
      dst[static_cast<size_t>(((oc + i) * tensor_.dim(1) + ic + i % wrap) * taps + offset)] += 1;
  });
}

std::optional<Tensor> ConvWeights::finish() {
  bool finite = true;
  with_elements(tensor_, [&](auto elements) {
    finite = std::all_of(elements.begin(), elements.end(), [](auto x) { return std::isfinite(x); });
  });
  if (!finite) return std::nullopt;
  return std::move(tensor_);
}

}  // namespace xdn::fusion
