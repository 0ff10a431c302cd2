#include "formats/caffe/weights.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace xdn {
namespace {

constexpr int kMaxBlobAxes = 32;

Dims squeezed(const Dims& dims) {
  Dims out;
  std::copy_if(dims.begin(), dims.end(), std::back_inserter(out), [](int64_t dim) { return dim != 1; });
  return out;
}

/// "3 blobs of shapes [64], [64], [1]"
std::string describe(std::span<const Dims> shapes) {
  std::string out = std::to_string(shapes.size());
  out += shapes.size() == 1 ? " blob of shape " : " blobs of shapes ";
  for (size_t i = 0; i < shapes.size(); ++i) out += (i == 0 ? "" : ", ") + to_string(shapes[i]);
  return out;
}

}  // namespace

CaffeWeights::CaffeWeights(std::unique_ptr<const Caffemodel> model, std::string path)
    : model_(std::move(model)), path_(std::move(path)) {
  for (const auto& layer : model_->net.layer()) add(layer.name(), layer.blobs());
  for (const auto& layer : model_->net.layers()) add(layer.name(), layer.blobs());
}

void CaffeWeights::add(const std::string& layer,
                       const google::protobuf::RepeatedPtrField<caffe::BlobProto>& blobs) {
  if (blobs.empty()) return;
  const auto [entry, added] = by_name_.try_emplace(layer, Blobs{&blobs, false});
  if (!added) entry->second.duplicate = true;
}

int CaffeWeights::blob_count(const std::string& layer) const {
  const auto found = by_name_.find(layer);
  return found == by_name_.end() ? 0 : found->second.blobs->size();
}

std::vector<Tensor> CaffeWeights::take(const std::string& layer, std::span<const Dims> expected) const {
  const auto found = by_name_.find(layer);
  if (found == by_name_.end()) {
    throw input_error("has no weights in " + printable(path_) + " (expected " + describe(expected) + ")");
  }
  try {
    if (found->second.duplicate) throw input_error("stands twice in the file, with weights both times");
    const auto& blobs = *found->second.blobs;
    if (static_cast<size_t>(blobs.size()) != expected.size()) {
      throw input_error("has " + std::to_string(blobs.size()) + (blobs.size() == 1 ? " blob" : " blobs") +
                        ", expected " + describe(expected));
    }
    std::vector<Tensor> out;
    for (int i = 0; i < blobs.size(); ++i)
      out.push_back(read(blobs.Get(i), i, expected[static_cast<size_t>(i)]));
    return out;
  } catch (Error& error) {
    error.in_file(path_);
    throw;
  }
}

Tensor CaffeWeights::read(const caffe::BlobProto& blob, int index, const Dims& expected) const {
  const std::string which = "blob " + std::to_string(index);
  Dims found;
  if (blob.has_shape()) {
    if (blob.shape().dim_size() > kMaxBlobAxes) {
      throw input_error(which + " has " + std::to_string(blob.shape().dim_size()) + " axes, expected " +
                        to_string(expected));
    }
    found.assign(blob.shape().dim().begin(), blob.shape().dim().end());
  } else if (blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width()) {
    found = {blob.num(), blob.channels(), blob.height(), blob.width()};
  } else {
    throw input_error(which + " has no shape, expected " + to_string(expected));
  }
  if (std::any_of(found.begin(), found.end(), [](int64_t dim) { return dim < 0; })) {
    throw input_error(which + " has a negative extent, expected " + to_string(expected));
  }
  if (squeezed(found) != squeezed(expected)) {
    throw input_error(which + " has shape " + to_string(found) + ", expected " + to_string(expected));
  }
  const int64_t count = element_count(expected, sizeof(double));
  using Blob = caffe::BlobProto;
  std::string unknown;
  blob.unknown_fields().SerializeToString(&unknown);
  auto part = model_->file.part_of(unknown, Blob::kDataFieldNumber, blob.data_size() > 0);
  DType dtype = DType::kF32;
  const void* data = blob.data().data();
  int64_t stored = part ? part->bytes / int64_t{sizeof(float)} : blob.data_size();
  if (stored == 0) {
    part = model_->file.part_of(unknown, Blob::kDoubleDataFieldNumber, blob.double_data_size() > 0);
    dtype = DType::kF64;
    data = blob.double_data().data();
    stored = part ? part->bytes / int64_t{sizeof(double)} : blob.double_data_size();
  }
  if (stored != count) {
    throw input_error(which + " holds " + std::to_string(stored) + " elements, expected " +
                      std::to_string(count) + " for shape " + to_string(found));
  }
  Tensor tensor = Tensor::uninitialized(dtype, expected);
  if (part) {
    model_->file.read(*part, tensor.mutable_raw());
  } else if (count != 0) {
    std::memcpy(tensor.mutable_raw(), data, tensor.bytes());
  }
  return tensor.converted(DType::kF32);
}

}  // namespace xdn
