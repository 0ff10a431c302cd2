#include <algorithm>

#include "graph/infer_internal.h"
#include "graph/window.h"

namespace xdn::infer {
namespace {

/// A product of extents, of which at most one is the free batch.
struct Product {
  int64_t fixed = 1;
  bool batch = false;
};

Product product(Dims::const_iterator first, Dims::const_iterator last) {
  Dims fixed;
  Product out;
  for (auto it = first; it != last; ++it) {
    if (*it == kBatch) {
      out.batch = true;
    } else {
      fixed.push_back(*it);
    }
  }
  out.fixed = element_count(fixed);
  return out;
}

/// Ends at or beyond this stand for "all of the axis" where the axis is the free batch; exporters write
/// INT32_MAX or INT64_MAX.
constexpr int64_t kToTheEnd = (int64_t{1} << 31) - 1;

}  // namespace

Dims reshape(const Inputs& in) {
  const Dims &from = in.shape(0), &to = in.node.as<ReshapeAttrs>().shape;
  for (const int64_t extent : to) {
    require(extent >= 0 || extent == kBatch, [&] { return "negative extent in shape " + text(to); });
  }
  require(std::count(to.begin(), to.end(), kBatch) <= 1,
          [&] { return "shape " + text(to) + " has more than one free batch dimension"; });
  const Product a = product(from.begin(), from.end()), b = product(to.begin(), to.end());
  const std::string what = "a reshape from " + text(from) + " to " + text(to);
  if (a.batch != b.batch) throw batch_error(what);
  require(a.fixed == b.fixed, [&] {
    return what + " changes the number of elements" + (a.batch ? " per image" : "") + " from " +
           text(a.fixed) + " to " + text(b.fixed);
  });
  return to;
}

Dims flatten(const Inputs& in) {
  const Dims& x = in.shape(0);
  const int64_t axis = in.node.as<FlattenAttrs>().axis;
  require(axis >= 0 && axis <= static_cast<int64_t>(x.size()),
          [&] { return "axis must be between 0 and " + text(x.size()) + ", but is " + text(axis); });
  Dims out;
  for (const Product& part : {product(x.begin(), x.begin() + axis), product(x.begin() + axis, x.end())}) {
    if (part.batch && part.fixed != 1) {
      throw batch_error("flattening " + text(x) + " at axis " + text(axis));
    }
    out.push_back(part.batch ? kBatch : part.fixed);
  }
  return out;
}

Dims transpose(const Inputs& in) {
  const Dims &x = in.shape(0), &perm = in.node.as<TransposeAttrs>().perm;
  std::vector<bool> seen(x.size(), false);
  bool valid = perm.size() == x.size();
  Dims out;
  for (size_t i = 0; valid && i < perm.size(); ++i) {
    valid = perm[i] >= 0 && perm[i] < static_cast<int64_t>(x.size()) && !seen[static_cast<size_t>(perm[i])];
    if (!valid) break;
    seen[static_cast<size_t>(perm[i])] = true;
    out.push_back(x[static_cast<size_t>(perm[i])]);
  }
  require(valid, [&] {
    std::string list;
    for (const int64_t axis : perm) list += (list.empty() ? "" : ",") + text(axis);
    return "perm [" + list + "] is not a permutation of the " + text(x.size()) + " axes of the input";
  });
  return out;
}

Dims concat(const Inputs& in) {
  Dims out = in.shape(0);
  const size_t axis = checked_axis(in.node.as<AxisAttrs>().axis, out.size(), "axis");
  if (in.count() == 1) return out;
  fixed_extent(out, axis, "concatenating along the batch");
  for (size_t i = 1; i < in.count(); ++i) {
    require_same_dtype(in, i);
    Dims part = in.shape(i);
    const std::string shapes = text(in.shape(0)) + " and " + text(part);
    require(part.size() == out.size(),
            [&] { return "cannot concatenate shapes " + shapes + ": the ranks differ"; });
    const int64_t extent = fixed_extent(part, axis, "concatenating along the batch");
    part[axis] = out[axis];
    require(part == out, [&] {
      return "cannot concatenate shapes " + shapes + " along axis " + text(axis) + ": another axis differs";
    });
    require(extent <= kMaxTensorBytes - out[axis],
            [&] { return std::string("the concatenation is too large"); });
    out[axis] += extent;
  }
  return out;
}

Dims slice(const Inputs& in) {
  const auto& attrs = in.node.as<SliceAttrs>();
  Dims out = in.shape(0);
  const size_t n = attrs.axes.size();
  require(attrs.starts.size() == n && attrs.ends.size() == n && attrs.steps.size() == n,
          [&] { return std::string("axes, starts, ends and steps must have the same length"); });
  std::vector<bool> seen(out.size(), false);
  for (size_t i = 0; i < n; ++i) {
    const size_t axis = checked_axis(attrs.axes[i], out.size(), "sliced axis");
    require(!seen[axis], [&] { return "axis " + text(axis) + " is sliced twice"; });
    seen[axis] = true;
    const int64_t start = attrs.starts[i], end = attrs.ends[i], step = attrs.steps[i];
    const std::string what =
        "slice " + text(start) + ":" + text(end) + ":" + text(step) + " of axis " + text(axis);
    require(step != 0, [&] { return what + ": the step must not be 0"; });
    require(start >= 0 && end >= (step > 0 ? 0 : -1),
            [&] { return what + ": starts and ends must be counted from the beginning"; });
    if (out[axis] == kBatch) {
      if (start != 0 || step != 1 || end < kToTheEnd) throw batch_error(what);
      continue;
    }
    const int64_t extent = out[axis];
    // Beyond the extent all steps are alike; the bound also makes -step safe.
    const int64_t stride = std::clamp(step, -extent - 1, extent + 1);
    const int64_t first = std::min(start, stride > 0 ? extent : extent - 1);
    const int64_t last = std::min(end, stride > 0 ? extent : extent - 1);
    out[axis] =
        std::max<int64_t>(0, stride > 0 ? ceil_div(last - first, stride) : ceil_div(first - last, -stride));
  }
  return out;
}

Dims pad(const Inputs& in) {
  const auto& attrs = in.node.as<PadAttrs>();
  Dims out = in.shape(0);
  require(attrs.begin.size() == out.size() && attrs.end.size() == out.size(), [&] {
    return "pads for " + text(attrs.begin.size()) + " and " + text(attrs.end.size()) +
           " axes, but the input has " + text(out.size());
  });
  for (size_t axis = 0; axis < out.size(); ++axis) {
    const int64_t begin = attrs.begin[axis], end = attrs.end[axis];
    if (begin == 0 && end == 0) continue;
    const int64_t extent = fixed_extent(out, axis, "padding the batch");
    const std::string what = "pads " + text(begin) + " and " + text(end) + " of axis " + text(axis);
    require(std::max(begin, end) <= kMaxTensorBytes && std::min(begin, end) >= -kMaxTensorBytes,
            [&] { return what + " are absurd"; });
    const int64_t kept = extent + std::min<int64_t>(begin, 0) + std::min<int64_t>(end, 0);
    require(kept >= 0, [&] { return what + " crop more than its extent, " + text(extent); });
    if (attrs.mode == PadMode::kReflect) {
      require(std::max(begin, end) < std::max<int64_t>(kept, 1),
              [&] { return what + " must be smaller than its extent, " + text(kept) + ", in reflect mode"; });
    } else if (attrs.mode == PadMode::kEdge) {
      require(std::max(begin, end) <= 0 || kept > 0, [&] { return what + ": an empty axis has no edge"; });
    }
    out[axis] = extent + begin + end;
  }
  return out;
}

Dims gather(const Inputs& in) {
  const Dims &x = in.shape(0), &indices = in.shape(1);
  const size_t axis = checked_axis(in.node.as<AxisAttrs>().axis, x.size(), "axis");
  const int64_t extent = fixed_extent(x, axis, "gathering along the batch");
  require(in.dtype(1) == DType::kI64 || in.dtype(1) == DType::kI32,
          [&] { return "indices must be i64 or i32, not " + std::string(dtype_name(in.dtype(1))); });
  if (in.value(1).constant) {
    const Tensor& list = *in.value(1).constant;
    for (int64_t i = 0; i < list.size(); ++i) {
      const int64_t index = list.as_int(i);
      require(index >= -extent && index < extent, [&] {
        return "index " + text(index) + " is outside of axis " + text(axis) + ", whose extent is " +
               text(extent);
      });
    }
  }
  Dims out(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(axis));
  out.insert(out.end(), indices.begin(), indices.end());
  out.insert(out.end(), x.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.end());
  return out;
}

Dims reduce(const Inputs& in) {
  const auto& attrs = in.node.as<ReduceAttrs>();
  const Dims& x = in.shape(0);
  require(!attrs.axes.empty(), [&] { return std::string("axes must not be empty"); });
  Dims out;
  size_t next = 0;
  for (size_t i = 0; i < attrs.axes.size(); ++i) {
    const size_t axis = checked_axis(attrs.axes[i], x.size(), "reduced axis");
    require(axis >= next, [&] { return std::string("axes must be ascending and name each axis once"); });
    fixed_extent(x, axis, "averaging over the batch");
    out.insert(out.end(), x.begin() + static_cast<std::ptrdiff_t>(next),
               x.begin() + static_cast<std::ptrdiff_t>(axis));
    if (attrs.keepdims) out.push_back(1);
    next = axis + 1;
  }
  out.insert(out.end(), x.begin() + static_cast<std::ptrdiff_t>(next), x.end());
  return out;
}

}  // namespace xdn::infer
