#pragma once

#include <random>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace xdn::bench {

/// A value and its channels.
struct Map {
  ValueId id;
  int64_t channels;
};

enum class Act { kNone, kRelu, kRelu6 };
/// What stands behind a convolution in the published network.
enum class Behind { kBatchNorm, kBias, kNothing };

struct ConvForm {
  int64_t kernel = 1, stride = 1, group = 1;
  Act act = Act::kNone;
  double gain = 1;  ///< on the variance-keeping scale
  Behind behind = Behind::kBatchNorm;
  int64_t pad = -1;  ///< -1: half the kernel
};

/// Writes a network layer by layer, with random weights scaled so that activations neither vanish nor grow.
class NetWriter {
 public:
  /// keep_norms: BatchNorms behind convolutions stay nodes; otherwise they are biases, as trainers export
  /// them.
  explicit NetWriter(bool keep_norms) : keep_norms_(keep_norms) {}

  Map input(int64_t size);
  Map conv(Map x, int64_t channels, const ConvForm& form);
  /// A BatchNorm of its own, which no convolution in front of it can take in.
  Map norm(Map x, Act kind);
  Map act(Map x, Act kind);
  Map sum(Map a, Map b, Act kind);
  Map concat(const std::vector<Map>& parts);
  Map lrn(Map x);
  /// Every second position, and zero channels around: what a residual network for CIFAR has for a projection.
  Map subsample(Map x, int64_t channels, int64_t size);
  Map max_pool(Map x, int64_t kernel, int64_t stride, int64_t pad, bool ceil = false);
  Map average_pool(Map x, int64_t kernel, int64_t stride);
  Map global_average_pool(Map x);
  /// [N, c, h, w] to [N, c * h * w]; area is h * w.
  Map flatten(Map x, int64_t area = 1);
  Map linear(Map x, int64_t outputs, Act kind, const std::string& name);

  /// Global pool, flatten and one linear layer; the network is finished.
  Graph classifier(Map x, int64_t classes);
  /// The graph with this output, verified. The writer is spent.
  Graph finish(Map output);

 private:
  ValueId add(OpType type, OpAttrs attrs, const std::string& name, std::vector<ValueId> inputs);
  ValueId batchnorm(ValueId x, int64_t channels, const std::string& name);
  /// Uniform, with the given mean and standard deviation.
  Tensor random(Dims dims, double deviation, double mean = 0);

  Graph graph_;
  const bool keep_norms_;
  std::mt19937_64 bits_{1};
  int convolutions_ = 0, sums_ = 0, others_ = 0;
};

}  // namespace xdn::bench
