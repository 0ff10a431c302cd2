#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/mmap.h"

namespace xdn::bench {

/// The images a worker runs on: a raw array inside a mapped file.
struct WorkerData {
  MappedFile file;
  size_t offset = 0;
  bool bytes = false;  ///< u8, n h w c; otherwise f32, n c h w
  int64_t images = 0, channels = 0, height = 0, width = 0;

  int64_t image_size() const { return channels * height * width; }
  const uint8_t* u8(int64_t first) const {
    return reinterpret_cast<const uint8_t*>(file.data()) + offset + first * image_size();
  }
  const float* f32(int64_t first) const {
    return reinterpret_cast<const float*>(file.data() + offset) + first * image_size();
  }
};

/// The answering side of protocol.mjs: what differs between engines.
class Engine {
 public:
  virtual ~Engine() = default;
  /// Returns the fields of the answer besides "ok" and "seconds".
  virtual nlohmann::json load(const nlohmann::json& request) = 0;
  /// Runs images first ... first + count; resizes out to count rows of outputs.
  virtual void run(const WorkerData& data, int64_t first, int64_t count, std::vector<float>& out) = 0;
  /// Image files to float32 n c h w in the request's "file". Returns the answer, "seconds" of decoding alone
  /// included.
  virtual nlohmann::json decode(const nlohmann::json& request);
};

/// Answers requests on stdin until it ends. Returns the exit status.
int serve(Engine& engine);

}  // namespace xdn::bench
