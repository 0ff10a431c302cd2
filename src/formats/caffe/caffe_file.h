#pragma once

#include <memory>
#include <string>

#include "caffe.pb.h"

namespace xdn {

/// The network as text. Fields that the schema does not know are skipped, with one warning per name.
/// Throws an input error naming the file, and line and column where the text is at fault.
caffe::NetParameter read_prototxt(const std::string& path);

/// The weights, in protobuf's wire format, at most 2 GiB. Throws an input error naming the file.
std::shared_ptr<const caffe::NetParameter> read_caffemodel(const std::string& path);

}  // namespace xdn
