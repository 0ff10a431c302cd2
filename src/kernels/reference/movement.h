#pragma once

#include <cstddef>
#include <vector>

#include "base/tensor.h"

// Elements of any type, moved as bytes.
namespace xdn::reference {

inline constexpr int64_t kFill = -1;

/// dst[i0, i1, ...] = src[index[0][i0], index[1][i1], ...], or *fill where one of these is kFill. The extents
/// of dst are the lengths of the lists. Slice and Pad are such copies.
void copy_indexed(const void* src, const Dims& src_dims, const std::vector<std::vector<int64_t>>& index,
                  const void* fill, size_t element_size, void* dst);

/// dst[i] = src[sum(i * src_strides)] for every index i of dst_dims.
void copy_strided(const void* src, const Dims& src_strides, const Dims& dst_dims, size_t element_size,
                  void* dst);

/// dst[o, first + k, i] = src[o, k, i] for src [outer, extent, inner] and dst [outer, dst_extent, inner].
void copy_into_axis(const void* src, int64_t outer, int64_t extent, int64_t inner, int64_t first,
                    int64_t dst_extent, size_t element_size, void* dst);

/// dst[o, k, i] = src[o, indices[k], i] for src [outer, extent, inner]. Indices count from the end when
/// negative; one outside the extent is an input error.
void gather(const void* src, int64_t outer, int64_t extent, int64_t inner,
            const std::vector<int64_t>& indices, size_t element_size, void* dst);

}  // namespace xdn::reference
