#include "data/dataset.h"

#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "data/cifar10.h"
#include "data/image_folder.h"
#include "data/pack.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;

bool has_subfolder(const fs::path& dir) {
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->path().filename().native().front() != '.' && it->is_directory(ignored)) return true;
  }
  return false;
}

/// A folder of nothing but train/ and test/, which are image folders themselves.
bool holds_splits(const fs::path& dir) {
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.front() != '.' && name != "train" && name != "test") return false;
  }
  return !error && has_subfolder(dir / "train") && has_subfolder(dir / "test");
}

}  // namespace

std::optional<Split> parse_split(const std::string& name) {
  if (name == "train") return Split::kTrain;
  if (name == "test") return Split::kTest;
  return std::nullopt;
}

DatasetOptions dataset_options(const Preprocess& preprocess) {
  DatasetOptions options;
  options.geometry = {preprocess.resize, preprocess.crop, preprocess.height, preprocess.width};
  return options;
}

void Dataset::check_range(int64_t first, int64_t count) const {
  XDN_CHECK(first >= 0 && count >= 0 && first <= size() && count <= size() - first);
}

void Dataset::swap_red_blue(uint8_t* pixels, int64_t count) {
  for (int64_t i = 0; i < count; ++i) std::swap(pixels[3 * i], pixels[3 * i + 2]);
}

void Dataset::store(const Image& image, uint8_t* dst) const {
  XDN_CHECK(image.height == height() && image.width == width());
  std::memcpy(dst, image.rgb.data(), image.rgb.size());
  if (bgr_) swap_red_blue(dst, image.height * image.width);
}

std::unique_ptr<Dataset> open_dataset(const std::string& path, const DatasetOptions& options) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) throw input_error("no such file or folder").in_file(path);
  if (status.type() == fs::file_type::none)
    throw input_error("cannot open: " + error.message()).in_file(path);
  if (is_pack(path)) return open_pack(path, options);
  if (is_cifar10(path)) return open_cifar10(path, options);
  if (status.type() != fs::file_type::directory) {
    throw input_error("is not a data set; expected a pack, an image folder or CIFAR-10 batches")
        .in_file(path);
  }
  if (fs::exists(fs::path(path) / kPackImages, error)) {
    throw input_error("holds images.npy but no pack.json; expected a complete pack").in_file(path);
  }
  if (holds_splits(path)) {
    DatasetOptions inner = options;
    inner.split = Split::kAuto;
    const bool train = options.split == Split::kTrain || options.split == Split::kAutoTrain;
    return open_image_folder((fs::path(path) / (train ? "train" : "test")).string(), inner);
  }
  return open_image_folder(path, options);
}

bool has_splits(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error) || is_pack(path)) return false;
  return is_cifar10(path) || holds_splits(path);
}

}  // namespace xdn
