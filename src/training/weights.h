#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "training/checkpoint.h"
#include "training/module.h"

namespace xdn::training {

using Tensors = std::vector<at::Tensor>;

/// Of a module: its parameters, then its statistics; the tensors themselves.
Tensors weights_of(const Module& module);
std::vector<std::string> weight_names(const Module& module);

Tensors copies(const Tensors& tensors);
void assign(const Tensors& dst, const Tensors& src);

/// Into a checkpoint and back, by prefix and name.
void put(Checkpoint& checkpoint, const std::string& prefix, const std::vector<std::string>& names,
         const Tensors& tensors);
/// Throws an input error where a tensor of that name, type and shape is missing.
void get(const Checkpoint& checkpoint, const std::string& prefix, const std::vector<std::string>& names,
         const Tensors& tensors);

}  // namespace xdn::training
