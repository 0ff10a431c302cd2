#include "kernels/reference/movement.h"

#include <cstring>
#include <string>

#include "base/error.h"
#include "kernels/reference/walk.h"

namespace xdn::reference {
namespace {

const std::byte* at(const void* data, int64_t offset, size_t element_size) {
  return static_cast<const std::byte*>(data) + static_cast<size_t>(offset) * element_size;
}

void copy(void* dst, const void* src, size_t bytes) {
  if (bytes != 0) std::memcpy(dst, src, bytes);
}

}  // namespace

void copy_indexed(const void* src, const Dims& src_dims, const std::vector<std::vector<int64_t>>& index,
                  const void* fill, size_t element_size, void* dst) {
  Dims dst_dims;
  for (const auto& list : index) dst_dims.push_back(static_cast<int64_t>(list.size()));
  for (const int64_t dim : dst_dims) {
    if (dim == 0) return;
  }
  const Dims strides = dense_strides(src_dims);
  Dims position(dst_dims.size(), 0);
  auto* out = static_cast<std::byte*>(dst);
  while (true) {
    int64_t offset = 0;
    bool inside = true;
    for (size_t axis = 0; axis < index.size(); ++axis) {
      const int64_t i = index[axis][static_cast<size_t>(position[axis])];
      inside = inside && i != kFill;
      offset += i * strides[axis];
    }
    copy(out, inside ? at(src, offset, element_size) : fill, element_size);
    out += element_size;
    size_t axis = dst_dims.size();
    while (axis > 0 && ++position[axis - 1] == dst_dims[axis - 1]) position[--axis] = 0;
    if (axis == 0) return;
  }
}

void copy_strided(const void* src, const Dims& src_strides, const Dims& dst_dims, size_t element_size,
                  void* dst) {
  auto* out = static_cast<std::byte*>(dst);
  walk(dst_dims, src_strides, src_strides, [&](int64_t offset, int64_t) {
    copy(out, at(src, offset, element_size), element_size);
    out += element_size;
  });
}

void copy_into_axis(const void* src, int64_t outer, int64_t extent, int64_t inner, int64_t first,
                    int64_t dst_extent, size_t element_size, void* dst) {
  const size_t bytes = static_cast<size_t>(extent * inner) * element_size;
  for (int64_t o = 0; o < outer; ++o) {
    std::byte* out =
        static_cast<std::byte*>(dst) + static_cast<size_t>((o * dst_extent + first) * inner) * element_size;
    copy(out, at(src, o * extent * inner, element_size), bytes);
  }
}

void gather(const void* src, int64_t outer, int64_t extent, int64_t inner,
            const std::vector<int64_t>& indices, size_t element_size, void* dst) {
  const size_t bytes = static_cast<size_t>(inner) * element_size;
  auto* out = static_cast<std::byte*>(dst);
  for (const int64_t index : indices) {
    if (index < -extent || index >= extent) {
      throw input_error("expected indices in [-" + std::to_string(extent) + "," + std::to_string(extent) +
                        "), got " + std::to_string(index));
    }
  }
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t index : indices) {
      const int64_t row = index < 0 ? index + extent : index;
      copy(out, at(src, (o * extent + row) * inner, element_size), bytes);
      out += bytes;
    }
  }
}

}  // namespace xdn::reference
