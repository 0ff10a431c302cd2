// XDN as a worker; see protocol.mjs. Takes the pixels' bytes, or float32 as its peers do.

#include <optional>

#include "base/error.h"
#include "executor/executor.h"
#include "formats/model_io.h"
#include "peers/worker.h"

namespace {

using nlohmann::json;

class XdnEngine : public xdn::bench::Engine {
 public:
  json load(const json& request) override {
    xdn::ExecOptions options;
    options.threads = request.at("threads");
    options.batch_hint = request.at("batch");
    if (request.contains("isa")) {
      options.isa = xdn::parse_isa(request.at("isa"));
      if (!options.isa) throw xdn::input_error("unknown isa");
    }
    if (const std::string wanted = request.value("precision", std::string()); !wanted.empty()) {
      for (const auto precision : {xdn::Precision::kFp32, xdn::Precision::kBf16, xdn::Precision::kInt8}) {
        if (wanted == xdn::precision_name(precision)) options.precision = precision;
      }
      if (!options.precision) throw xdn::input_error("unknown precision '" + xdn::printable(wanted) + "'");
    }
    if (request.contains("pixels")) {
      const json& pixels = request.at("pixels");
      xdn::PixelMap map;
      map.scale = pixels.at("scale").get<std::vector<float>>();
      map.shift = pixels.at("shift").get<std::vector<float>>();
      map.source_channel = pixels.at("source_channel").get<std::vector<int>>();
      options.pixels = map;
    }
    executor_.emplace(xdn::load_model(request.at("model")), options);
    const xdn::ExecSettings& chosen = executor_->settings();
    const std::string about =
        std::string(xdn::isa_name(chosen.isa)) + ", " + xdn::chosen_precision_name(chosen) + ", " +
        std::to_string(chosen.data_parallel) + " x " + std::to_string(chosen.model_parallel) +
        " threads, tile " + std::to_string(chosen.batch_tile);
    return {{"input", executor_->input_shape()}, {"fixed_batch", 0}, {"about", about}};
  }

  void run(const xdn::bench::WorkerData& data, int64_t first, int64_t count,
           std::vector<float>& out) override {
    if (!executor_) throw xdn::input_error("no model yet");
    if (executor_->input_shape() != xdn::Dims{data.channels, data.height, data.width}) {
      throw xdn::input_error("the images do not fit the model's input " +
                             xdn::to_string(executor_->input_shape()));
    }
    out.resize(static_cast<size_t>(count * executor_->output_size()));
    if (data.bytes) {
      executor_->run_u8({data.u8(first), nullptr}, count, out.data());
    } else {
      executor_->run_f32(data.f32(first), count, out.data());
    }
  }

 private:
  std::optional<xdn::Executor> executor_;
};

}  // namespace

int main() {
  XdnEngine engine;
  return xdn::bench::serve(engine);
}
