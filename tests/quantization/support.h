#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "executor/executor.h"
#include "executor/reference.h"
#include "quantization/calibrate.h"
#include "support/guarded.h"

namespace xdn::testing {

/// The line of the input error that f throws.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

/// Random images of a graph, as bytes and as the numbers they stand for.
class ByteImages {
 public:
  ByteImages(const Graph& graph, int64_t count, uint64_t seed, float scale = 1.0f / 64, float shift = -1.6f)
      : count_(count) {
    Dims dims = graph.value(graph.inputs()[0]).shape;
    dims[0] = count;
    const int64_t channels = dims[1], positions = dims[2] * dims[3];
    Uniform uniform(seed);
    bytes_.resize(static_cast<size_t>(count * channels * positions));
    for (uint8_t& byte : bytes_) byte = static_cast<uint8_t>(uniform.bits());
    for (int64_t c = 0; c < channels; ++c) {
      map_.scale.push_back(scale);
      map_.shift.push_back(shift);
      map_.source_channel.push_back(static_cast<int>(c));
    }
    floats_ = Tensor(DType::kF32, dims);
    const auto out = floats_.mutable_data<float>();
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t p = 0; p < positions; ++p) {
          const uint8_t byte = bytes_[static_cast<size_t>((i * positions + p) * channels + c)];
          out[static_cast<size_t>((i * channels + c) * positions + p)] =
              static_cast<float>(byte) * scale + shift;
        }
      }
    }
  }

  int64_t count() const { return count_; }
  const uint8_t* data() const { return bytes_.data(); }
  const PixelMap& pixels() const { return map_; }
  const Tensor& floats() const { return floats_; }
  CalibrationImages calibration(int threads = 1) const { return {bytes_.data(), count_, map_, threads}; }

  /// Every value of the graph, by name, the input among them.
  std::map<std::string, Tensor> values(const Graph& graph) const {
    std::map<std::string, Tensor> out;
    (void)run_reference(graph, std::span(&floats_, 1), &out);
    out[graph.value(graph.inputs()[0]).name] = floats_;
    return out;
  }
  /// The first output.
  std::vector<float> outputs(const Graph& graph) const {
    const std::vector<Tensor> out = run_reference(graph, std::span(&floats_, 1));
    return {out[0].data<float>().begin(), out[0].data<float>().end()};
  }

 private:
  int64_t count_;
  std::vector<uint8_t> bytes_;
  PixelMap map_;
  Tensor floats_;
};

}  // namespace xdn::testing
