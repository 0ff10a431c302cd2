#pragma once

#include <string>
#include <vector>

#include "base/tensor.h"

namespace xdn::testing {

/// A file of tensors, one after another: a line "DTYPE RANK EXTENT...\n", then the elements, little-endian,
/// row-major.
std::vector<Tensor> read_tensor_file(const std::string& path);
void write_tensor_file(const std::string& path, const std::vector<Tensor>& tensors);

}  // namespace xdn::testing
