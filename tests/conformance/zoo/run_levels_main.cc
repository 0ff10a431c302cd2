// xdn_run_levels MODEL IN OUT
// Imports a model once and runs it by the planned executor on the one tensor of file IN (tensor_file.h),
// without fusion, with traditional and with aggressive fusion; writes the three outputs to OUT, in that
// order.

#include <cstdio>
#include <string>
#include <vector>

#include "base/error.h"
#include "conformance/ort/tensor_file.h"
#include "executor/executor.h"
#include "formats/model_io.h"

namespace {

using namespace xdn;

int run(const std::vector<std::string>& files) {
  if (files.size() != 3) throw Error(ErrorKind::kUsage, "expected MODEL IN OUT");
  const Graph graph = load_model(files[0]);
  const std::vector<Tensor> inputs = testing::read_tensor_file(files[1]);
  if (inputs.size() != 1) throw input_error("expected one input").in_file(files[1]);
  const int64_t images = inputs[0].dim(0);
  std::vector<Tensor> outputs;
  for (const FusionLevel level : {FusionLevel::kOff, FusionLevel::kTraditional, FusionLevel::kAggressive}) {
    ExecOptions options;
    options.fusion = level;
    options.batch_hint = images;
    Executor executor(graph, options);
    Tensor output(DType::kF32, {images, executor.output_size()});
    executor.run_f32(inputs[0].data<float>().data(), images, output.mutable_data<float>().data());
    outputs.push_back(std::move(output));
  }
  testing::write_tensor_file(files[2], outputs);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "xdn_run_levels: %s\n", error.what());
    return 2;
  }
}
