#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "executor/plan.h"

namespace xdn {

/// A step made of a function of (context, first, last) over `units` units that threads share.
class UnitStep final : public Step {
 public:
  using Body = std::function<void(const TileContext&, int64_t first, int64_t last)>;
  UnitStep(std::string name, int64_t units, std::vector<BufferId> in, BufferId out, Body body)
      : units_(units), body_(std::move(body)) {
    kernel = std::move(name);
    reads = std::move(in);
    writes = {out};
  }
  void run(const TileContext& context) const override {
    const Share share = share_of(units_, context.part, context.parts);
    if (share.first < share.last) body_(context, share.first, share.last);
  }

 private:
  int64_t units_;
  Body body_;
};

/// Buffers live in the plan, whose offsets are known only after planning: steps look them up when they run.
struct BufferRef {
  const Plan* plan;
  BufferId id;
  const Buffer& get() const { return plan->buffer(id); }
  std::byte* at(const TileContext& context, int64_t position) const {
    return context.arena + get().offset + position * get().position_bytes(context.n);
  }
  template <class T>
  T* row(const TileContext& context, int64_t position, int64_t image = 0) const {
    return reinterpret_cast<T*>(at(context, position) + image * get().image_bytes());
  }
};

inline std::string with_bundle(const char* name, const kernels::KernelTable& table) {
  return std::string(name) + " " + table.bundle;
}

}  // namespace xdn
