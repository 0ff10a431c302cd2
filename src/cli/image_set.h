#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/model_input.h"
#include "data/dataset.h"

namespace xdn::cli {

/// Images drawn from a data set: --images N, --seed S.
struct DrawFlags {
  int64_t images = 1000, seed = 1;

  void add_options(CLI::App& app);
};

/// A data set's images in memory, as the model wants them.
class ImageSet {
 public:
  /// All images, decoded if need be. A pack's SHA-256 is compared where `verify`. Input error naming the path
  /// where the images are none, of another size or do not fit into memory.
  ImageSet(const std::string& path, const ModelInput& model, Split split, bool verify);
  /// Some of them, drawn without replacement; all where there are fewer.
  ImageSet(const std::string& path, const ModelInput& model, Split split, bool verify,
           const DrawFlags& flags);

  /// How the bytes become the input of a model whose preprocessing has changed.
  void set_pixels(const ModelInput& model) { pixels_ = model.pixel_map(dataset_->bgr()); }

  int64_t size() const { return static_cast<int64_t>(labels_.size()); }
  const uint8_t* data() const { return data_; }
  std::span<const int64_t> labels() const { return labels_; }
  const PixelMap& pixels() const { return pixels_; }

 private:
  void open(const std::string& path, const ModelInput& model, Split split, bool verify);

  std::unique_ptr<Dataset> dataset_;
  PixelMap pixels_;
  std::vector<int64_t> labels_;
  std::vector<uint8_t> bytes_;
  const uint8_t* data_ = nullptr;
};

}  // namespace xdn::cli
