#include "data/pack.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mmap.h"
#include "base/sha256.h"
#include "data/json_fields.h"
#include "data/npy.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxJsonBytes = size_t{1} << 24;
constexpr size_t kMaxClasses = 100000;

struct PackInfo {
  int64_t count = 0;
  Geometry geometry;
  bool bgr = false;
  std::vector<std::string> classes;
  std::string images_sha256, labels_sha256;
};

std::string inside(const std::string& dir, const char* name) { return (fs::path(dir) / name).string(); }

PackInfo read_info(const std::string& dir) {
  const std::string path = inside(dir, kPackJson);
  try {
    const JsonFields fields(read_file(path, kMaxJsonBytes));
    if (fields.integer("version", 1, INT32_MAX) != 1)
      throw input_error("pack version is newer than this program");
    PackInfo info;
    info.count = fields.integer("count", 1, kMaxTensorBytes);
    info.geometry.height = fields.integer("height", 1, kMaxImageSide);
    info.geometry.width = fields.integer("width", 1, kMaxImageSide);
    info.geometry.resize = fields.integer("resize", 0, kMaxImageSide);
    info.geometry.crop = fields.integer("crop", 0, kMaxImageSide);
    const std::string color = fields.string("color");
    if (color != "RGB" && color != "BGR") throw input_error("field 'color' must be RGB or BGR");
    info.bgr = color == "BGR";
    info.classes = fields.strings("classes", kMaxClasses);
    if (info.classes.empty()) throw input_error("field 'classes' is empty");
    info.images_sha256 = fields.string("images_sha256");
    info.labels_sha256 = fields.string("labels_sha256");
    return info;
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

/// A mapped .npy file whose type, shape and size are what the pack needs.
struct MappedNpy {
  MappedFile file;
  const std::byte* data = nullptr;
  size_t bytes = 0;

  MappedNpy(const std::string& path, DType dtype, const Dims& dims) : file(path) {
    try {
      const NpyHeader header = parse_npy_header(
          {reinterpret_cast<const char*>(file.data()), std::min(file.size(), kMaxNpyHeader)});
      if (header.dtype != dtype || header.dims != dims) {
        throw input_error("holds " + std::string(dtype_name(header.dtype)) + to_string(header.dims) +
                          ", expected " + std::string(dtype_name(dtype)) + to_string(dims) +
                          " as in pack.json");
      }
      bytes = static_cast<size_t>(element_count(dims, dtype_size(dtype))) * dtype_size(dtype);
      if (file.size() - header.data_offset != bytes) {
        throw input_error("holds " + std::to_string(file.size() - header.data_offset) +
                          " bytes of data, expected " + std::to_string(bytes));
      }
      data = file.data() + header.data_offset;
    } catch (Error& error) {
      throw error.in_file(path);
    }
  }
};

Dims image_dims(const PackInfo& info) { return {info.count, info.geometry.height, info.geometry.width, 3}; }

class Pack final : public Dataset {
 public:
  Pack(const std::string& dir, const DatasetOptions& options) : Pack(dir, options, read_info(dir)) {}

  const uint8_t* mapped() const override { return swap_ ? nullptr : pixels(); }

  void read(int64_t first, int64_t count, uint8_t* dst) const override {
    check_range(first, count);
    std::memcpy(dst, pixels() + first * image_bytes(), static_cast<size_t>(count * image_bytes()));
    if (swap_) swap_red_blue(dst, count * height() * width());
  }

  std::string name(int64_t i) const override {
    return inside(source_, kPackImages) + "[" + std::to_string(i) + "]";
  }

 private:
  Pack(const std::string& dir, const DatasetOptions& options, PackInfo info)
      : images_(inside(dir, kPackImages), DType::kU8, image_dims(info)), swap_(options.bgr != info.bgr) {
    source_ = dir;
    geometry_ = info.geometry;
    bgr_ = options.bgr;
    classes_ = std::move(info.classes);
    check_options(options);
    const std::string labels_path = inside(dir, kPackLabels);
    const MappedNpy labels(labels_path, DType::kI64, {info.count});
    labels_.resize(static_cast<size_t>(info.count));
    std::memcpy(labels_.data(), labels.data, labels.bytes);
    for (size_t i = 0; i < labels_.size(); ++i) {
      if (labels_[i] >= 0 && labels_[i] < static_cast<int64_t>(classes_.size())) continue;
      throw input_error("label " + std::to_string(i) + " is " + std::to_string(labels_[i]) +
                        ", expected 0 to " + std::to_string(classes_.size() - 1))
          .in_file(labels_path);
    }
  }

  /// A pack's images cannot be preprocessed again. What its maker left open (0) is no contradiction as long
  /// as the size is right.
  void check_options(const DatasetOptions& options) const {
    const Geometry& want = options.geometry;
    check_geometry(want);
    if (!is_auto(options.split)) throw input_error("is a pack, which has no splits").in_file(source_);
    const auto differs = [](int64_t have, int64_t wanted) {
      return have != 0 && wanted != 0 && have != wanted;
    };
    const int64_t want_height = want.crop != 0 ? want.crop : want.height;
    const int64_t want_width = want.crop != 0 ? want.crop : want.width;
    if (differs(height(), want_height) || differs(width(), want_width)) {
      throw input_error("pack holds images of " + std::to_string(height()) + "x" + std::to_string(width()) +
                        ", expected " + std::to_string(want_height) + "x" + std::to_string(want_width))
          .in_file(source_);
    }
    if (differs(geometry_.resize, want.resize) || differs(geometry_.crop, want.crop)) {
      throw input_error("pack was made with resize " + std::to_string(geometry_.resize) + " and crop " +
                        std::to_string(geometry_.crop) + ", expected " + std::to_string(want.resize) +
                        " and " + std::to_string(want.crop))
          .in_file(source_);
    }
  }

  const uint8_t* pixels() const { return reinterpret_cast<const uint8_t*>(images_.data); }

  MappedNpy images_;
  bool swap_;  ///< the pack's channel order is not the one asked for
};

void verify_file(const std::string& path, const MappedNpy& file, const std::string& expected) {
  if (sha256_hex(file.data, file.bytes) == expected) return;
  throw input_error("data do not have the SHA-256 in pack.json: the file was damaged or changed")
      .in_file(path);
}

}  // namespace

bool is_pack(const std::string& dir) {
  std::error_code ignored;
  return fs::exists(inside(dir, kPackJson), ignored);
}

std::unique_ptr<Dataset> open_pack(const std::string& dir, const DatasetOptions& options) {
  return std::make_unique<Pack>(dir, options);
}

void verify_pack(const std::string& dir) {
  const PackInfo info = read_info(dir);
  const std::string images = inside(dir, kPackImages), labels = inside(dir, kPackLabels);
  verify_file(images, MappedNpy(images, DType::kU8, image_dims(info)), info.images_sha256);
  verify_file(labels, MappedNpy(labels, DType::kI64, {info.count}), info.labels_sha256);
}

}  // namespace xdn
