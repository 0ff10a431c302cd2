#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "api/image_model.h"
#include "executor/executor.h"

namespace xdn {

/// A planned model and the lock that lets any number of threads use it, in turns.
class Session {
 public:
  /// Plans for bytes, or for floats. Throws as Executor does, naming the model's file.
  Session(const ImageModel& model, ExecOptions options, bool floats);

  /// What it was made of, without the graph: its memory is the model's alone.
  const ImageModel& model() const { return model_; }
  const Executor& executor() const { return executor_; }
  bool takes_floats() const { return floats_; }
  int64_t image_size() const { return model_.image_bytes(); }

  /// n >= 1 images, NHWC or NCHW, to n x output_size() floats. run_u8 needs a session for bytes, run_f32 one
  /// for floats.
  void run_u8(const uint8_t* images, int64_t n, bool nchw, float* out);
  void run_f32(const float* images, int64_t n, bool nchw, float* out);

  void start_profile();
  std::vector<StepReport> steps();

 private:
  ImageModel model_;
  bool floats_;
  Executor executor_;
  std::mutex mutex_;
  std::vector<float> turned_;  ///< images in NCHW
};

}  // namespace xdn
