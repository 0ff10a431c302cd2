#include "cli/latency_flags.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/progress.h"
#include "quantization/quantize.h"

namespace xdn::cli {

void LatencyFlags::add_options(CLI::App& app) {
  constexpr const char* kGroup = "Latency table";
  app.add_option("--latency-batch", batch, "Images of a run; default: 512")
      ->check(whole_number(1, 1 << 20))
      ->type_name("N")
      ->group(kGroup);
  app.add_option("--latency-rounds", rounds, "How often every network has its turn; default: 7")
      ->check(whole_number(1, 1000))
      ->type_name("N")
      ->group(kGroup);
}

LatencyMeasureOptions LatencyFlags::options(const ModelInput& model, int64_t inner_granularity,
                                            int64_t trunk_granularity) const {
  LatencyMeasureOptions options;
  options.exec = exec.options();
  options.exec.pixels = model.pixel_map(model.preprocess.bgr);
  if (batch > 0) options.batch = batch;
  if (rounds > 0) options.rounds = static_cast<int>(rounds);
  options.inner_granularity = inner_granularity;
  options.trunk_granularity = trunk_granularity;
  if (options.exec.precision == Precision::kInt8) options.prepare = quantized_for_timing;
  return options;
}

pruning::LatencyTable measure_with_progress(const Graph& graph, const pruning::Groups& groups,
                                            LatencyMeasureOptions options) {
  Progress progress("latency", measurements(graph, groups, options));
  options.done = &progress.done();
  pruning::LatencyTable table = measure_latency_table(graph, groups, options);
  progress.finish();
  return table;
}

std::string table_line(const pruning::LatencyTable& table) {
  const pruning::LatencyData& data = table.data();
  const std::string tile = data.batch_tile > 0 ? fmt::format(", tiles of {}", data.batch_tile) : "";
  return fmt::format("{} on {}, {} x {} threads, batches of {}{}, fusion {}", printable(data.precision),
                     printable(data.isa), data.data_parallel, data.model_parallel, data.batch, tile,
                     printable(data.fusion));
}

}  // namespace xdn::cli
