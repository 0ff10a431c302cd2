#include "api/session.h"

#include <algorithm>

#include "base/error.h"
#include "formats/model_io.h"

namespace xdn {
namespace {

/// NHWC to NCHW, or back: `rows` x `columns` elements become columns x rows.
template <class T>
void transpose(const T* src, int64_t rows, int64_t columns, T* dst) {
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < rows; ++r) dst[c * rows + r] = src[r * columns + c];
  }
}

/// Elements that run_f32 turns over at once, 32 MiB of floats: many tiles per thread for small images.
constexpr int64_t kTurnedElements = int64_t{8} << 20;

Executor plan(const ImageModel& model, ExecOptions options, bool floats) {
  if (!floats) options.pixels = model.pixel_map(false);
  try {
    return Executor(model.graph, std::move(options));
  } catch (Error& error) {
    throw error.in_file(model_files(model.spec)[0]);
  }
}

}  // namespace

Session::Session(const ImageModel& model, ExecOptions options, bool floats)
    : model_{model.spec, {}, model.preprocess, model.channels, model.raw_pixels},
      floats_(floats),
      executor_(plan(model, std::move(options), floats)) {}

void Session::run_u8(const uint8_t* images, int64_t n, bool nchw, float* out) {
  XDN_CHECK(!floats_);
  ImageSource source;
  if (nchw) {
    source.fill = [&](int64_t first, int64_t count, uint8_t* dst) {
      const int64_t positions = image_size() / model_.channels;
      for (int64_t i = 0; i < count; ++i)
        transpose(images + (first + i) * image_size(), model_.channels, positions, dst + i * image_size());
    };
  } else {
    source.data = images;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  executor_.run_u8(source, n, out);
}

void Session::run_f32(const float* images, int64_t n, bool nchw, float* out) {
  XDN_CHECK(floats_);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (nchw) {
    executor_.run_f32(images, n, out);
    return;
  }
  const ExecSettings& settings = executor_.settings();
  const int64_t tiles = int64_t{settings.data_parallel} * settings.batch_tile;
  const int64_t piece = std::min(n, std::max(tiles, kTurnedElements / image_size() / tiles * tiles));
  turned_.resize(static_cast<size_t>(piece * image_size()));
  for (int64_t first = 0; first < n; first += piece) {
    const int64_t count = std::min(piece, n - first);
    for (int64_t i = 0; i < count; ++i) {
      transpose(images + (first + i) * image_size(), image_size() / model_.channels, model_.channels,
                turned_.data() + i * image_size());
    }
    executor_.run_f32(turned_.data(), count, out + first * executor_.output_size());
  }
}

void Session::start_profile() {
  const std::lock_guard<std::mutex> lock(mutex_);
  executor_.start_profile();
}

std::vector<StepReport> Session::steps() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return executor_.steps();
}

}  // namespace xdn
