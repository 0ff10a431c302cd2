#include "data/cifar10.h"

#include <algorithm>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mmap.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 32;
constexpr int64_t kPlane = kSide * kSide;
constexpr int64_t kRecord = 1 + 3 * kPlane;
constexpr size_t kClasses = 10;
constexpr const char* kTestBatch = "test_batch.bin";
constexpr const char* kMeta = "batches.meta.txt";

std::string train_batch(int64_t number) { return "data_batch_" + std::to_string(number) + ".bin"; }

bool is_batch_name(const std::string& name) {
  return name == kTestBatch || (name.starts_with("data_batch_") && name.ends_with(".bin"));
}

std::vector<std::string> batch_names(const std::string& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (is_batch_name(name)) names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> read_classes(const fs::path& dir) {
  const std::string path = (dir / kMeta).string();
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  }
  const std::string text = read_file(path, 4096);
  std::vector<std::string> classes;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) classes.push_back(std::move(line));
    at = end + 1;
  }
  if (classes.size() != kClasses) {
    throw input_error("holds " + std::to_string(classes.size()) + " class names, expected 10").in_file(path);
  }
  return classes;
}

class Cifar10 final : public Dataset {
 public:
  Cifar10(const std::string& path, const DatasetOptions& options) : request_(options.geometry) {
    check_geometry(request_);
    source_ = path;
    bgr_ = options.bgr;
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
      for (const std::string& name : choose(path, options.split)) add_batch((fs::path(path) / name).string());
      classes_ = read_classes(path);
    } else {
      if (!is_auto(options.split)) throw input_error("is one batch, which has no splits").in_file(path);
      add_batch(path);
      classes_ = read_classes(fs::path(path).parent_path());
    }
    const auto keeps = [](int64_t side) { return side == 0 || side == kSide; };
    as_is_ =
        keeps(request_.resize) && keeps(request_.crop) && keeps(request_.height) && keeps(request_.width);
    geometry_ = request_;
    const Image first = load(0);
    geometry_.height = first.height;
    geometry_.width = first.width;
  }

  void read(int64_t first, int64_t count, uint8_t* dst) const override {
    check_range(first, count);
    for (int64_t i = first; i < first + count; ++i, dst += image_bytes()) store(load(i), dst);
  }

  std::string name(int64_t i) const override {
    const Batch& batch = batch_of(i);
    return batch.path + "[" + std::to_string(i - batch.first) + "]";
  }

 private:
  struct Batch {
    std::string path;
    MappedFile file;
    int64_t first;  ///< index of its first image in the data set
  };

  static std::vector<std::string> choose(const std::string& path, Split split) {
    const std::vector<std::string> names = batch_names(path);
    const auto has = [&](const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (split == Split::kAuto) split = has(kTestBatch) ? Split::kTest : Split::kTrain;
    if (split == Split::kTest) {
      if (!has(kTestBatch)) throw input_error("has no test_batch.bin").in_file(path);
      return {kTestBatch};
    }
    const size_t count = names.size() - (has(kTestBatch) ? 1 : 0);
    if (count == 0) throw input_error("has no data_batch_1.bin").in_file(path);
    std::vector<std::string> chosen;
    for (size_t i = 1; i <= count; ++i) {
      chosen.push_back(train_batch(static_cast<int64_t>(i)));
      if (!has(chosen.back())) {
        throw input_error("has " + std::to_string(count) + " training batches but no " + chosen.back())
            .in_file(path);
      }
    }
    return chosen;
  }

  void add_batch(const std::string& path) {
    MappedFile file(path);
    const auto bytes = static_cast<int64_t>(file.size());
    if (bytes == 0 || bytes % kRecord != 0) {
      throw input_error("holds " + std::to_string(bytes) + " bytes, expected a multiple of " +
                        std::to_string(kRecord))
          .in_file(path);
    }
    const int64_t first = size();
    for (int64_t record = 0; record < bytes / kRecord; ++record) {
      const auto label = std::to_integer<int64_t>(file.data()[record * kRecord]);
      if (label >= static_cast<int64_t>(kClasses)) {
        throw input_error("record " + std::to_string(record) + " has label " + std::to_string(label) +
                          ", expected 0 to 9")
            .in_file(path);
      }
      labels_.push_back(label);
    }
    batches_.push_back({path, std::move(file), first});
  }

  const Batch& batch_of(int64_t i) const {
    const auto after =
        std::upper_bound(batches_.begin(), batches_.end(), i,
                         [](int64_t index, const Batch& batch) { return index < batch.first; });
    return *(after - 1);
  }

  Image load(int64_t i) const {
    const Batch& batch = batch_of(i);
    const std::byte* planes = batch.file.data() + (i - batch.first) * kRecord + 1;
    Image image;
    image.height = image.width = kSide;
    image.rgb.resize(static_cast<size_t>(3 * kPlane));
    for (int64_t p = 0; p < kPlane; ++p) {
      for (int64_t c = 0; c < 3; ++c) {
        image.rgb[static_cast<size_t>(3 * p + c)] = std::to_integer<uint8_t>(planes[c * kPlane + p]);
      }
    }
    if (as_is_) return image;
    try {
      return fit_image(std::move(image), request_);
    } catch (Error& error) {
      throw error.in_file(batch.path);
    }
  }

  Geometry request_;
  bool as_is_ = true;  ///< the request leaves 32 x 32 pixels alone
  std::vector<Batch> batches_;
};

}  // namespace

bool is_cifar10(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return !batch_names(path).empty();
  return is_batch_name(fs::path(path).filename().string());
}

std::unique_ptr<Dataset> open_cifar10(const std::string& path, const DatasetOptions& options) {
  return std::make_unique<Cifar10>(path, options);
}

}  // namespace xdn
