#pragma once

#include <optional>

#include "fusion/affine.h"
#include "fusion/cost.h"

namespace xdn::fusion {

/// Per spatial axis the tap that reads position o * stride for output position o; nothing where there is
/// none.
std::optional<Dims> identity_tap(const Window& window);

/// Whether that tap reads inside the map for every output position.
bool identity_stays_inside(const Window& window, const Dims& in, const Dims& out);

/// Per spatial axis where the taps of `small` stand among those of `large`, which is applied in its stead:
/// every tap keeps its place in the input. Nothing where they do not fit.
std::optional<Dims> place_within(const Window& small, const Window& large);

/// Whether a rewrite may read and replace this Conv's weights and bias: constants of a type that is folded.
bool has_own_weights(const Graph& graph, const Node& conv);

/// Effective multiply-accumulates per image of the whole Conv, and of one pair of an output and an input
/// channel.
double conv_macs(const Graph& graph, const Node& conv);
double macs_per_channel_pair(const Graph& graph, const Node& conv);

/// Bytes of the weights of one pair.
double bytes_per_channel_pair(const Graph& graph, const Node& conv);

/// Weights [oc, ic / group, taps...] under construction, zeros at first.
class ConvWeights {
 public:
  /// Nothing where they would be absurdly large.
  static std::optional<ConvWeights> make(DType dtype, int64_t oc, int64_t ic, const Dims& kernel);

  /// Adds a block of weights, its first output channel, input channel and taps standing there.
  void add(const Tensor& block, int64_t oc, int64_t ic, const Dims& tap);
  /// Adds 1 where input channel ic + i % wrap meets output channel oc + i at the tap, for i in [0, count).
  void add_identity(int64_t count, int64_t wrap, int64_t oc, int64_t ic, const Dims& tap);
  /// Nothing where a sum is too large for the element type.
  std::optional<Tensor> finish();

 private:
  explicit ConvWeights(Tensor tensor) : tensor_(std::move(tensor)) {}
  int64_t tap_offset(const Dims& tap) const;

  Tensor tensor_;
};

}  // namespace xdn::fusion
