#pragma once

#include <memory>
#include <string>

#include "caffe.pb.h"
#include "formats/wire/skeleton.h"

namespace xdn {

/// The network as text, and the text. Fields that the schema does not know are skipped, with one warning per
/// name. Throws an input error naming the file, and line and column where the text is at fault.
struct Prototxt {
  caffe::NetParameter net;
  std::string text;
};
Prototxt read_prototxt(const std::string& path);

/// A network with weights, whose larger blobs stay in the file.
struct Caffemodel {
  Skeleton file;
  caffe::NetParameter net;
};

/// The weights, in protobuf's wire format, at most 2 GiB. Throws an input error naming the file.
std::unique_ptr<const Caffemodel> read_caffemodel(const std::string& path);

}  // namespace xdn
