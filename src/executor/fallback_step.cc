#include "executor/reference.h"
#include "executor/simple_steps.h"

namespace xdn {

void read_rows(const Plan& plan, BufferId id, const std::byte* arena, int64_t n, float* rows) {
  const Buffer& b = plan.buffer(id);
  for (int64_t p = 0; p < b.positions(); ++p) {
    for (int64_t image = 0; image < n; ++image) {
      const auto* src = reinterpret_cast<const float*>(arena + b.offset + (p * n + image) * b.row_bytes());
      float* dst = rows + image * b.channels * b.positions() + p;
      for (int64_t c = 0; c < b.channels; ++c) dst[c * b.positions()] = src[c];
    }
  }
}

void write_rows(const Plan& plan, BufferId id, std::byte* arena, int64_t n, const float* rows) {
  const Buffer& b = plan.buffer(id);
  for (int64_t p = 0; p < b.positions(); ++p) {
    for (int64_t image = 0; image < n; ++image) {
      auto* dst = reinterpret_cast<float*>(arena + b.offset + (p * n + image) * b.row_bytes());
      const float* src = rows + image * b.channels * b.positions() + p;
      for (int64_t c = 0; c < b.channels; ++c) dst[c] = src[c * b.positions()];
    }
  }
}

namespace {

Dims with_batch(Dims shape, int64_t n) {
  for (int64_t& dim : shape) {
    if (dim == kBatch) dim = n;
  }
  return shape;
}

class FallbackStep final : public Step {
 public:
  FallbackStep(const Plan& plan, Node node, std::vector<FallbackInput> inputs, std::vector<Tensor> constants,
               BufferId dst)
      : plan_(plan),
        node_(std::move(node)),
        inputs_(std::move(inputs)),
        constants_(std::move(constants)),
        dst_(dst) {
    kernel = "reference (no fast kernel)";
    for (const FallbackInput& input : inputs_) {
      if (input.buffer >= 0) reads.push_back(input.buffer);
    }
    writes = {dst_};
  }

  void run(const TileContext& context) const override {
    if (context.part != 0) return;
    std::vector<Tensor> tensors(inputs_.size());
    std::vector<const Tensor*> pointers(inputs_.size(), nullptr);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (inputs_[i].buffer >= 0) {
        tensors[i] = Tensor(DType::kF32, with_batch(inputs_[i].shape, context.n));
        read_rows(plan_, inputs_[i].buffer, context.arena, context.n,
                  tensors[i].mutable_data<float>().data());
        pointers[i] = &tensors[i];
      } else if (inputs_[i].constant >= 0) {
        pointers[i] = &constants_[static_cast<size_t>(inputs_[i].constant)];
      }
    }
    const Tensor out = evaluate_node(node_, pointers);
    write_rows(plan_, dst_, context.arena, context.n, out.data<float>().data());
  }

 private:
  const Plan& plan_;
  Node node_;
  std::vector<FallbackInput> inputs_;
  std::vector<Tensor> constants_;
  BufferId dst_;
};

}  // namespace

std::unique_ptr<Step> make_fallback_step(const Plan& plan, Node node, std::vector<FallbackInput> inputs,
                                         std::vector<Tensor> constants, BufferId dst) {
  return std::make_unique<FallbackStep>(plan, std::move(node), std::move(inputs), std::move(constants), dst);
}

}  // namespace xdn
