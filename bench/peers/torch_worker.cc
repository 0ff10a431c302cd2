// libtorch as a worker; see protocol.mjs. Takes float32 n c h w. The model is read by our importers and
// becomes a frozen TorchScript module, optimized for inference: convolutions, and what stands between them,
// run in oneDNN.

#include <ATen/Parallel.h>
#include <torch/script.h>
#include <torch/version.h>

#include <optional>

#include "base/error.h"
#include "formats/model_io.h"
#include "peers/torch_script.h"
#include "peers/worker.h"

namespace {

using nlohmann::json;

torch::jit::Module module_of(const xdn::Graph& graph) {
  const xdn::bench::TorchScript script = xdn::bench::to_torch_script(graph);
  torch::jit::Module module("net");
  for (const auto& [name, tensor] : script.constants) {
    at::Tensor copy = torch::empty(tensor.dims(), torch::kFloat32);
    const auto values = tensor.data<float>();
    std::copy(values.begin(), values.end(), copy.data_ptr<float>());
    module.register_buffer(name, copy);
  }
  module.define(script.source);
  // A module made by hand has no attribute "training", without which optimize_for_inference would not freeze
  // it.
  torch::jit::Module frozen = torch::jit::freeze(module);
  return torch::jit::optimize_for_inference(frozen);
}

class TorchEngine : public xdn::bench::Engine {
 public:
  json load(const json& request) override {
    const int threads = request.at("threads");
    at::set_num_threads(threads);
    const xdn::Graph graph = xdn::load_model(request.at("model"));
    const c10::InferenceMode inference;
    module_ = module_of(graph);
    return {{"fixed_batch", 0},
            {"about", std::string("libtorch " TORCH_VERSION) + (at::hasMKLDNN() ? ", oneDNN, " : ", ") +
                          std::to_string(at::get_num_threads()) + " threads"}};
  }

  void run(const xdn::bench::WorkerData& data, int64_t first, int64_t count,
           std::vector<float>& out) override {
    if (data.bytes) throw xdn::input_error("takes float32");
    if (!module_) throw xdn::input_error("no model yet");
    const c10::InferenceMode inference;
    const at::Tensor images = torch::from_blob(const_cast<float*>(data.f32(first)),
                                               {count, data.channels, data.height, data.width});
    const at::Tensor result = module_->forward({images}).toTensor().contiguous();
    if (result.scalar_type() != torch::kFloat32) throw xdn::failure("unexpected output");
    out.assign(result.data_ptr<float>(), result.data_ptr<float>() + result.numel());
  }

 private:
  std::optional<torch::jit::Module> module_;
};

}  // namespace

int main() {
  TorchEngine engine;
  return xdn::bench::serve(engine);
}
