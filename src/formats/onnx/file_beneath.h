#pragma once

#include <string>

#include "base/file_descriptor.h"

namespace xdn::onnx_io {

struct OpenedFile {
  FileDescriptor fd;
  int64_t size = 0;
};

/// Opens the regular file `location`, a path written in an untrusted model, for reading. The path is relative
/// to `folder` and cannot leave it: no absolute path, no "..", no symbolic link in any component. Throws an
/// input error naming the location.
OpenedFile open_beneath(const std::string& folder, const std::string& location);

/// The same for kernels without openat2: the path is walked component by component.
OpenedFile open_beneath_by_walking(const std::string& folder, const std::string& location);

/// Reads exactly `bytes` at `offset`; throws an input error when the file ends before.
void read_at(const OpenedFile& file, const std::string& location, int64_t offset, void* dst, size_t bytes);

/// The folder a file stands in, "." where the path has none.
std::string folder_of(const std::string& path);

}  // namespace xdn::onnx_io
