#include "data/image_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;

/// Entries that are not hidden, in byte order of their names. One level only, so links cannot make a loop.
std::vector<fs::directory_entry> sorted_entries(const fs::path& dir) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().native().front() != '.') entries.push_back(*it);
  }
  if (error) throw input_error("cannot read the folder: " + error.message()).in_file(dir.string());
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.path().filename().native() < b.path().filename().native();
  });
  return entries;
}

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  constexpr std::array<std::string_view, 3> kExtensions = {".jpg", ".jpeg", ".png"};
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

class ImageFolder final : public Dataset {
 public:
  ImageFolder(const std::string& path, const DatasetOptions& options) : request_(options.geometry) {
    check_geometry(request_);
    if (!is_auto(options.split)) {
      throw input_error("has no train/ and test/ folders to choose from").in_file(path);
    }
    source_ = path;
    bgr_ = options.bgr;
    list_classes();
    geometry_ = request_;
    if (request_.crop != 0) geometry_.height = geometry_.width = request_.crop;
    if (geometry_.height == 0) {
      const Image first = load(0);
      geometry_.height = first.height;
      geometry_.width = first.width;
    }
  }

  void read(int64_t first, int64_t count, uint8_t* dst) const override {
    check_range(first, count);
    for (int64_t i = first; i < first + count; ++i, dst += image_bytes()) {
      const Image image = load(i);
      if (image.height != height() || image.width != width()) {
        throw input_error("image is " + std::to_string(image.height) + "x" + std::to_string(image.width) +
                          ", the first one is " + std::to_string(height()) + "x" + std::to_string(width()) +
                          "; expected images of one size, or resize and crop")
            .in_file(name(i));
      }
      store(image, dst);
    }
  }

  std::string name(int64_t i) const override {
    const auto index = static_cast<size_t>(i);
    return (fs::path(source_) / classes_[static_cast<size_t>(labels_[index])] / files_[index]).string();
  }

 private:
  void list_classes() {
    for (const fs::directory_entry& entry : sorted_entries(source_)) {
      std::error_code ignored;
      if (!entry.is_directory(ignored)) {
        throw input_error(
            "stray file beside the class folders; expected one subfolder per class and nothing else")
            .in_file(entry.path().string());
      }
      list_images(entry.path(), static_cast<int64_t>(classes_.size()));
      classes_.push_back(entry.path().filename().string());
    }
    if (classes_.empty()) {
      throw input_error("holds no images; expected one subfolder per class").in_file(source_);
    }
  }

  void list_images(const fs::path& dir, int64_t label) {
    const size_t before = files_.size();
    for (const fs::directory_entry& entry : sorted_entries(dir)) {
      std::error_code ignored;
      if (!entry.is_regular_file(ignored) || !is_image_name(entry.path())) {
        throw input_error("stray entry in a class folder; expected only .jpg, .jpeg and .png files")
            .in_file(entry.path().string());
      }
      files_.push_back(entry.path().filename().string());
    }
    if (files_.size() == before) {
      throw input_error("class folder without images; expected .jpg, .jpeg or .png files")
          .in_file(dir.string());
    }
    labels_.resize(files_.size(), label);
  }

  Image load(int64_t i) const {
    const std::string path = name(i);
    Image image = decode_image(path);
    try {
      return fit_image(std::move(image), request_);
    } catch (Error& error) {
      throw error.in_file(path);
    }
  }

  Geometry request_;                ///< as asked for; height 0 where the first image decides
  std::vector<std::string> files_;  ///< by image; the folder follows from the label
};

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const std::string& path, const DatasetOptions& options) {
  return std::make_unique<ImageFolder>(path, options);
}

}  // namespace xdn
