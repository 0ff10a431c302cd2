#pragma once

#include <cstdint>
#include <vector>

#include "executor/executor.h"
#include "graph/graph.h"
#include "quantization/linear_layer.h"

namespace xdn {

/// Mean and covariance of what a linear layer's weights are multiplied with, over sampled output positions.
/// Entry i belongs to weight live[i] of a row (weight_rows); weights whose taps always fall into the padding
/// are left out: they do not matter.
struct InputMoments {
  int64_t samples = 0;
  int64_t size = 0;           ///< of `live`
  std::vector<int32_t> live;  ///< indices into a row, ascending
  std::vector<float> mean;    ///< group by group, size each
  /// Group by group, size x size each, symmetric; empty where it would exceed kMostCovarianceBytes.
  std::vector<float> covariance;
};
inline constexpr int64_t kMostCovarianceBytes = int64_t{256} << 20;

/// Collects one layer's moments from its observed input, some images at a time.
class MomentCollector {
 public:
  /// `images` in all, of which at most `batch` lie between two calls of accumulate().
  MomentCollector(const Graph& graph, const LinearLayer& layer, int64_t images, int64_t batch);
  /// What a collector of this layer will hold, buffers included.
  static int64_t bytes(const Graph& graph, const LinearLayer& layer, int64_t images, int64_t batch);
  /// Multiply-accumulates of accumulating one batch.
  int64_t work() const { return batch_ * positions_ * groups_ * size() * size(); }

  /// Copies the samples of a tile whose images are counted from the batch's first. Parts may run at once.
  void gather(const ObservedValue& value, int part, int parts);
  /// Adds the gathered samples of `images` images to the sums.
  void accumulate(int64_t images);
  InputMoments finish();

 private:
  MomentCollector(const Graph& graph, const LinearLayer& layer);
  struct Tap {
    int64_t y, x, index;  ///< offsets from the window's corner; place among all taps
  };
  int64_t size() const { return static_cast<int64_t>(live_.size()); }
  int64_t covariance_elements() const;
  int64_t group_channels() const { return channels_ / groups_; }
  void gather_sample(const float* image, const ObservedValue& value, int64_t position, float* row) const;
  void accumulate_group(int64_t group, int64_t samples);

  int64_t batch_ = 0, positions_ = 0;  ///< images per batch, samples per image
  int64_t channels_ = 0, groups_ = 1, height_ = 1, width_ = 1, out_height_ = 1, out_width_ = 1;
  int64_t stride_h_ = 1, stride_w_ = 1, pad_top_ = 0, pad_left_ = 0, taps_ = 1;
  std::vector<Tap> live_taps_;
  std::vector<int32_t> live_;
  std::vector<float> rows_;  ///< [sample][group][size]
  std::vector<float> sums_;  ///< [group][size][size], of the lower panels
  std::vector<double> means_;
  std::vector<float> transposed_, panel_;  ///< scratch
  int64_t samples_ = 0;
};

}  // namespace xdn
