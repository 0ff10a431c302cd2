#include "training/optimizer.h"

#include <ATen/Parallel.h>
#include <torch/torch.h>

#include <algorithm>

#include "base/error.h"

namespace xdn::training {
namespace {

constexpr int64_t kGrain = 16384;  ///< elements a thread takes at least

/// The gradient in the memory order of the parameter. Strides of single elements mean nothing.
at::Tensor same_order(const at::Tensor& gradient, const at::Tensor& parameter) {
  bool same = true;
  for (int64_t axis = 0; axis < parameter.dim(); ++axis) {
    same = same && (parameter.size(axis) == 1 || gradient.stride(axis) == parameter.stride(axis));
  }
  return same ? gradient : at::empty_like(parameter).copy_(gradient);
}

struct Coefficients {
  float rate, decay, momentum, lookahead, average_share;
};

void update_range(const Coefficients& c, int64_t first, int64_t last, const float* __restrict g,
                  const float* __restrict lowest, float* __restrict w, float* __restrict m,
                  float* __restrict a) {
  const auto next = [&](int64_t i) {
    const float gradient = g[i] + c.decay * w[i];
    m[i] = c.momentum * m[i] + gradient;
    w[i] -= c.rate * (c.lookahead == 0 ? m[i] : gradient + c.lookahead * m[i]);
    if (lowest != nullptr) w[i] = std::max(w[i], lowest[i]);
  };
  if (a == nullptr) {
    for (int64_t i = first; i < last; ++i) next(i);
  } else {
    for (int64_t i = first; i < last; ++i) {
      next(i);
      a[i] += c.average_share * (w[i] - a[i]);
    }
  }
}

}  // namespace

Optimizer::Optimizer(const Module& module, const Options& options) : module_(module), options_(options) {
  const at::NoGradGuard no_grad;
  for (const Parameter& parameter : module.parameters()) momenta_.push_back(at::zeros_like(parameter.value));
  if (options.ema == 0) return;
  for (const Parameter& parameter : module.parameters())
    averages_.push_back(parameter.value.detach().clone());
  for (const Statistic& statistic : module.statistics()) averages_.push_back(statistic.value.clone());
}

void Optimizer::update(size_t i, float rate, float average_share) {
  const Parameter& parameter = module_.parameters()[i];
  at::Tensor w = parameter.value;
  if (!w.grad().defined()) return;  // nothing that the loss depends on
  const at::Tensor g = same_order(w.grad(), w);
  const auto momentum = static_cast<float>(options_.momentum);
  const Coefficients c{rate, parameter.decays ? static_cast<float>(options_.weight_decay) : 0.0f, momentum,
                       options_.nesterov ? momentum : 0.0f, average_share};
  at::Tensor m = momenta_[i], a = averages_.empty() ? at::Tensor() : averages_[i];
  if (!w.is_cpu()) {
    const at::Tensor gradient = at::add(g, w, c.decay);
    m.mul_(c.momentum).add_(gradient);
    w.sub_(options_.nesterov ? at::add(gradient, m, c.lookahead) : m, c.rate);
    if (parameter.lowest.defined()) w.clamp_min_(parameter.lowest);
    if (a.defined()) a.lerp_(w, c.average_share);
    return;
  }
  XDN_CHECK(m.strides() == w.strides() && w.is_non_overlapping_and_dense());
  const float* gradient = g.data_ptr<float>();
  float *weights = w.data_ptr<float>(), *momenta = m.data_ptr<float>();
  float* average = a.defined() ? a.data_ptr<float>() : nullptr;
  const float* lowest = parameter.lowest.defined() ? parameter.lowest.data_ptr<float>() : nullptr;
  at::parallel_for(0, w.numel(), kGrain, [&](int64_t first, int64_t last) {
    update_range(c, first, last, gradient, lowest, weights, momenta, average);
  });
}

void Optimizer::step(double rate, int64_t step) {
  const at::NoGradGuard no_grad;
  const auto at = static_cast<double>(step);
  const auto share = static_cast<float>(1 - std::min(options_.ema, (1 + at) / (10 + at)));
  const size_t parameters = module_.parameters().size();
  for (size_t i = 0; i < parameters; ++i) update(i, static_cast<float>(rate), share);
  for (size_t i = parameters; i < averages_.size(); ++i) {
    averages_[i].lerp_(module_.statistics()[i - parameters].value, share);
  }
  for (const Parameter& parameter : module_.parameters()) at::Tensor(parameter.value).mutable_grad().reset();
}

}  // namespace xdn::training
