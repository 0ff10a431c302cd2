#include "cli/train_data.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/dataset_flags.h"
#include "cli/progress.h"
#include "data/pack.h"

namespace xdn::cli {

LoadedImages::LoadedImages(const std::string& path, const DatasetOptions& options, bool verify)
    : dataset_(open_dataset(path, options)) {
  if (verify && is_pack(path)) verify_pack(path);
  if (dataset_->mapped() != nullptr) return;
  if (dataset_->size() > kMostDecodedBytes / dataset_->image_bytes()) {
    throw input_error(
        fmt::format("{} images of {} bytes are too much to keep in memory: write them with xdn pack",
                    dataset_->size(), dataset_->image_bytes()))
        .in_file(path);
  }
  decoded_.resize(static_cast<size_t>(dataset_->size() * dataset_->image_bytes()));
  Progress progress("decode", dataset_->size());
  read_images(*dataset_, 0, dataset_->size(), decoded_.data(), progress.done());
}

training::ImageSet LoadedImages::set() const {
  const uint8_t* pixels = dataset_->mapped() != nullptr ? dataset_->mapped() : decoded_.data();
  return {pixels, dataset_->labels(), dataset_->height(), dataset_->width()};
}

void check_same_kind(const Dataset& dataset, const Dataset& expected) {
  if (dataset.height() != expected.height() || dataset.width() != expected.width()) {
    throw input_error(fmt::format("holds images of {}x{}, {} of {}x{}", dataset.height(), dataset.width(),
                                  printable(expected.source()), expected.height(), expected.width()))
        .in_file(dataset.source());
  }
  if (dataset.classes() == expected.classes()) return;
  if (dataset.classes().size() != expected.classes().size()) {
    throw input_error(fmt::format("holds {} classes, {} holds {}", dataset.classes().size(),
                                  printable(expected.source()), expected.classes().size()))
        .in_file(dataset.source());
  }
  size_t i = 0;
  while (dataset.classes()[i] == expected.classes()[i]) ++i;
  throw input_error(fmt::format("calls class {} '{}', {} calls it '{}'", i, printable(dataset.classes()[i]),
                                printable(expected.source()), printable(expected.classes()[i])))
      .in_file(dataset.source());
}

}  // namespace xdn::cli
