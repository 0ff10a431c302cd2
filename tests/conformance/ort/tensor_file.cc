#include "conformance/ort/tensor_file.h"

#include <cstring>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"

namespace xdn::testing {

std::vector<Tensor> read_tensor_file(const std::string& path) {
  const std::string bytes = read_file(path);
  std::vector<Tensor> tensors;
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t end = bytes.find('\n', at);
    if (end == std::string::npos) throw input_error("has a tensor without a header line").in_file(path);
    std::istringstream header(bytes.substr(at, end - at));
    std::string name;
    size_t rank = 0;
    header >> name >> rank;
    const auto dtype = parse_dtype(name);
    if (!header || !dtype || rank > 8) throw input_error("has a bad header line").in_file(path);
    Dims dims(rank);
    for (int64_t& extent : dims) header >> extent;
    if (!header) throw input_error("has a bad header line").in_file(path);
    Tensor tensor(*dtype, dims);
    at = end + 1;
    if (bytes.size() - at < tensor.bytes()) throw input_error("is truncated").in_file(path);
    if (tensor.bytes() > 0) std::memcpy(tensor.mutable_raw(), bytes.data() + at, tensor.bytes());
    at += tensor.bytes();
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

void write_tensor_file(const std::string& path, const std::vector<Tensor>& tensors) {
  AtomicFile file(path);
  for (const Tensor& tensor : tensors) {
    std::string header(dtype_name(tensor.dtype()));
    header += ' ' + std::to_string(tensor.rank());
    for (const int64_t extent : tensor.dims()) header += ' ' + std::to_string(extent);
    file.write(header + '\n');
    file.write(tensor.raw(), tensor.bytes());
  }
  file.commit();
}

}  // namespace xdn::testing
