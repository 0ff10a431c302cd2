#include <cmath>

#include "models/net_writer.h"
#include "models/nets.h"

namespace xdn::bench {
namespace {

/// The last convolution of a residual branch adds little, so that sums do not grow with the depth.
constexpr double kBranchGain = 0.4;

Map basic_branch(NetWriter& net, Map x, int64_t channels, int64_t stride) {
  x = net.conv(x, channels, {3, stride, 1, Act::kRelu});
  return net.conv(x, channels, {3, 1, 1, Act::kNone, kBranchGain});
}

Map bottleneck_branch(NetWriter& net, Map x, int64_t channels, int64_t stride) {
  const int64_t middle = channels / 4;
  x = net.conv(x, middle, {1, 1, 1, Act::kRelu});
  x = net.conv(x, middle, {3, stride, 1, Act::kRelu});
  return net.conv(x, channels, {1, 1, 1, Act::kNone, kBranchGain});
}

using Branch = Map (*)(NetWriter&, Map, int64_t, int64_t);

Graph imagenet_resnet(NetWriter net, int64_t size, std::initializer_list<int64_t> blocks, Branch branch,
                      int64_t expansion) {
  Map x = net.max_pool(net.conv(net.input(size), 64, {7, 2, 1, Act::kRelu}), 3, 2, 1);
  int64_t channels = 64 * expansion;
  for (const int64_t count : blocks) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t stride = i == 0 && channels > 64 * expansion ? 2 : 1;
      const Map y = branch(net, x, channels, stride);
      const bool same = stride == 1 && x.channels == channels;
      x = net.sum(y, same ? x : net.conv(x, channels, {1, stride, 1, Act::kNone, std::sqrt(0.5)}),
                  Act::kRelu);
    }
    channels *= 2;
  }
  return net.classifier(x, 1000);
}

}  // namespace

Graph resnet18(int64_t size, bool batchnorm) {
  return imagenet_resnet(NetWriter(batchnorm), size, {2, 2, 2, 2}, basic_branch, 1);
}
Graph resnet34(int64_t size, bool batchnorm) {
  return imagenet_resnet(NetWriter(batchnorm), size, {3, 4, 6, 3}, basic_branch, 1);
}
Graph resnet50(int64_t size, bool batchnorm) {
  return imagenet_resnet(NetWriter(batchnorm), size, {3, 4, 6, 3}, bottleneck_branch, 4);
}
Graph resnet101(int64_t size, bool batchnorm) {
  return imagenet_resnet(NetWriter(batchnorm), size, {3, 4, 23, 3}, bottleneck_branch, 4);
}

Graph resnet56(int64_t size, bool batchnorm) {
  NetWriter net(batchnorm);
  Map x = net.conv(net.input(size), 16, {3, 1, 1, Act::kRelu});
  for (const int64_t channels : {16, 32, 64}) {
    for (int i = 0; i < 9; ++i) {
      const bool same = channels == x.channels;
      const Map shortcut = same ? x : net.subsample(x, channels, size);
      x = net.sum(basic_branch(net, x, channels, same ? 1 : 2), shortcut, Act::kRelu);
      if (!same) size = (size + 1) / 2;
    }
  }
  return net.classifier(x, 10);
}

Graph mobilenet_v2(int64_t size, bool batchnorm) {
  constexpr struct {
    int64_t expansion, channels, count, stride;
  } kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                 {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  NetWriter net(batchnorm);
  Map x = net.conv(net.input(size), 32, {3, 2, 1, Act::kRelu6});
  for (const auto& stage : kStages) {
    for (int64_t i = 0; i < stage.count; ++i) {
      const int64_t stride = i == 0 ? stage.stride : 1, wide = x.channels * stage.expansion;
      Map y = x;
      if (stage.expansion != 1) y = net.conv(y, wide, {1, 1, 1, Act::kRelu6});
      y = net.conv(y, wide, {3, stride, wide, Act::kRelu6});
      const bool residual = stride == 1 && x.channels == stage.channels;
      y = net.conv(y, stage.channels, {1, 1, 1, Act::kNone, residual ? kBranchGain : 1});
      x = residual ? net.sum(y, x, Act::kNone) : y;
    }
  }
  return net.classifier(net.conv(x, 1280, {1, 1, 1, Act::kRelu6}), 1000);
}

}  // namespace xdn::bench
