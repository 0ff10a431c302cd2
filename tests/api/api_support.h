#pragma once

#include <cstdint>
#include <string>
#include <vector>

// What the tests need of src/, in plain types: the public headers and those of src/ have names in common.
namespace xdn::testing {

/// Writes dir/net.onnx, a small residual net with random weights for images of 3 x side x side, and its
/// preprocess file: BGR, other means and deviations for each channel, 7 classes of which all have names.
/// Returns the model's path.
std::string write_residual_net(const std::string& dir, int64_t side = 16);
/// One convolution of stride 4 and a classifier: little work on large images.
std::string write_strided_net(const std::string& dir, int64_t side);
/// The residual net with quantized layers.
std::string write_quantized_net(const std::string& dir);
inline constexpr int64_t kClasses = 7;

std::vector<uint8_t> random_bytes(size_t count);
/// The images as the first layer of the model at `path` is to see them: NCHW, normalised.
std::vector<float> normalised(const std::string& path, const std::vector<uint8_t>& nhwc);

/// What Executor itself makes of n images; of `floats` with pixels normalised by hand. threads:
/// data-parallel.
std::vector<float> executor_u8(const std::string& path, const std::vector<uint8_t>& nhwc, int64_t n,
                               int threads = 1);
std::vector<float> executor_f32(const std::string& path, const std::vector<float>& nchw, int64_t n);

int64_t node_count(const std::string& path);

/// Elements of images turned from NHWC to NCHW, and back.
template <class T>
std::vector<T> to_nchw(const std::vector<T>& nhwc, int64_t channels, int64_t positions) {
  std::vector<T> out(nhwc.size());
  const int64_t image = channels * positions;
  for (size_t at = 0; at < nhwc.size(); ++at) {
    const auto i = static_cast<int64_t>(at) / image, rest = static_cast<int64_t>(at) % image;
    out[static_cast<size_t>(i * image + rest % channels * positions + rest / channels)] = nhwc[at];
  }
  return out;
}
template <class T>
std::vector<T> to_nhwc(const std::vector<T>& nchw, int64_t channels, int64_t positions) {
  return to_nchw(nchw, positions, channels);
}

}  // namespace xdn::testing
