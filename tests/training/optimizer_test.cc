#include "training/optimizer.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "support/nets.h"
#include "training/module_support.h"

namespace xdn::testing {
namespace {

using training::Module;
using training::Optimizer;

Graph small_net() {
  NetBuilder net(3);
  const ValueId x = net.conv(net.input(3, 6, 6), 3, 8, {3, 1, 1});
  return net.finish(net.classifier(net.conv(x, 8, 8, {1, 1, 0}), 8, 5));
}

/// libtorch's own SGD on the same parameters, one group that decays and one that does not.
TEST(Optimizer, StepsAreThoseOfLibtorch) {
  for (const bool nesterov : {true, false}) {
    Module ours(small_net()), theirs(small_net());
    Optimizer optimizer(ours, {.momentum = 0.8, .weight_decay = 0.01, .nesterov = nesterov, .ema = 0});
    std::vector<torch::Tensor> decaying, others;
    for (const auto& p : theirs.parameters()) (p.decays ? decaying : others).push_back(p.value);
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.emplace_back(
        decaying, std::make_unique<torch::optim::SGDOptions>(
                      torch::optim::SGDOptions(0.1).momentum(0.8).weight_decay(0.01).nesterov(nesterov)));
    groups.emplace_back(others, std::make_unique<torch::optim::SGDOptions>(
                                    torch::optim::SGDOptions(0.1).momentum(0.8).nesterov(nesterov)));
    torch::optim::SGD reference(groups, torch::optim::SGDOptions(0.1));
    for (int64_t step = 0; step < 4; ++step) {
      const at::Tensor images =
          training::to_torch(random_images(small_net(), 4, static_cast<uint64_t>(step)));
      ours.forward(images).logits.square().sum().backward();
      theirs.forward(images).logits.square().sum().backward();
      optimizer.step(0.1, step);
      reference.step();
      reference.zero_grad();
    }
    for (size_t i = 0; i < ours.parameters().size(); ++i) {
      EXPECT_TRUE(at::allclose(ours.parameters()[i].value, theirs.parameters()[i].value, 1e-4, 1e-6))
          << ours.parameters()[i].name;
      EXPECT_FALSE(ours.parameters()[i].value.grad().defined());
    }
  }
}

TEST(Optimizer, TheAverageFollowsTheWeights) {
  Module module(small_net());
  Optimizer optimizer(module, {.momentum = 0, .weight_decay = 0, .nesterov = true, .ema = 0.5});
  at::Tensor expected = module.parameters()[0].value.detach().clone();
  for (int64_t step = 0; step < 12; ++step) {
    module.forward(training::to_torch(random_images(small_net(), 4))).logits.square().sum().backward();
    optimizer.step(0.01, step);
    const double decay = std::min(0.5, (1 + static_cast<double>(step)) / (10 + static_cast<double>(step)));
    expected = decay * expected + (1 - decay) * module.parameters()[0].value.detach();
  }
  EXPECT_TRUE(at::allclose(optimizer.averages()[0], expected, 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(optimizer.averages()[0], module.parameters()[0].value));
}

}  // namespace
}  // namespace xdn::testing
