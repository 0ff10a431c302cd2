#include "graph/infer_internal.h"
#include "graph/window.h"

namespace xdn::infer {
namespace {

/// Far beyond any model, and small enough that no sum or product of two overflows.
constexpr int64_t kMaxWindowValue = (int64_t{1} << 31) - 1;

void check_list(const Dims& list, size_t rank, int64_t least, const char* name) {
  require(list.size() == rank, [&] {
    return std::string(name) + " has " + text(list.size()) + " entries, but there are " + text(rank) +
           " spatial axes";
  });
  for (const int64_t value : list) {
    require(value >= least && value <= kMaxWindowValue, [&] {
      return std::string(name) + " must be at least " + text(least) + " and below 2^31, but is " +
             text(value);
    });
  }
}

void check_window(const Window& window, size_t rank) {
  check_list(window.kernel, rank, 1, "kernel");
  check_list(window.strides, rank, 1, "strides");
  check_list(window.dilations, rank, 1, "dilations");
  check_list(window.pads_begin, rank, 0, "pads_begin");
  check_list(window.pads_end, rank, 0, "pads_end");
}

/// n, channels, then what extent(axis, in) says for every spatial axis.
template <class Extent>
Dims window_output(const Dims& x, int64_t channels, const Window& window, Extent extent) {
  Dims out{x[0], channels};
  for (size_t i = 0; i + 2 < x.size(); ++i) {
    const int64_t in = fixed_extent(x, i + 2, "a spatial axis");
    const int64_t result = extent(i, in);
    require(result >= 1 || in == 0, [&] {
      return "a window of " + text(dilated_extent(window.kernel[i], window.dilations[i])) +
             " does not fit into spatial axis " + text(i) + ": extent " + text(in) + " plus pads " +
             text(window.pads_begin[i]) + " and " + text(window.pads_end[i]);
    });
    out.push_back(in == 0 ? 0 : result);
  }
  return out;
}

}  // namespace

Dims conv(const Inputs& in) {
  const auto& attrs = in.node.as<ConvAttrs>();
  require_rank(in, 0, "the input", 3, kMaxRank);
  const Dims &x = in.shape(0), &w = in.shape(1);
  require_same_dtype(in, 1);
  require(w.size() == x.size(), [&] {
    return "weights of shape " + text(w) + " do not fit an input of shape " + text(x) + ": the ranks differ";
  });
  for (size_t i = 0; i < w.size(); ++i) fixed_extent(w, i, "an axis of the weights");
  check_window(attrs.window, x.size() - 2);
  const int64_t channels = fixed_extent(x, 1, "the channel axis");
  require(attrs.group >= 1, [&] { return "group must be at least 1, but is " + text(attrs.group); });
  require(w[0] >= 1 && w[1] >= 1, [&] { return "weights of shape " + text(w) + " have no channels"; });
  require(channels % attrs.group == 0 && w[0] % attrs.group == 0, [&] {
    return text(channels) + " input and " + text(w[0]) + " output channels are not divisible by group " +
           text(attrs.group);
  });
  require(w[1] == channels / attrs.group, [&] {
    return "weights of shape " + text(w) + " with group " + text(attrs.group) + " expect " + text(w[1]) +
           " x " + text(attrs.group) + " input channels, but the input has shape " + text(x);
  });
  require(Dims(w.begin() + 2, w.end()) == attrs.window.kernel, [&] {
    return "kernel is " + text(attrs.window.kernel) + ", but the weights have shape " + text(w);
  });
  if (in.has(2)) {
    require_same_dtype(in, 2);
    require(in.shape(2) == Dims{w[0]}, [&] {
      return "the bias has shape " + text(in.shape(2)) + ", but there are " + text(w[0]) + " output channels";
    });
  }
  const Window& window = attrs.window;
  Dims out = window_output(x, w[0], window, [&](size_t i, int64_t extent) {
    return conv_output_extent(extent, window.kernel[i], window.strides[i], window.dilations[i],
                              window.pads_begin[i], window.pads_end[i]);
  });
  if (in.has(3)) {
    require_same_dtype(in, 3);
    require(in.shape(3) == out, [&] {
      return "the residual has shape " + text(in.shape(3)) + ", but the output has " + text(out);
    });
  }
  return out;
}

Dims pool(const Inputs& in) {
  const auto& attrs = in.node.as<PoolAttrs>();
  require_rank(in, 0, "the input", 3, kMaxRank);
  const Dims& x = in.shape(0);
  const Window& window = attrs.window;
  check_window(window, x.size() - 2);
  for (size_t i = 0; i + 2 < x.size(); ++i) {
    const int64_t extent = dilated_extent(window.kernel[i], window.dilations[i]);
    require(window.pads_begin[i] < extent && window.pads_end[i] < extent, [&] {
      return "pads " + text(window.pads_begin[i]) + " and " + text(window.pads_end[i]) +
             " must be smaller than the window, " + text(extent);
    });
  }
  return window_output(x, fixed_extent(x, 1, "the channel axis"), window, [&](size_t i, int64_t extent) {
    return pool_output_extent(extent, window.kernel[i], window.strides[i], window.dilations[i],
                              window.pads_begin[i], window.pads_end[i], attrs.ceil_mode);
  });
}

Dims global_pool(const Inputs& in) {
  require_rank(in, 0, "the input", 2, kMaxRank);
  Dims out = in.shape(0);
  for (size_t i = 2; i < out.size(); ++i) {
    fixed_extent(out, i, "a spatial axis");
    out[i] = 1;
  }
  return out;
}

Dims batch_norm(const Inputs& in) {
  require_rank(in, 0, "the input", 2, kMaxRank);
  const int64_t channels = fixed_extent(in.shape(0), 1, "the channel axis");
  const char* names[] = {"", "scale", "bias", "mean", "variance"};
  for (size_t i = 1; i < 5; ++i) {
    require_same_dtype(in, i);
    require(in.shape(i) == Dims{channels}, [&] {
      return std::string(names[i]) + " has shape " + text(in.shape(i)) + ", but the input of shape " +
             text(in.shape(0)) + " has " + text(channels) + " channels";
    });
  }
  return in.shape(0);
}

Dims lrn(const Inputs& in) {
  const auto& attrs = in.node.as<LrnAttrs>();
  require_rank(in, 0, "the input", attrs.within_channel ? 3 : 2, kMaxRank);
  const Dims& x = in.shape(0);
  require(attrs.size >= 1 && attrs.size <= kMaxWindowValue,
          [&] { return "size must be at least 1, but is " + text(attrs.size); });
  for (size_t i = 1; i < x.size(); ++i) fixed_extent(x, i, "an axis other than the first");
  return x;
}

}  // namespace xdn::infer
