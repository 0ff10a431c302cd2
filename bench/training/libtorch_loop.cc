// The loop that xdn train is measured against: the same network, optimizer and loss, written straight in
// libtorch with its own modules, on synthetic images that lie in memory as tensors. Prints images per second.

#include <ATen/autocast_mode.h>
#include <fmt/format.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <chrono>

namespace {

namespace nn = torch::nn;

nn::Sequential conv_norm(int64_t in, int64_t out, int64_t kernel, int64_t stride) {
  return nn::Sequential(
      nn::Conv2d(nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false)),
      nn::BatchNorm2d(out));
}

/// A residual block; its branch and shortcut are sequences.
struct BlockImpl : nn::Module {
  BlockImpl(int64_t in, int64_t out, int64_t stride, bool bottleneck) {
    branch = register_module("branch", nn::Sequential());
    const auto extend = [&](const nn::Sequential& part, bool last) {
      branch->extend(*part);
      if (!last) branch->push_back(nn::ReLU(nn::ReLUOptions(true)));
    };
    const int64_t middle = bottleneck ? out / 4 : out;
    if (bottleneck) extend(conv_norm(in, middle, 1, 1), false);
    extend(conv_norm(bottleneck ? middle : in, middle, 3, stride), false);
    extend(conv_norm(middle, out, bottleneck ? 1 : 3, 1), true);
    if (stride != 1 || in != out) shortcut = register_module("shortcut", conv_norm(in, out, 1, stride));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    torch::Tensor sum = branch->forward(x) + (shortcut.is_empty() ? x : shortcut->forward(x));
    return sum.relu_();
  }
  nn::Sequential branch{nullptr}, shortcut{nullptr};
};
TORCH_MODULE(Block);

/// As --arch NAME builds them for images of 32 x 32.
nn::Sequential network(const std::string& name) {
  const bool bottleneck = name == "resnet50";
  const std::vector<int64_t> blocks =
      bottleneck ? std::vector<int64_t>{3, 4, 6, 3} : std::vector<int64_t>{3, 3, 3};
  const int64_t stem = bottleneck ? 64 : 16;
  nn::Sequential net = conv_norm(3, stem, 3, 1);
  net->push_back(nn::ReLU(nn::ReLUOptions(true)));
  int64_t in = stem, out = stem * (bottleneck ? 4 : 1);
  for (size_t stage = 0; stage < blocks.size(); ++stage, out *= 2) {
    for (int64_t i = 0; i < blocks[stage]; ++i) {
      net->push_back(Block(in, out, i == 0 && stage > 0 ? 2 : 1, bottleneck));
      in = out;
    }
  }
  net->push_back(nn::AdaptiveAvgPool2d(1));
  net->push_back(nn::Flatten());
  net->push_back(nn::Linear(in, 10));
  return net;
}

double images_per_second(const std::string& name, int64_t batch, int64_t steps, bool bf16) {
  nn::Sequential net = network(name);
  for (torch::Tensor& p : net->parameters()) {
    if (p.dim() == 4) p.set_data(p.detach().contiguous(at::MemoryFormat::ChannelsLast));
  }
  torch::optim::SGD optimizer(net->parameters(),
                              torch::optim::SGDOptions(0.01).momentum(0.9).weight_decay(5e-4).nesterov(true));
  const torch::Tensor images = torch::randn({batch, 3, 32, 32}).contiguous(at::MemoryFormat::ChannelsLast);
  const torch::Tensor labels = torch::randint(10, {batch});
  constexpr int64_t kWarmUp = 3;
  auto start = std::chrono::steady_clock::now();
  for (int64_t i = -kWarmUp; i < steps; ++i) {
    if (i == 0) start = std::chrono::steady_clock::now();
    at::autocast::set_cpu_enabled(bf16);
    const torch::Tensor logits = net->forward(images);
    at::autocast::clear_cache();
    at::autocast::set_cpu_enabled(false);
    const torch::Tensor loss = nn::functional::cross_entropy(logits.to(at::kFloat), labels);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    (void)loss.item<float>();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return static_cast<double>(steps * batch) / seconds.count();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A training loop straight in libtorch; compare with xdn train --arch NAME at the same batch.");
  std::string name = "resnet20", precision = "fp32";
  int64_t batch = 128, steps = 30;
  int threads = 2;
  app.add_option("--arch", name)->check(CLI::IsMember({"resnet20", "resnet50"}))->capture_default_str();
  app.add_option("--precision", precision)->check(CLI::IsMember({"fp32", "bf16"}))->capture_default_str();
  app.add_option("--batch", batch)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--steps", steps)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--threads", threads)->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(threads);
  fmt::print("{} {} batch {} threads {}: {:.1f} images/s\n", name, precision, batch, threads,
             images_per_second(name, batch, steps, precision == "bf16"));
  return 0;
}
