#pragma once

#include <memory>
#include <string>

#include "data/dataset.h"

namespace xdn {

/// CIFAR-10's binary version: a folder with data_batch_1.bin, data_batch_2.bin, ... (the train split, in this
/// order) and test_batch.bin (the test split), or the path of one such file. A record is one label byte, then
/// 3 x 32 x 32 bytes: planes red, green, blue. Names of the classes come from batches.meta.txt if it is
/// there.
std::unique_ptr<Dataset> open_cifar10(const std::string& path, const DatasetOptions& options = {});

/// Whether the folder, or the file, is named like CIFAR-10's binary version.
bool is_cifar10(const std::string& path);

}  // namespace xdn
