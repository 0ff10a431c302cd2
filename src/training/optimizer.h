#pragma once

#include <torch/types.h>

#include <vector>

#include "training/module.h"

namespace xdn::training {

/// Stochastic gradient descent with Nesterov's momentum (as Sutskever et al. 2013 write it) and weight decay
/// on those parameters that decay:
///   g += decay * w;  m = momentum * m + g;  w -= rate * (g + momentum * m)
/// then w = max(w, lowest) where the parameter has that; and, where asked, the running average of parameters
/// and BatchNorm statistics:
///   a += (1 - ema) * (w - a)
/// On a CPU a step is one pass over the memory of a parameter.
class Optimizer {
 public:
  struct Options {
    double momentum = 0.9, weight_decay = 5e-4;
    bool nesterov = true;
    double ema = 0;  ///< 0: no average
  };
  Optimizer(const Module& module, const Options& options);

  /// Uses up the gradients. Step counts from 0: the average follows faster at first, by min(ema, (1 + step) /
  /// (10 + step)).
  void step(double rate, int64_t step);

  /// One per parameter.
  const std::vector<at::Tensor>& momenta() const { return momenta_; }
  /// One per parameter, then one per statistic; none without ema.
  const std::vector<at::Tensor>& averages() const { return averages_; }

 private:
  void update(size_t i, float rate, float average_share);

  const Module& module_;
  const Options options_;
  std::vector<at::Tensor> momenta_, averages_;
};

}  // namespace xdn::training
