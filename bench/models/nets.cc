#include "models/nets.h"

#include "models/net_writer.h"

namespace xdn::bench {

Graph vgg16(int64_t size, bool batchnorm) {
  constexpr struct {
    int64_t channels;
    int convolutions;
  } kStages[] = {{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}};
  NetWriter net(batchnorm);
  Map x = net.input(size);
  for (const auto& stage : kStages) {
    for (int i = 0; i < stage.convolutions; ++i)
      x = net.conv(x, stage.channels, {3, 1, 1, Act::kRelu, 1, Behind::kBias});
    x = net.max_pool(x, 2, 2, 0);
    size /= 2;
  }
  x = net.linear(net.flatten(x, size * size), 4096, Act::kRelu, "fc6");
  return net.finish(net.linear(net.linear(x, 4096, Act::kRelu, "fc7"), 1000, Act::kNone, "logits"));
}

std::span<const Net> all_nets() {
  static constexpr Net kNets[] = {
      {"resnet18", resnet18, 224},       {"resnet34", resnet34, 224},
      {"resnet50", resnet50, 224},       {"resnet101", resnet101, 224},
      {"resnet56", resnet56, 32},        {"mobilenet_v2", mobilenet_v2, 224},
      {"densenet121", densenet121, 224}, {"googlenet", googlenet, 224},
      {"squeezenet", squeezenet, 224},   {"vgg16", vgg16, 224},
  };
  return kNets;
}

}  // namespace xdn::bench
