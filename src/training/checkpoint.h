#pragma once

#include <map>
#include <string>

#include "base/tensor.h"

namespace xdn::training {

/// Everything a run needs to go on: tensors by name, and the trainer's state as JSON text.
///
/// File: "XDNTRAIN" | u32 version | u64 n | n bytes of JSON | tensors | 64 bytes: SHA-256, in hexadecimal, of
/// all before. The JSON is {"state": ..., "tensors": [{"name", "dtype", "dims"}, ...]}; the tensors' elements
/// follow each other in that order, packed, little-endian. Numbers in the head are little-endian too.
struct Checkpoint {
  std::string state;  ///< a JSON object
  std::map<std::string, Tensor> tensors;
};

/// The file appears whole or not at all.
void write_checkpoint(const Checkpoint& checkpoint, const std::string& path);
/// Throws an input error naming the file where it is no checkpoint, of another version, cut or damaged.
Checkpoint read_checkpoint(const std::string& path);

}  // namespace xdn::training
