// What calibration sees inside a graph, against the reference's values.

#include "quantization/moments.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "quantization/support.h"

namespace xdn::testing {
namespace {

struct Case {
  const char* name;
  std::string text;
};

std::string conv_net(const std::string& input, const std::string& weights, const std::string& attributes) {
  return "graph { input %x f32" + input + " const %w f32" + weights + " random(3) %y = Conv(%x, %w) " +
         attributes + " output %y }";
}

const std::vector<Case>& cases() {
  static const std::vector<Case> out{
      {"pointwise", conv_net("[N,3,5,4]", "[2,3,1,1]", "kernel=[1,1]")},
      {"padded", conv_net("[N,3,6,5]", "[4,3,3,3]", "kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]")},
      {"strided",
       conv_net("[N,3,7,8]", "[4,3,3,3]", "kernel=[3,3] strides=[2,2] pads_begin=[1,0] pads_end=[0,1]")},
      {"dilated",
       conv_net("[N,2,9,8]", "[4,2,3,2]", "kernel=[3,2] dilations=[2,3] pads_begin=[2,1] pads_end=[2,2]")},
      {"grouped", conv_net("[N,4,6,6]", "[6,2,3,3]", "kernel=[3,3] group=2 pads_begin=[1,1] pads_end=[1,1]")},
      {"depthwise",
       conv_net("[N,4,6,6]", "[4,1,3,3]", "kernel=[3,3] group=4 strides=[2,2] pads_begin=[1,1]")},
      {"mostly_padding", conv_net("[N,3,2,1]", "[4,3,5,5]", "kernel=[5,5] pads_begin=[2,2] pads_end=[2,2]")},
      {"many_channels", R"(graph { input %x f32[N,3,6,6] const %a f32[40,3,1,1] random(1)
         const %w f32[8,40,3,3] random(2) %m = Conv(%x, %a) kernel=[1,1] %r = Relu(%m)
         %y = Conv(%r, %w) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] output %y })"},
      {"gemm_of_a_map", R"(graph { input %x f32[N,3,3,2] const %w f32[5,18] random(2)
         %f = Flatten(%x) %y = Gemm(%f, %w) trans_b=true output %y })"},
      {"gemm_and_matmul", R"(graph { input %x f32[N,3,4,4] const %a f32[7,3,1,1] random(1)
         const %w f32[7,5] random(2) const %v f32[5,6] random(4) const %u f32[3,6] random(5) const %c f32[3] iota
         %m = Conv(%x, %a) kernel=[1,1] %r = Relu(%m) %g = GlobalAveragePool(%r) %f = Flatten(%g)
         %p = Gemm(%f, %w) %q = MatMul(%p, %v) %y = Gemm(%q, %u, %c) trans_b=true output %y })"},
      {"several_readers", R"(graph { input %x f32[N,3,6,6] const %a f32[4,3,3,3] random(1)
         const %b f32[4,3,1,1] random(2) %m = Conv(%x, %a) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
         %n = Conv(%x, %b) kernel=[1,1] %y = Add(%m, %n) output %y })"},
  };
  return out;
}

/// All samples of what one group's weights meet, row by row, as the definition of Conv and Gemm has them.
struct Samples {
  std::vector<std::vector<double>> rows;  ///< [image and position][weight of a row]
};

Samples samples_of(const Graph& graph, const LinearLayer& layer, int64_t group, const Tensor& src,
                   std::vector<bool>& met) {
  const Node& node = graph.node(layer.id);
  Samples out;
  const auto data = src.data<float>();
  met.assign(static_cast<size_t>(layer.k), node.type != OpType::kConv);
  if (node.type != OpType::kConv) {
    for (int64_t i = 0; i < src.dim(0); ++i)
      out.rows.emplace_back(data.begin() + i * layer.k, data.begin() + (i + 1) * layer.k);
    return out;
  }
  const Window& w = node.as<ConvAttrs>().window;
  const Dims& dst = graph.value(node.output).shape;
  const int64_t channels = src.dim(1), height = src.dim(2), width = src.dim(3);
  const int64_t per_group = channels / layer.groups;
  for (int64_t i = 0; i < src.dim(0); ++i) {
    for (int64_t oy = 0; oy < dst[2]; ++oy) {
      for (int64_t ox = 0; ox < dst[3]; ++ox) {
        std::vector<double> row;
        for (int64_t c = 0; c < per_group; ++c) {
          for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
            for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
              const int64_t y = oy * w.strides[0] - w.pads_begin[0] + ky * w.dilations[0];
              const int64_t x = ox * w.strides[1] - w.pads_begin[1] + kx * w.dilations[1];
              const bool inside = y >= 0 && y < height && x >= 0 && x < width;
              if (inside) met[row.size()] = true;
              const int64_t at = ((i * channels + group * per_group + c) * height + y) * width + x;
              row.push_back(inside ? static_cast<double>(data[static_cast<size_t>(at)]) : 0.0);
            }
          }
        }
        out.rows.push_back(std::move(row));
      }
    }
  }
  return out;
}

/// By layer name.
std::map<std::string, InputMoments> moments_of(const Graph& graph, const ByteImages& images, int threads) {
  std::map<std::string, InputMoments> out;
  std::mutex mutex;
  const Calibration calibration(graph, images.calibration(threads));
  calibration.moments(linear_layers(graph), [&](const LinearLayer& layer, InputMoments moments) {
    const std::lock_guard<std::mutex> lock(mutex);
    EXPECT_TRUE(out.emplace(layer_name(graph, graph.node(layer.id)), std::move(moments)).second);
  });
  return out;
}

class Moments : public ::testing::TestWithParam<size_t> {
 protected:
  const Graph graph_ = parse_graph(cases()[GetParam()].text);
  // More than are accumulated at once, and few enough that every position is sampled.
  const ByteImages images_{graph_, 37, 1};
};

TEST_P(Moments, AreThoseOfTheReferenceValues) {
  const std::map<std::string, InputMoments> found = moments_of(graph_, images_, 1);
  const std::map<std::string, Tensor> values = images_.values(graph_);
  const std::vector<LinearLayer> layers = linear_layers(graph_);
  ASSERT_FALSE(layers.empty());
  ASSERT_EQ(found.size(), layers.size());
  for (const LinearLayer& layer : layers) {
    const InputMoments& moments = found.at(layer_name(graph_, graph_.node(layer.id)));
    const auto n = static_cast<size_t>(moments.size);
    ASSERT_EQ(moments.live.size(), n);
    ASSERT_EQ(moments.mean.size(), n * static_cast<size_t>(layer.groups));
    ASSERT_EQ(moments.covariance.size(), n * n * static_cast<size_t>(layer.groups));
    for (int64_t g = 0; g < layer.groups; ++g) {
      std::vector<bool> met;
      const Samples samples = samples_of(graph_, layer, g, values.at(graph_.value(layer.src).name), met);
      const auto count = static_cast<double>(samples.rows.size());
      EXPECT_EQ(static_cast<size_t>(moments.samples), samples.rows.size());
      std::vector<int32_t> live;
      for (size_t i = 0; i < met.size(); ++i) {
        if (met[i]) live.push_back(static_cast<int32_t>(i));
      }
      ASSERT_EQ(moments.live, live);
      std::vector<double> mean(n, 0.0), squares(n, 0.0);
      for (const std::vector<double>& row : samples.rows) {
        for (size_t i = 0; i < n; ++i) {
          const double x = row[static_cast<size_t>(live[i])];
          mean[i] += x / count;
          squares[i] += x * x / count;
        }
      }
      const float* covariance = moments.covariance.data() + static_cast<size_t>(g) * n * n;
      for (size_t i = 0; i < n; ++i) {
        ASSERT_NEAR(moments.mean[static_cast<size_t>(g) * n + i], mean[i],
                    1e-5 * std::sqrt(squares[i]) + 1e-7);
        for (size_t j = 0; j <= i; ++j) {
          double sum = 0;
          for (const std::vector<double>& row : samples.rows)
            sum += row[static_cast<size_t>(live[i])] * row[static_cast<size_t>(live[j])];
          const double want = sum / count - mean[i] * mean[j];
          ASSERT_NEAR(covariance[i * n + j], want, 1e-5 * std::sqrt(squares[i] * squares[j]) + 1e-7)
              << "group " << g << ", " << i << " " << j;
          ASSERT_EQ(covariance[i * n + j], covariance[j * n + i]);
        }
      }
    }
  }
}

TEST_P(Moments, AreTheSameBitsForAnyThreads) {
  const std::map<std::string, InputMoments> one = moments_of(graph_, images_, 1);
  const std::map<std::string, InputMoments> two = moments_of(graph_, images_, 2);
  for (const auto& [name, moments] : one) {
    EXPECT_EQ(two.at(name).mean, moments.mean) << name;
    EXPECT_EQ(two.at(name).covariance, moments.covariance) << name;
    EXPECT_EQ(two.at(name).live, moments.live) << name;
  }
}

TEST_P(Moments, RangesAreThoseOfTheReferenceValues) {
  std::map<std::string, Tensor> values = images_.values(graph_);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : values) names.push_back(name);
  ASSERT_GE(names.size(), 2u);
  for (const int threads : {1, 2}) {
    const auto ranges = Calibration(graph_, images_.calibration(threads)).ranges(names, RangeMethod::kMinMax);
    ASSERT_EQ(ranges.size(), names.size());
    for (const auto& [name, range] : ranges) {
      const auto data = values.at(name).data<float>();
      const auto [low, high] = std::minmax_element(data.begin(), data.end());
      EXPECT_NEAR(range.seen.low, *low, 1e-5f * std::max(1.0f, std::fabs(*low))) << name;
      EXPECT_NEAR(range.seen.high, *high, 1e-5f * std::max(1.0f, std::fabs(*high))) << name;
      EXPECT_EQ(range.levels, range.seen) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, Moments, ::testing::Range<size_t>(0, cases().size()),
                         [](const auto& p) { return cases()[p.param].name; });

TEST(Calibrations, CountTheirImages) {
  const Graph graph = parse_graph(cases()[1].text);
  const ByteImages images(graph, 70, 1);
  Calibration calibration(graph, images.calibration());
  std::atomic<int64_t> done{0};
  calibration.done = &done;
  (void)calibration.ranges({"x"}, RangeMethod::kMse);
  EXPECT_EQ(done, 140);
  done = 0;
  calibration.moments(linear_layers(graph), [](const LinearLayer&, const InputMoments&) {});
  EXPECT_EQ(done, 70 * calibration.rounds(linear_layers(graph)));
}

TEST(Calibrations, SampleWhereThereIsMore) {
  const Graph graph =
      parse_graph(conv_net("[N,3,32,32]", "[4,3,3,3]", "kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]"));
  const ByteImages images(graph, 50, 1);
  const std::map<std::string, InputMoments> found = moments_of(graph, images, 1);
  const InputMoments& moments = found.begin()->second;
  EXPECT_GE(moments.samples, 4096);
  EXPECT_LT(moments.samples, 50 * 32 * 32 / 2);
  // Uniform bytes: the centre tap, which never meets padding, has this variance.
  const double variance = (256.0 * 256 - 1) / 12 / 64 / 64;
  for (size_t c = 0; c < 3; ++c) {
    const size_t centre = c * 9 + 4;
    EXPECT_NEAR(moments.covariance[centre * 27 + centre], variance, 0.08 * variance);
  }
}

TEST(Calibrations, RefuseWhatIsNotFinite) {
  // The root of negative numbers.
  const Graph graph = parse_graph(R"(graph { input %x f32[N,3,4,4] const %w f32[2,3,1,1] random(1)
    const %h f32[] [0.5] %bad = Pow(%x, %h) %y = Conv(%bad, %w) kernel=[1,1] output %y })");
  const ByteImages images(graph, 3, 1);
  for (const int threads : {1, 2}) {
    const Calibration calibration(graph, images.calibration(threads));
    EXPECT_EQ(error_of([&] {
                (void)calibration.ranges({"x", "bad"}, RangeMethod::kMse);
              }),
              "value 'bad' is NaN or infinite on a calibration image");
    EXPECT_EQ(calibration.ranges({"x"}, RangeMethod::kMinMax).size(), 1u);
  }
  // Infinite: beyond float.
  const Graph large = parse_graph(R"(graph { input %x f32[N,3,4,4] const %w f32[2,3,1,1] random(1)
    const %h f32[] [3e38] %bad = Mul(%x, %h) %y = Conv(%bad, %w) kernel=[1,1] output %y })");
  EXPECT_EQ(error_of([&] {
              (void)Calibration(large, ByteImages(large, 3, 1, 1, 2).calibration())
                  .ranges({"bad"}, RangeMethod::kEntropy);
            }),
            "value 'bad' is NaN or infinite on a calibration image");
}

}  // namespace
}  // namespace xdn::testing
