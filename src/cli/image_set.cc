#include "cli/image_set.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "base/error.h"
#include "cli/dataset_flags.h"
#include "cli/exec_options.h"
#include "cli/progress.h"
#include "data/pack.h"

namespace xdn::cli {
namespace {

/// `count` of 0 ... size - 1, ascending: the beginning of a Fisher-Yates shuffle.
std::vector<int64_t> draw(int64_t size, int64_t count, uint64_t seed) {
  std::vector<int64_t> all(static_cast<size_t>(size));
  std::iota(all.begin(), all.end(), int64_t{0});
  std::mt19937_64 bits(seed);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i)
    std::swap(all[i], all[i + bits() % (all.size() - i)]);
  all.resize(static_cast<size_t>(count));
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

void DrawFlags::add_options(CLI::App& app) {
  app.add_option("--images", images, "How many of the images of --data, drawn at random")
      ->check(whole_number(1))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--seed", seed, "Of the draw")
      ->check(whole_number(0))
      ->type_name("S")
      ->capture_default_str();
}

void ImageSet::open(const std::string& path, const ModelInput& model, Split split, bool verify) {
  dataset_ = open_images(path, split, model);
  if (dataset_->size() == 0) throw input_error("holds no images").in_file(path);
  if (is_pack(path) && verify) verify_pack(path);
  pixels_ = model.pixel_map(dataset_->bgr());
}

ImageSet::ImageSet(const std::string& path, const ModelInput& model, Split split, bool verify) {
  open(path, model, split, verify);
  labels_ = dataset_->labels();
  data_ = dataset_->mapped();
  if (data_ != nullptr) return;
  Progress progress("decode", dataset_->size());
  bytes_ = decode_all(*dataset_, dataset_->size(), progress.done());
  data_ = bytes_.data();
}

ImageSet::ImageSet(const std::string& path, const ModelInput& model, Split split, bool verify,
                   const DrawFlags& flags) {
  open(path, model, split, verify);
  const std::vector<int64_t> chosen =
      draw(dataset_->size(), std::min(flags.images, dataset_->size()), static_cast<uint64_t>(flags.seed));
  const int64_t image_bytes = dataset_->image_bytes();
  if (static_cast<int64_t>(chosen.size()) > kMostDecodedBytes / image_bytes) {
    throw input_error("holds images too large to keep " + std::to_string(chosen.size()) +
                      " of them in memory; see --images")
        .in_file(path);
  }
  bytes_.resize(chosen.size() * static_cast<size_t>(image_bytes));
  for (size_t i = 0; i < chosen.size(); ++i) {
    dataset_->read(chosen[i], 1, bytes_.data() + i * static_cast<size_t>(image_bytes));
    labels_.push_back(dataset_->label(chosen[i]));
  }
  data_ = bytes_.data();
}

}  // namespace xdn::cli
