#include <algorithm>

#include "formats/caffe_test_support.h"

namespace xdn::testing {
namespace {

Graph import_conv(const std::string& param, const Dims& in, const std::vector<Dims>& blobs) {
  return import_texts(
      input_layer(in) + layer("Convolution", {"data"}, {"conv"}, "convolution_param { " + param + " }"),
      WeightsFile().add_noise("conv", blobs));
}

std::string conv_failure(const std::string& param, const Dims& in = {1, 4, 8, 8},
                         const std::vector<Dims>& blobs = {{4, 4, 3, 3}, {4}}) {
  return import_failure(
      input_layer(in) + layer("Convolution", {"data"}, {"conv"}, "convolution_param { " + param + " }"),
      WeightsFile().add_noise("conv", blobs));
}

TEST(CaffeConvolution, DefaultsAndOneValueForAllAxes) {
  const Graph plain = import_conv("num_output: 6 kernel_size: 3", {1, 4, 9, 7}, {{6, 4, 3, 3}, {6}});
  const auto& defaults = node_named(plain, "conv").as<ConvAttrs>();
  EXPECT_EQ(defaults.window, (Window{{3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}}));
  EXPECT_EQ(defaults.group, 1);
  EXPECT_EQ(shape_of(plain, "conv"), (Dims{kBatch, 6, 7, 5}));

  const Graph all = import_conv("num_output: 6 kernel_size: 3 pad: 2 stride: 2 dilation: 2", {1, 4, 9, 7},
                                {{6, 4, 3, 3}, {6}});
  EXPECT_EQ(node_named(all, "conv").as<ConvAttrs>().window, (Window{{3, 3}, {2, 2}, {2, 2}, {2, 2}, {2, 2}}));
}

TEST(CaffeConvolution, ValuesPerAxis) {
  const Graph listed =
      import_conv("num_output: 2 kernel_size: 3 kernel_size: 1 pad: 1 pad: 0 stride: 1 stride: 2",
                  {1, 4, 9, 7}, {{2, 4, 3, 1}, {2}});
  EXPECT_EQ(node_named(listed, "conv").as<ConvAttrs>().window,
            (Window{{3, 1}, {1, 2}, {1, 1}, {1, 0}, {1, 0}}));
  const Graph hw =
      import_conv("num_output: 2 kernel_h: 3 kernel_w: 1 pad_h: 1 stride_h: 1 stride_w: 2 bias_term: false",
                  {1, 4, 9, 7}, {{2, 4, 3, 1}});
  EXPECT_EQ(node_named(hw, "conv").as<ConvAttrs>().window, (Window{{3, 1}, {1, 2}, {1, 1}, {1, 0}, {1, 0}}));
  EXPECT_EQ(node_named(hw, "conv").inputs.size(), 2u);
}

TEST(CaffeConvolution, GroupedValues) {
  const Graph graph =
      import_texts(input_layer({1, 2, 2, 2}) +
                       layer("Convolution", {"data"}, {"conv"},
                             "convolution_param { num_output: 4 kernel_size: 1 group: 2 axis: -3 }"),
                   WeightsFile().add("conv", {{{4, 1, 1, 1}, {1, 2, 3, 4}}, {{4}, {0, 10, 0, 100}}}));
  expect_near(run_one(graph, {Tensor::of<float>({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8})}), {1, 4, 2, 2},
              {1, 2, 3, 4, 12, 14, 16, 18, 15, 18, 21, 24, 120, 124, 128, 132});
}

TEST(CaffeConvolution, DilatedValues) {
  const Graph graph = import_texts(
      input_layer({1, 1, 3, 3}) +
          layer("Convolution", {"data"}, {"conv"},
                "convolution_param { num_output: 1 kernel_size: 2 dilation: 2 bias_term: false }"),
      WeightsFile().add("conv", {{{1, 1, 2, 2}, {1, 10, 100, 1000}}}));
  expect_near(run_one(graph, {Tensor::of<float>({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9})}), {1, 1, 1, 1},
              {1 + 30 + 700 + 9000});
}

TEST(CaffeConvolution, Faults) {
  const std::string at = "net.prototxt: layer 'conv': ";
  EXPECT_EQ(conv_failure("num_output: 4"), at + "has no kernel_size");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_h: 3"), at + "kernel_size needs both _h and _w");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 stride_h: 2"), at + "stride needs both _h and _w");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 0"), at + "kernel_size is 0, expected 1 to 1048576");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 stride: 0"),
            at + "stride is 0, expected 1 to 1048576");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 stride_h: 0 stride_w: 1"),
            at + "stride is 0, expected 1 to 1048576");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 dilation: 0"),
            at + "dilation is 0, expected 1 to 1048576");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 pad: 4294967295"),
            at + "pad is 4294967295, expected 0 to 1048576");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 pad: 1 pad_h: 1"),
            at + "has both pad and its _h or _w, expected one of them");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 pad: 1 pad: 1 pad: 1"),
            at + "has 3 values of pad, expected 1 or 2");
  EXPECT_EQ(conv_failure("kernel_size: 3"), at + "num_output is 0, expected 1 to 1048576");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 group: 0"), at + "group is 0, expected 1 to 1048576");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 group: 3"),
            at + "group 3 does not divide the channels (4 in, 4 out)");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 axis: 2"), at + "axis other than 1 is not supported");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 axis: 7"), at + "axis 7 is outside a blob of 4 axes");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3", {1, 4}),
            at + "bottom has shape [N,4], expected spatial axes");
  EXPECT_NE(conv_failure("num_output: 4 kernel_size: 3", {1, 4, 2, 2}).find(at), std::string::npos);
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 mean_value: 1 mean_value: 2"),
            at + "has 2 values of mean_value, expected 1 or 4");
  EXPECT_EQ(conv_failure("num_output: 4 kernel_size: 3 mean_file: 'mean.binaryproto'"),
            at + "mean_file is not supported, expected mean_value");
}

// Caffe's pooling along one axis, as its documentation states it.
struct Axis {
  int64_t in, kernel, stride, pad;
  int64_t out() const {
    int64_t n = (in + 2 * pad - kernel + stride - 1) / stride + 1;
    if (pad > 0 && (n - 1) * stride >= in + pad) --n;
    return n;
  }
};

TEST(CaffePooling, CeilAndPadAgainstCaffesRule) {
  for (const int64_t in : {5, 6, 7, 8}) {
    for (const int64_t kernel : {2, 3}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (int64_t pad = 0; pad < 2; ++pad) {
          if (stride > kernel && pad == 0) continue;
          const Axis axis{in, kernel, stride, pad};
          const int64_t out = axis.out();
          const Tensor x = noise_tensor({1, 1, in, in});
          for (const bool average : {false, true}) {
            Floats expected;
            for (int64_t i = 0; i < out; ++i) {
              for (int64_t j = 0; j < out; ++j) {
                const int64_t y0 = i * stride - pad, x0 = j * stride - pad;
                const int64_t y1 = std::min(y0 + kernel, in + pad), x1 = std::min(x0 + kernel, in + pad);
                double sum = 0, most = -1e30;
                for (int64_t y = std::max<int64_t>(y0, 0); y < std::min(y1, in); ++y) {
                  for (int64_t c = std::max<int64_t>(x0, 0); c < std::min(x1, in); ++c) {
                    sum += x.as_double(y * in + c);
                    most = std::max(most, x.as_double(y * in + c));
                  }
                }
                expected.push_back(
                    static_cast<float>(average ? sum / static_cast<double>((y1 - y0) * (x1 - x0)) : most));
              }
            }
            const Graph graph = import_texts(
                input_layer({1, 1, in, in}) +
                layer("Pooling", {"data"}, {"pool"},
                      "pooling_param { pool: " + std::string(average ? "AVE" : "MAX") +
                          " kernel_size: " + std::to_string(kernel) + " stride: " + std::to_string(stride) +
                          " pad: " + std::to_string(pad) + " }"));
            SCOPED_TRACE(::testing::Message() << "in " << in << " kernel " << kernel << " stride " << stride
                                              << " pad " << pad << (average ? " average" : " max"));
            expect_near(run_one(graph, {x}), {1, 1, out, out}, expected);
          }
        }
      }
    }
  }
}

Dims pooled(const std::string& param, const Dims& in) {
  return shape_of(
      import_texts(input_layer(in) + layer("Pooling", {"data"}, {"pool"}, "pooling_param { " + param + " }")),
      "pool");
}

TEST(CaffePooling, Shapes) {
  EXPECT_EQ(pooled("kernel_size: 3 stride: 2", {1, 2, 8, 8}), (Dims{kBatch, 2, 4, 4}));
  EXPECT_EQ(pooled("kernel_size: 3 stride: 2 round_mode: FLOOR", {1, 2, 8, 8}), (Dims{kBatch, 2, 3, 3}));
  EXPECT_EQ(pooled("kernel_h: 2 kernel_w: 4 stride_h: 1 stride_w: 4 pad_w: 1 pad_h: 0", {1, 2, 8, 8}),
            (Dims{kBatch, 2, 7, 3}));
  EXPECT_EQ(pooled("pool: MAX global_pooling: true", {1, 2, 5, 3}), (Dims{kBatch, 2, 1, 1}));
  EXPECT_EQ(pooled("pool: AVE global_pooling: true", {1, 2, 5, 3}), (Dims{kBatch, 2, 1, 1}));
  // A window larger than the input, by less than a stride.
  EXPECT_EQ(pooled("kernel_size: 3 stride: 2", {1, 2, 2, 2}), (Dims{kBatch, 2, 1, 1}));
}

TEST(CaffePooling, GlobalMaxValues) {
  const Graph graph =
      import_texts(input_layer({1, 2, 1, 3}) +
                   layer("Pooling", {"data"}, {"pool"}, "pooling_param { global_pooling: true }"));
  expect_near(run_one(graph, {Tensor::of<float>({1, 2, 1, 3}, {-3, -1, -2, 4, 9, 5})}), {1, 2, 1, 1},
              {-1, 9});
}

TEST(CaffePooling, Faults) {
  const auto failure_of = [](const std::string& param, const Dims& in = {1, 2, 8, 8}) {
    return import_failure(input_layer(in) +
                          layer("Pooling", {"data"}, {"pool"}, "pooling_param { " + param + " }"));
  };
  const std::string at = "net.prototxt: layer 'pool': ";
  EXPECT_EQ(failure_of(""), at + "has no kernel_size");
  EXPECT_EQ(failure_of("kernel_size: 2 stride: 0"), at + "stride is 0, expected 1 to 1048576");
  EXPECT_EQ(failure_of("kernel_size: 2 pad: 2"), at + "pad 2 is not smaller than the kernel 2");
  EXPECT_EQ(failure_of("kernel_size: 2 pool: STOCHASTIC"), at + "stochastic pooling is not supported");
  EXPECT_EQ(failure_of("kernel_size: 2 global_pooling: true"),
            at + "has both global_pooling and a kernel size, expected one of them");
  EXPECT_EQ(failure_of("pad: 1 global_pooling: true"),
            at + "has both global_pooling and pad, expected one of them");
  EXPECT_EQ(failure_of("kernel_size: 2", {1, 2}), at + "bottom has shape [N,2], expected four axes");
  EXPECT_EQ(failure_of("kernel_size: 5 stride: 1", {1, 2, 3, 3}).find(at), 0u);
  EXPECT_EQ(failure_of("kernel_size: 3 stride: 2 round_mode: FLOOR", {1, 2, 2, 2}).find(at), 0u);
}

TEST(CaffeLrn, AcrossChannels) {
  const Graph graph =
      import_texts(input_layer({1, 5, 1, 1}) +
                   layer("LRN", {"data"}, {"lrn"}, "lrn_param { local_size: 3 alpha: 0.3 beta: 0.5 k: 2 }"));
  const Floats x{1, -2, 3, 0.5F, 4};
  Floats expected;
  for (size_t c = 0; c < 5; ++c) {
    double sum = 0;
    for (size_t d = c == 0 ? 0 : c - 1; d < std::min<size_t>(c + 2, 5); ++d)
      sum += static_cast<double>(x[d] * x[d]);
    expected.push_back(static_cast<float>(static_cast<double>(x[c]) / std::sqrt(2 + 0.3 / 3 * sum)));
  }
  expect_near(run_one(graph, {Tensor::of<float>({1, 5, 1, 1}, x)}), {1, 5, 1, 1}, expected);
}

TEST(CaffeLrn, WithinChannelDividesByThePaddedWindow) {
  const int64_t h = 4, w = 5, size = 3, pad = 1;
  const Graph graph = import_texts(
      input_layer({1, 1, h, w}) +
      layer("LRN", {"data"}, {"lrn"},
            "lrn_param { local_size: 3 alpha: 0.9 beta: 0.75 k: 5 norm_region: WITHIN_CHANNEL }"));
  const Tensor x = noise_tensor({1, 1, h, w});
  Floats expected;
  for (int64_t i = 0; i < h; ++i) {
    for (int64_t j = 0; j < w; ++j) {
      double sum = 0;
      for (int64_t y = std::max<int64_t>(i - pad, 0); y <= std::min(i + pad, h - 1); ++y) {
        for (int64_t c = std::max<int64_t>(j - pad, 0); c <= std::min(j + pad, w - 1); ++c) {
          sum += x.as_double(y * w + c) * x.as_double(y * w + c);
        }
      }
      expected.push_back(static_cast<float>(
          x.as_double(i * w + j) / std::pow(1 + 0.9 * sum / static_cast<double>(size * size), 0.75)));
    }
  }
  expect_near(run_one(graph, {x}), {1, 1, h, w}, expected);
}

TEST(CaffeLrn, Faults) {
  const auto failure_of = [](const std::string& param) {
    return import_failure(input_layer({1, 2, 3, 3}) +
                          layer("LRN", {"data"}, {"lrn"}, "lrn_param { " + param + " }"));
  };
  EXPECT_EQ(failure_of("local_size: 4"), "net.prototxt: layer 'lrn': local_size is 4, expected an odd one");
  EXPECT_EQ(failure_of("local_size: 0"), "net.prototxt: layer 'lrn': local_size is 0, expected 1 to 1048576");
  EXPECT_EQ(failure_of("alpha: nan"), "net.prototxt: layer 'lrn': alpha, beta and k must be finite");
}

}  // namespace
}  // namespace xdn::testing
