#pragma once

#include <memory>
#include <string>

#include "data/dataset.h"
#include "data/parallel.h"

namespace xdn {

/// One subfolder per class, in the order of their names; in it .jpg, .jpeg and .png files, in the order of
/// theirs. Hidden entries are ignored; anything else, and a class without images, is an input error. Images
/// are decoded by read(); opening decodes only the first one, and only where options give no size.
std::unique_ptr<Dataset> open_image_folder(const std::string& path, const DatasetOptions& options = {});

/// Writes image i of a data set in RGB as dir/CLASS/i.png, i with eight digits. `dir`, which must be absent
/// or empty, appears whole or not at all; until then it is called .NAME.partial, and the next run removes
/// what a killed one left under that name. Input error where the classes are no file names in their order,
/// since they would come back under other labels, or where one has no image.
void write_image_folder(const Dataset& dataset, const std::string& dir, const ImageWork& work = {});

}  // namespace xdn
