#pragma once

#include <memory>
#include <string>

#include "data/dataset.h"

namespace xdn {

/// One subfolder per class, in the order of their names; in it .jpg, .jpeg and .png files, in the order of
/// theirs. Hidden entries are ignored; anything else, and a class without images, is an input error. Images
/// are decoded by read(); opening decodes only the first one, and only where options give no size.
std::unique_ptr<Dataset> open_image_folder(const std::string& path, const DatasetOptions& options = {});

}  // namespace xdn
