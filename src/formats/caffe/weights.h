#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "formats/caffe/caffe_file.h"

namespace xdn {

/// The blobs of a caffemodel, by layer name, read when they are taken.
class CaffeWeights {
 public:
  /// path is only what errors say.
  CaffeWeights(std::unique_ptr<const Caffemodel> model, std::string path);

  /// How many blobs the layer has; 0 if it is not there.
  int blob_count(const std::string& layer) const;
  /// The layer's blobs, as f32, each with the extents expected. Extents of 1 are not compared: old files
  /// write every blob with four axes. Throws an input error where a blob is missing, superfluous, of another
  /// shape, or does not hold as many elements as its shape says.
  std::vector<Tensor> take(const std::string& layer, std::span<const Dims> expected) const;

 private:
  struct Blobs {
    const google::protobuf::RepeatedPtrField<caffe::BlobProto>* blobs = nullptr;
    bool duplicate = false;
  };
  void add(const std::string& layer, const google::protobuf::RepeatedPtrField<caffe::BlobProto>& blobs);
  Tensor read(const caffe::BlobProto& blob, int index, const Dims& expected) const;

  std::unique_ptr<const Caffemodel> model_;
  std::string path_;
  std::map<std::string, Blobs> by_name_;
};

}  // namespace xdn
