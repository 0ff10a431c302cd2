#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
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

/// Which of a dense layer's loops is the outer one: that over blocks of rows (output positions of the tile's
/// images) or that over panels of output channels.
enum class LoopOrder : uint8_t { kChosen, kRowsOuter, kPanelsOuter };
/// How a dense layer's work is laid out. Results are the same to the bit.
struct LayerLayout {
  int panel_vectors = 0;  ///< output channels of the widest panel, in vectors: 1 ... 4; 0: choose
  LoopOrder order = LoopOrder::kChosen;
  bool operator==(const LayerLayout&) const = default;
};

/// What the user may fix; empty or 0 means: choose.
struct ExecOptions {
  std::optional<Isa> isa;
  int threads = 0, data_parallel = 0, model_parallel = 0, batch_tile = 0;
  FusionLevel fusion = FusionLevel::kTraditional;
  /// Default: what the file says, layer by layer (graph/bf16_layers.h). bf16 runs all float layers in bf16,
  /// fp32 a quantized file as f32 numbers, int8 what is not quantized in f32.
  std::optional<Precision> precision;
  std::set<std::string> f32_layers;  ///< layers, by name, that bf16 leaves in f32
  std::optional<PixelMap> pixels;    ///< needed for run_u8
  int64_t batch_hint = 0;            ///< images a run will usually hold; 0: many
  /// Values, by name, that run_observed shows. Fusion makes values disappear: use FusionLevel::kOff.
  std::vector<std::string> observed;
  /// By layer name; names that no dense layer has are passed over.
  std::map<std::string, LayerLayout> layouts;
  bool huge_pages = true;  ///< asked for, for packed weights of 2 MiB and more and for activations
};

/// What was chosen.
struct ExecSettings {
  Isa isa;
  Precision precision;  ///< of a file of several: int8 where layers are quantized, else bf16
  bool mixed;           ///< the file has quantized layers and layers for bf16, and both run so
  int data_parallel, model_parallel, batch_tile;
  bool huge_pages;  ///< asked for; whether the system gives any is its own affair
};

/// Images as bytes: n of height x width x channels (NHWC). Either contiguous memory or a function that fills
/// one tile; the function is called from worker threads, for disjoint ranges.
struct ImageSource {
  const uint8_t* data = nullptr;
  std::function<void(int64_t first, int64_t count, uint8_t* dst)> fill;
};

/// A value of one tile of images where it lies while the plan runs: element (image, y, x, c) stands at
/// data[image * image_stride + (y * width + x) * position_stride + c]. Values of other ranks than 4 are one
/// position whose channels are their elements.
struct ObservedValue {
  size_t index;           ///< in ExecOptions::observed
  int64_t first, images;  ///< the tile: images first ... first + images - 1 of the run
  int64_t height, width, channels;
  const float* data;
  int64_t image_stride, position_stride;
};
/// Called for every tile and every observed value, in the order of execution, by all threads at once: each is
/// part of parts. The value stands still until all have returned.
using Observer = std::function<void(const ObservedValue& value, int part, int parts)>;

/// One step of a plan, as planned and, where it was profiled, as measured.
struct StepReport {
  std::string layer, kernel;
  std::string refused;  ///< faster candidates, with reasons
  std::string arith;    ///< "f32", "bf16" or "i8": whose peak the MACs are measured against
  int64_t macs = 0;     ///< per image, effective
  int64_t weight_bytes = 0;
  int64_t activation_bytes = 0;  ///< read and written, per image
  double seconds = 0;            ///< of all tiles since profiling began, mean over the threads
  /// Of a dense layer, as chosen; panel_vectors is 0 where there is nothing to choose, order kChosen where it
  /// makes no difference.
  LayerLayout layout = {};
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

  /// run_u8 for one worker (settings().data_parallel is 1) that shows the observed values on the way. Tiles
  /// follow each other in order. What the observer throws ends the run.
  void run_observed(const ImageSource& images, int64_t n, const Observer& observer,
                    std::atomic<int64_t>* done = nullptr);

  /// The plan's steps; empty for the oracle (--isa ref on a float model).
  std::vector<StepReport> steps() const;
  /// From now on, steps are timed (a few tens of nanoseconds each).
  void start_profile();
  /// Bytes of the activations of one data-parallel worker.
  int64_t arena_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

const char* isa_name(Isa isa);
std::optional<Isa> parse_isa(const std::string& name);
const char* precision_name(Precision precision);
/// As above, or "mixed".
const char* chosen_precision_name(const ExecSettings& settings);

}  // namespace xdn
