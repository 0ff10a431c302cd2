#include "training/weights.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include "base/error.h"

namespace xdn::training {

Tensors weights_of(const Module& module) {
  Tensors all;
  for (const Parameter& p : module.parameters()) all.push_back(p.value);
  for (const Statistic& s : module.statistics()) all.push_back(s.value);
  return all;
}

std::vector<std::string> weight_names(const Module& module) {
  std::vector<std::string> all;
  for (const Parameter& p : module.parameters()) all.push_back(p.name);
  for (const Statistic& s : module.statistics()) all.push_back(s.name);
  return all;
}

Tensors copies(const Tensors& tensors) {
  Tensors all;
  for (const at::Tensor& tensor : tensors) all.push_back(tensor.detach().clone());
  return all;
}

void assign(const Tensors& dst, const Tensors& src) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < dst.size(); ++i) at::Tensor(dst[i]).copy_(src[i]);
}

void put(Checkpoint& checkpoint, const std::string& prefix, const std::vector<std::string>& names,
         const Tensors& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    checkpoint.tensors.emplace(prefix + names[i], from_torch(tensors[i]));
  }
}

void get(const Checkpoint& checkpoint, const std::string& prefix, const std::vector<std::string>& names,
         const Tensors& tensors) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto found = checkpoint.tensors.find(prefix + names[i]);
    if (found == checkpoint.tensors.end() || found->second.dtype() != DType::kF32 ||
        found->second.dims() != tensors[i].sizes().vec()) {
      throw input_error(fmt::format("lacks a tensor {} of shape {}", printable(prefix + names[i]),
                                    to_string(tensors[i].sizes().vec())));
    }
    at::Tensor(tensors[i]).copy_(to_torch(found->second));
  }
}

}  // namespace xdn::training
