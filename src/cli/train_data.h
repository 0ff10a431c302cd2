#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "training/augment.h"

namespace xdn::cli {

/// A data set of which all images lie in memory, RGB.
class LoadedImages {
 public:
  /// Packs are mapped, and compared with their SHA-256 where `verify`; other images are decoded.
  LoadedImages(const std::string& path, const DatasetOptions& options, bool verify);

  training::ImageSet set() const;
  const Dataset& dataset() const { return *dataset_; }

 private:
  std::unique_ptr<Dataset> dataset_;
  std::vector<uint8_t> decoded_;
};

/// Input error naming the data unless they have the size, and the classes in order, that are expected.
void check_same_kind(const Dataset& dataset, const Dataset& expected);

}  // namespace xdn::cli
