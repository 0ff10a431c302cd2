#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/preprocess.h"

namespace xdn {

/// Which half of a data set that has two, as CIFAR-10 does. kAuto: test where there is one, else all there
/// is; kAutoTrain: the same with train.
enum class Split : uint8_t { kAuto, kAutoTrain, kTrain, kTest };
/// Whether a data set without halves will do.
constexpr bool is_auto(Split split) { return split == Split::kAuto || split == Split::kAutoTrain; }
std::optional<Split> parse_split(const std::string& name);

/// What read() shall yield.
struct DatasetOptions {
  Geometry geometry;  ///< a pack must already have this geometry; height 0: the size of the first image
  bool bgr = false;   ///< channel order of the bytes
  Split split = Split::kAuto;
};

/// What a model's preprocess file asks of its images; bytes stay RGB, since the executor swaps channels
/// itself.
DatasetOptions dataset_options(const Preprocess& preprocess);

/// Labelled images of one size, bytes in NHWC order.
class Dataset {
 public:
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  int64_t size() const { return static_cast<int64_t>(labels_.size()); }
  int64_t height() const { return geometry_.height; }
  int64_t width() const { return geometry_.width; }
  int64_t channels() const { return 3; }
  int64_t image_bytes() const { return height() * width() * channels(); }
  /// How the images got their size; height and width are set.
  const Geometry& geometry() const { return geometry_; }
  bool bgr() const { return bgr_; }

  int64_t label(int64_t i) const { return labels_[static_cast<size_t>(i)]; }
  const std::vector<int64_t>& labels() const { return labels_; }
  /// Names by label; every label has one.
  const std::vector<std::string>& classes() const { return classes_; }
  /// The path it was opened from.
  const std::string& source() const { return source_; }

  /// All images, contiguous, valid as long as the data set; null where images must be decoded.
  virtual const uint8_t* mapped() const { return nullptr; }
  /// Images first ... first + count - 1 to dst. Thread-safe. Decodes and preprocesses where mapped() is null;
  /// an image that cannot be used is an input error naming its file.
  virtual void read(int64_t first, int64_t count, uint8_t* dst) const = 0;
  /// What a person calls image i: its file, or FILE[INDEX].
  virtual std::string name(int64_t i) const = 0;

 protected:
  Dataset() = default;
  /// first and count come from our own code: a range outside the data set is a bug.
  void check_range(int64_t first, int64_t count) const;
  /// The image in this data set's channel order.
  void store(const Image& image, uint8_t* dst) const;
  static void swap_red_blue(uint8_t* pixels, int64_t count);

  Geometry geometry_;
  bool bgr_ = false;
  std::vector<int64_t> labels_;
  std::vector<std::string> classes_;
  std::string source_;
};

/// PATH is a pack, a folder of CIFAR-10 batches (or one batch file), or an image folder; of a folder that
/// holds train/ and test/ image folders, one is taken as options.split says. Input error where PATH is none
/// of these.
std::unique_ptr<Dataset> open_dataset(const std::string& path, const DatasetOptions& options = {});

/// Whether PATH has halves to choose from: a folder with train/ and test/, or a folder of CIFAR-10 batches.
bool has_splits(const std::string& path);

}  // namespace xdn
