#pragma once

#include <cstdint>
#include <functional>

namespace xdn {

/// How the images of a data set are worked through.
struct ImageWork {
  int workers = 0;  ///< threads; 0: one per processor
  /// Called on the calling thread, about ten times a second and at the end; may throw to stop.
  std::function<void(int64_t done, int64_t total)> progress;
};

/// Calls image(i) once for every i of [0, total), from several threads at once. Rethrows the first error
/// after all threads have stopped.
void for_each_image(int64_t total, const ImageWork& work, const std::function<void(int64_t)>& image);

}  // namespace xdn
