#pragma once

#include <span>

#include "graph/graph.h"

namespace xdn::bench {

/// Networks as published. batchnorm: BatchNorms stay nodes where the published network has them; otherwise
/// those that a convolution can take in are biases.
Graph resnet18(int64_t size, bool batchnorm);
Graph resnet34(int64_t size, bool batchnorm);
Graph resnet50(int64_t size, bool batchnorm);
Graph resnet101(int64_t size, bool batchnorm);
Graph resnet56(int64_t size, bool batchnorm);  ///< for CIFAR-10
Graph mobilenet_v2(int64_t size, bool batchnorm);
Graph densenet121(int64_t size, bool batchnorm);
// These three have none.
Graph vgg16(int64_t size, bool batchnorm);
Graph googlenet(int64_t size, bool batchnorm);
Graph squeezenet(int64_t size, bool batchnorm);  ///< 1.1

struct Net {
  const char* name;
  Graph (*make)(int64_t size, bool batchnorm);
  int64_t size;  ///< side of the images it was published for
};
std::span<const Net> all_nets();

}  // namespace xdn::bench
