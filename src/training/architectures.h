#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace xdn::training {

struct ArchitectureOptions {
  int64_t classes = 10;
  int64_t size = 32;  ///< side of the images
  uint64_t seed = 0;
};

/// The names build_architecture takes, in the order help lists them.
std::vector<std::string> architecture_names();

/// A network as published, untrained: "input" [N,3,size,size] to logits [N,classes].
///   resnet20, resnet56, resnet110: He et al. 2015, for CIFAR; projections where a shortcut changes its shape
///   resnet18, resnet34, resnet50, resnet101: He et al. 2015; stride of a bottleneck in its 3x3
///   mobilenetv2: Sandler et al. 2018, width 1
/// Up to 64 pixels a side, the last five begin as CIFAR networks do: a 3x3 convolution of stride 1 without a
/// pool (MobileNetV2: strides 1 in the stem and the first stage that has one). Convolutions are Kaiming
/// normal (fan out), the classifier uniform within 1 / sqrt(inputs), BatchNorms 1 and 0. Equal seeds give
/// equal weights. Throws an input error for an unknown name, or a size too small.
Graph build_architecture(const std::string& name, const ArchitectureOptions& options);

}  // namespace xdn::training
