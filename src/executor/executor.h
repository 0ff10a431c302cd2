#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace xdn {

enum class Isa : uint8_t { kRef, kAvx2, kAvx512, kAvx512Vnni, kAvx512Bf16 };
enum class FusionLevel : uint8_t { kOff, kTraditional, kAggressive };
enum class Precision : uint8_t { kFp32, kBf16, kInt8 };

/// How bytes of an image become the model's float input: x[c] = byte[source_channel[c]] * scale[c] +
/// shift[c].
struct PixelMap {
  std::vector<float> scale, shift;
  std::vector<int> source_channel;
};

/// What the user may fix; empty or 0 means: choose.
struct ExecOptions {
  std::optional<Isa> isa;
  int threads = 0, data_parallel = 0, model_parallel = 0, batch_tile = 0;
  FusionLevel fusion = FusionLevel::kTraditional;
  std::optional<Precision> precision;
  std::optional<PixelMap> pixels;  ///< needed for run_u8
  int64_t batch_hint = 0;          ///< images a run will usually hold; 0: many
};

/// What was chosen.
struct ExecSettings {
  Isa isa;
  Precision precision;
  int data_parallel, model_parallel, batch_tile;
};

/// Images as bytes: n of height x width x channels (NHWC). Either contiguous memory or a function that fills
/// one tile; the function is called from worker threads, for disjoint ranges.
struct ImageSource {
  const uint8_t* data = nullptr;
  std::function<void(int64_t first, int64_t count, uint8_t* dst)> fill;
};

/// A planned model: weights packed, memory laid out. A trailing Softmax is peeled, so results are logits.
/// Not thread-safe: one run at a time; workers are inside.
class Executor {
 public:
  /// Throws an input error where the graph or the options cannot be planned.
  Executor(Graph graph, ExecOptions options);
  ~Executor();
  Executor(Executor&&) noexcept;

  const ExecSettings& settings() const;
  /// Shape of the image input without the batch: [c, h, w]; and elements of the (first) output per image.
  const Dims& input_shape() const;
  int64_t output_size() const;

  /// out: n x output_size() floats. `done`, if given, counts finished images while the run goes on.
  void run_u8(const ImageSource& images, int64_t n, float* out, std::atomic<int64_t>* done = nullptr);
  /// nchw: n images of input_shape(), as floats.
  void run_f32(const float* nchw, int64_t n, float* out, std::atomic<int64_t>* done = nullptr);

  /// One line per plan step: layer, kernel, MACs, bytes, candidates refused with reasons.
  std::string describe() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

const char* isa_name(Isa isa);
std::optional<Isa> parse_isa(const std::string& name);
const char* precision_name(Precision precision);

}  // namespace xdn
