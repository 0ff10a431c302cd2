#include "quantization/moments.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "quantization/matrix.h"

namespace xdn {
namespace {

/// Samples enough to estimate k x k covariances, and few enough that wide maps do not cost more than they
/// tell.
constexpr int64_t kFewestSamples = 4096, kSamplesPerWeight = 4;

int64_t positions_per_image(int64_t size, int64_t positions, int64_t images) {
  const int64_t wanted = std::max(kFewestSamples, kSamplesPerWeight * size);
  return std::clamp<int64_t>((wanted + images - 1) / images, 1, positions);
}

}  // namespace

/// The geometry.
MomentCollector::MomentCollector(const Graph& graph, const LinearLayer& layer) {
  const Node& node = graph.node(layer.id);
  const Dims& src = graph.value(layer.src).shape;
  groups_ = layer.groups;
  if (node.type == OpType::kConv) {
    const Dims& dst = graph.value(node.output).shape;
    const Window& window = node.as<ConvAttrs>().window;
    XDN_CHECK(src.size() == 4 && dst.size() == 4);
    channels_ = src[1];
    height_ = src[2];
    width_ = src[3];
    out_height_ = dst[2];
    out_width_ = dst[3];
    stride_h_ = window.strides[0];
    stride_w_ = window.strides[1];
    pad_top_ = window.pads_begin[0];
    pad_left_ = window.pads_begin[1];
    taps_ = window.kernel[0] * window.kernel[1];
    const auto meets = [](int64_t offset, int64_t stride, int64_t pad, int64_t count, int64_t extent) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t at = i * stride + offset - pad;
        if (at >= 0 && at < extent) return true;
      }
      return false;
    };
    for (int64_t t = 0; t < taps_; ++t) {
      const Tap tap{t / window.kernel[1] * window.dilations[0], t % window.kernel[1] * window.dilations[1],
                    t};
      if (meets(tap.y, stride_h_, pad_top_, out_height_, height_) &&
          meets(tap.x, stride_w_, pad_left_, out_width_, width_)) {
        live_taps_.push_back(tap);
      }
    }
  } else {
    channels_ = layer.k;
    live_taps_ = {{0, 0, 0}};
  }
  for (int64_t c = 0; c < group_channels(); ++c) {
    for (const Tap& tap : live_taps_) live_.push_back(static_cast<int32_t>(c * taps_ + tap.index));
  }
}

MomentCollector::MomentCollector(const Graph& graph, const LinearLayer& layer, int64_t images, int64_t batch)
    : MomentCollector(graph, layer) {
  batch_ = batch;
  positions_ = positions_per_image(size(), out_height_ * out_width_, images);
  means_.resize(static_cast<size_t>(groups_ * size()), 0.0);
  rows_.resize(static_cast<size_t>(element_count({batch_, positions_, groups_, size()}, sizeof(float))));
  sums_.resize(static_cast<size_t>(covariance_elements()), 0.0f);
}

int64_t MomentCollector::covariance_elements() const {
  const auto n = static_cast<double>(size());
  constexpr auto kMost = static_cast<double>(kMostCovarianceBytes / sizeof(float));
  return static_cast<double>(groups_) * n * n <= kMost ? groups_ * size() * size() : 0;
}

int64_t MomentCollector::bytes(const Graph& graph, const LinearLayer& layer, int64_t images, int64_t batch) {
  const MomentCollector geometry(graph, layer);
  const int64_t positions =
      positions_per_image(geometry.size(), geometry.out_height_ * geometry.out_width_, images);
  // The samples twice, since they are transposed.
  const int64_t floats = 2 * batch * positions * geometry.groups_ * geometry.size();
  return (floats + geometry.covariance_elements()) * static_cast<int64_t>(sizeof(float));
}

/// One row per group of what the weights meet at an output position; zeros in the padding.
void MomentCollector::gather_sample(const float* image, const ObservedValue& value, int64_t position,
                                    float* row) const {
  const int64_t top = position / out_width_ * stride_h_ - pad_top_;
  const int64_t left = position % out_width_ * stride_w_ - pad_left_;
  const auto taps = static_cast<int64_t>(live_taps_.size());
  for (int64_t t = 0; t < taps; ++t) {
    const int64_t y = top + live_taps_[static_cast<size_t>(t)].y,
                  x = left + live_taps_[static_cast<size_t>(t)].x;
    const bool inside = y >= 0 && y < height_ && x >= 0 && x < width_;
    const float* src = image + (y * width_ + x) * value.position_stride;
    for (int64_t c = 0; c < channels_; ++c) row[c * taps + t] = inside ? src[c] : 0.0f;
  }
}

void MomentCollector::gather(const ObservedValue& value, int part, int parts) {
  const int64_t total = out_height_ * out_width_;
  const int64_t first = value.images * part / parts, last = value.images * (part + 1) / parts;
  for (int64_t i = first; i < last; ++i) {
    const int64_t image = value.first + i;
    for (int64_t p = 0; p < positions_; ++p) {
      // Evenly spread, and shifted from image to image.
      const int64_t position = (p * total / positions_ + image * 7919) % total;
      const int64_t sample = image * positions_ + p;
      gather_sample(value.data + i * value.image_stride, value, position,
                    rows_.data() + sample * groups_ * size());
    }
  }
}

/// sums[i][j] += sum over samples of x[i] * x[j], for j <= i.
void MomentCollector::accumulate_group(int64_t group, int64_t samples) {
  const int64_t n = size();
  const float* rows = rows_.data() + group * n;
  const int64_t stride = groups_ * n;
  float* sums = sums_.data() + group * n * n;
  transposed_.resize(static_cast<size_t>(n * samples));
  constexpr int64_t kBlock = 16;
  for (int64_t block = 0; block < samples; block += kBlock) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t s = block; s < std::min(block + kBlock, samples); ++s)
        transposed_[static_cast<size_t>(i * samples + s)] = rows[s * stride + i];
    }
  }
  add_product(sums, n, {transposed_.data(), n, samples, samples}, {rows, samples, n, stride}, true, panel_);
}

void MomentCollector::accumulate(int64_t images) {
  const int64_t samples = images * positions_, row = groups_ * size();
  for (int64_t s = 0; s < samples; ++s) {
    for (int64_t i = 0; i < row; ++i)
      means_[static_cast<size_t>(i)] += static_cast<double>(rows_[static_cast<size_t>(s * row + i)]);
  }
  for (int64_t g = 0; g < groups_ && !sums_.empty(); ++g) accumulate_group(g, samples);
  samples_ += samples;
}

InputMoments MomentCollector::finish() {
  InputMoments out;
  out.samples = samples_;
  out.size = size();
  out.live = std::move(live_);
  const double count = static_cast<double>(std::max<int64_t>(1, samples_));
  for (const double sum : means_) out.mean.push_back(static_cast<float>(sum / count));
  const int64_t n = out.size;
  for (int64_t g = 0; g < groups_ && !sums_.empty(); ++g) {
    float* sums = sums_.data() + g * n * n;
    const double* mean = means_.data() + g * n;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        const double covariance =
            static_cast<double>(sums[i * n + j]) / count - mean[i] / count * (mean[j] / count);
        sums[i * n + j] = sums[j * n + i] = static_cast<float>(covariance);
      }
    }
  }
  out.covariance = std::move(sums_);
  return out;
}

}  // namespace xdn
