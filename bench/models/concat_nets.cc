// Networks whose branches are concatenated.

#include "models/net_writer.h"
#include "models/nets.h"

namespace xdn::bench {
namespace {

ConvForm plain(int64_t kernel, int64_t stride = 1, int64_t pad = -1) {
  return {kernel, stride, 1, Act::kRelu, 1, Behind::kBias, pad};
}

struct Inception {
  int64_t one, three_reduced, three, five_reduced, five, pooled;
};

Map inception(NetWriter& net, Map x, const Inception& width) {
  const Map one = net.conv(x, width.one, plain(1));
  const Map three = net.conv(net.conv(x, width.three_reduced, plain(1)), width.three, plain(3));
  const Map five = net.conv(net.conv(x, width.five_reduced, plain(1)), width.five, plain(5));
  const Map pooled = net.conv(net.max_pool(x, 3, 1, 1), width.pooled, plain(1));
  return net.concat({one, three, five, pooled});
}

Map fire(NetWriter& net, Map x, int64_t squeezed, int64_t expanded) {
  const Map s = net.conv(x, squeezed, plain(1));
  return net.concat({net.conv(s, expanded, plain(1)), net.conv(s, expanded, plain(3))});
}

/// BatchNorm and ReLU stand in front of the convolutions: what a BatchNorm reads is a concatenation.
Map dense_layer(NetWriter& net, Map x, int64_t growth) {
  const Map narrow = net.conv(net.norm(x, Act::kRelu), 4 * growth, {1, 1, 1, Act::kRelu});
  return net.concat({x, net.conv(narrow, growth, {3, 1, 1, Act::kNone, 1, Behind::kNothing})});
}

}  // namespace

Graph googlenet(int64_t size, bool batchnorm) {
  NetWriter net(batchnorm);
  Map x = net.lrn(net.max_pool(net.conv(net.input(size), 64, plain(7, 2)), 3, 2, 0, true));
  x = net.conv(net.conv(x, 64, plain(1)), 192, plain(3));
  x = net.max_pool(net.lrn(x), 3, 2, 0, true);
  for (const Inception& width : {Inception{64, 96, 128, 16, 32, 32}, {128, 128, 192, 32, 96, 64}})
    x = inception(net, x, width);
  x = net.max_pool(x, 3, 2, 0, true);
  for (const Inception& width : {Inception{192, 96, 208, 16, 48, 64},
                                 {160, 112, 224, 24, 64, 64},
                                 {128, 128, 256, 24, 64, 64},
                                 {112, 144, 288, 32, 64, 64},
                                 {256, 160, 320, 32, 128, 128}})
    x = inception(net, x, width);
  x = net.max_pool(x, 3, 2, 0, true);
  for (const Inception& width : {Inception{256, 160, 320, 32, 128, 128}, {384, 192, 384, 48, 128, 128}})
    x = inception(net, x, width);
  return net.classifier(x, 1000);
}

Graph squeezenet(int64_t size, bool batchnorm) {
  NetWriter net(batchnorm);
  Map x = net.max_pool(net.conv(net.input(size), 64, plain(3, 2, 0)), 3, 2, 0, true);
  x = fire(net, fire(net, x, 16, 64), 16, 64);
  x = net.max_pool(x, 3, 2, 0, true);
  x = fire(net, fire(net, x, 32, 128), 32, 128);
  x = net.max_pool(x, 3, 2, 0, true);
  x = fire(net, fire(net, x, 48, 192), 48, 192);
  x = fire(net, fire(net, x, 64, 256), 64, 256);
  return net.finish(net.flatten(net.global_average_pool(net.conv(x, 1000, plain(1)))));
}

Graph densenet121(int64_t size, bool batchnorm) {
  constexpr int64_t kGrowth = 32, kLayers[] = {6, 12, 24, 16};
  NetWriter net(batchnorm);
  Map x = net.max_pool(net.conv(net.input(size), 64, {7, 2, 1, Act::kRelu}), 3, 2, 1);
  for (const int64_t layers : kLayers) {
    if (layers != kLayers[0]) {
      const int64_t half = x.channels / 2;
      x = net.conv(net.norm(x, Act::kRelu), half, {1, 1, 1, Act::kNone, 1, Behind::kNothing});
      x = net.average_pool(x, 2, 2);
    }
    for (int64_t i = 0; i < layers; ++i) x = dense_layer(net, x, kGrowth);
  }
  return net.classifier(net.norm(x, Act::kRelu), 1000);
}

}  // namespace xdn::bench
