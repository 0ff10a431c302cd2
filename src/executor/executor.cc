#include "executor/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>

#include "base/cpu.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "executor/lower.h"
#include "executor/pages.h"
#include "executor/reference.h"
#include "executor/simple_steps.h"
#include "fusion/pipeline.h"
#include "graph/bf16_layers.h"

namespace xdn {
namespace {

struct IsaRow {
  Isa isa;
  const char* name;
  const char* bundle;  ///< of kernels
};
constexpr std::array kIsas{
    IsaRow{Isa::kRef, "ref", "ref"},
    IsaRow{Isa::kAvx2, "avx2", "avx2"},
    IsaRow{Isa::kAvx512, "avx512", "avx512"},
    IsaRow{Isa::kAvx512Vnni, "avx512vnni", "avx512vnni"},
    IsaRow{Isa::kAvx512Bf16, "avx512bf16", "avx512bf16"},
};

const IsaRow& isa_row(Isa isa) { return kIsas[static_cast<size_t>(isa)]; }

bool isa_present(Isa isa) {
  const CpuFeatures& cpu = cpu_features();
  switch (isa) {
    case Isa::kRef:
      return true;
    case Isa::kAvx2:
      return cpu.avx2;
    case Isa::kAvx512:
      return cpu.avx512;
    case Isa::kAvx512Vnni:
      return cpu.avx512vnni;
    case Isa::kAvx512Bf16:
      return cpu.avx512bf16;
  }
  return false;
}

/// The least that has everything the precision profits from.
Isa choose_isa(std::optional<Isa> wanted, bool int8, bool bf16) {
  if (wanted.has_value()) {
    if (!isa_present(*wanted)) {
      throw Error(ErrorKind::kUsage,
                  std::string("this processor has no ") + isa_name(*wanted) + "; see xdn info --kernels");
    }
    return *wanted;
  }
  if (bf16 && isa_present(Isa::kAvx512Bf16)) return Isa::kAvx512Bf16;
  if (int8 && isa_present(Isa::kAvx512Vnni)) return Isa::kAvx512Vnni;
  for (const Isa isa : {Isa::kAvx512, Isa::kAvx2}) {
    if (isa_present(isa)) return isa;
  }
  return Isa::kRef;
}

void check_option(int value, int most, const char* name) {
  if (value < 0 || value > most) {
    throw Error(ErrorKind::kUsage, fmt::format("{} is {}, expected 1 ... {}", name, value, most));
  }
}

// Above 96 nothing is gained. Multiples of 12 fill the blocks of every panel width.
constexpr int64_t kMostTile = 96, kTileStep = 12;

/// A tile's widest activation should stay in a core's L2. Weights that do not stay there stream through once
/// per tile: then a larger tile pays although activations spill to L3 (two threads, 1 MiB of L2 each:
/// ResNet-56, 3 MB of weights, 870 images/s at tile 16 and 825 at 32; ResNet-50, 94 MB, 1345 at 16 and 1470
/// at 32; in int8, 2870 per core at 16 and 2970 at 96).
int64_t choose_tile(const Graph& graph, int64_t images_per_worker, int64_t element_bytes) {
  int64_t widest = 1, weight_bytes = 0;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const Dims& shape = graph.value(node.output).shape;
    if (!shape.empty() && shape[0] == kBatch) {
      widest = std::max(widest, element_count(Dims(shape.begin() + 1, shape.end())));
    }
    for (const ValueId input : node.inputs) {
      if (graph.is_constant(input)) weight_bytes += static_cast<int64_t>(graph.constant(input).bytes());
    }
  }
  constexpr int64_t kL2Bytes = int64_t{1} << 20, kManyWeights = int64_t{16} << 20;
  const int64_t budget = weight_bytes > kManyWeights ? 2 * kL2Bytes : kL2Bytes;
  const int64_t widest_bytes = widest * element_bytes;
  const int64_t fitting = std::clamp<int64_t>(budget / widest_bytes, 1, kMostTile);
  const int64_t tile = fitting < kTileStep ? fitting : fitting / kTileStep * kTileStep;
  return std::max<int64_t>(1, std::min(tile, images_per_worker));
}

}  // namespace

const char* isa_name(Isa isa) { return isa_row(isa).name; }

std::optional<Isa> parse_isa(const std::string& name) {
  for (const IsaRow& row : kIsas) {
    if (name == row.name) return row.isa;
  }
  return std::nullopt;
}

const char* precision_name(Precision precision) {
  switch (precision) {
    case Precision::kBf16:
      return "bf16";
    case Precision::kInt8:
      return "int8";
    case Precision::kFp32:
      break;
  }
  return "fp32";
}

const char* chosen_precision_name(const ExecSettings& settings) {
  return settings.mixed ? "mixed" : precision_name(settings.precision);
}

namespace {

bool is_quantized(const Graph& graph) {
  return std::any_of(graph.order().begin(), graph.order().end(),
                     [&](NodeId id) { return graph.node(id).type == OpType::kQuantizeLinear; });
}

/// What the user asks for, else what the file says.
Bf16Layers choose_precision(const Graph& graph, const ExecOptions& options, bool quantized,
                            ExecSettings& settings) {
  if (options.precision.has_value()) {
    settings.precision = *options.precision;
    return settings.precision == Precision::kBf16 ? Bf16Layers{options.f32_layers, true} : Bf16Layers{};
  }
  Bf16Layers bf16{bf16_layers(graph)};
  for (const std::string& layer : options.f32_layers) bf16.named.erase(layer);
  const bool any = !bf16.named.empty();
  settings.precision = quantized ? Precision::kInt8 : any ? Precision::kBf16 : Precision::kFp32;
  settings.mixed = quantized && any;
  return bf16;
}

}  // namespace

struct Executor::Impl {
  ExecSettings settings{};
  Dims input_shape;
  int64_t output_size = 0;
  std::optional<PixelMap> pixels;
  Graph graph;  ///< kept for --isa ref only
  std::unique_ptr<Plan> plan;
  std::unique_ptr<ThreadPool> pool;

  /// Threads of one data-parallel worker, and what they share.
  struct Worker {
    explicit Worker(int parts) : barrier(parts) {}
    PageBytes arena;
    std::vector<uint8_t> bytes;    ///< a filled tile
    int64_t first = 0, count = 0;  ///< the tile in work; count 0 ends
    SpinBarrier barrier;
  };
  std::vector<std::unique_ptr<Worker>> workers;
  std::unique_ptr<std::atomic<int64_t>[]> step_ns;  ///< by step, summed over threads; null: not profiled

  struct Job {
    const ImageSource* images;
    const float* nchw;
    int64_t n;
    int64_t tile;
    float* out;
    std::atomic<int64_t>* done;
    const Observer* observer = nullptr;
    std::atomic<int64_t> next{0};
    std::atomic<bool> failed{false};
    std::exception_ptr error;
    std::mutex mutex;
  };

  /// Whether the oracle runs the graph, not a plan.
  bool oracle(const ExecOptions& options) const {
    return settings.isa == Isa::kRef && settings.precision == Precision::kFp32 && options.observed.empty();
  }
  void choose_threads(const ExecOptions& options);
  void plan_graph(Graph graph, const ExecOptions& options, Bf16Layers bf16);
  void run(Job& job);
  void warm_up();
  void run_worker(Job& job, Worker& worker, int part);
  void run_tile(Job& job, Worker& worker, int part);
  void show(Job& job, Worker& worker, const TileContext& context, size_t step);
  void run_reference_tile(Job& job, Worker& worker);
  bool fill(Job& job, Worker& worker);
  static void fail(Job& job);
  int64_t image_bytes() const { return element_count(input_shape); }
};

void Executor::Impl::choose_threads(const ExecOptions& options) {
  // Threads beyond what the cgroup and the affinity mask give would only take turns.
  const int available = available_cpus();
  const int threads = options.threads > 0 ? std::min(options.threads, available) : available;
  const bool single = options.batch_hint > 0 && options.batch_hint < threads && !oracle(options);
  if (options.model_parallel > 0) {
    settings.model_parallel = std::min(options.model_parallel, threads);
  } else if (options.data_parallel > 0) {
    settings.model_parallel = 1;
  } else {
    settings.model_parallel = single ? threads : 1;
  }
  const int most = std::max(1, threads / settings.model_parallel);
  settings.data_parallel = std::clamp(options.data_parallel > 0 ? options.data_parallel : most, 1, most);
}

void Executor::Impl::plan_graph(Graph model, const ExecOptions& options, Bf16Layers bf16) {
  peel_softmax(model);
  if (model.inputs().size() != 1) {
    throw input_error(
        fmt::format("the model has {} inputs, expected one image input", model.inputs().size()));
  }
  const Dims input = model.value(model.inputs()[0]).shape;
  if (input.size() != 4 || input[0] != kBatch) {
    throw input_error("the input has shape " + to_string(input) + ", expected [N,c,h,w]");
  }
  input_shape = Dims(input.begin() + 1, input.end());
  const int threads = std::max(1, settings.data_parallel * settings.model_parallel);
  pool = std::make_unique<ThreadPool>(threads);
  for (int d = 0; d < settings.data_parallel; ++d) {
    workers.push_back(std::make_unique<Worker>(settings.model_parallel));
  }
  if (oracle(options)) {
    const Dims& out = model.value(model.outputs().at(0)).shape;
    if (out.empty() || out[0] != kBatch)
      throw input_error("the output has shape " + to_string(out) + ", expected [N,...]");
    output_size = element_count(Dims(out.begin() + 1, out.end()));
    settings.batch_tile = options.batch_tile > 0 ? options.batch_tile : 8;
    graph = std::move(model);
    return;
  }
  run_passes(model, options.fusion == FusionLevel::kOff          ? cleanup_passes()
                    : options.fusion == FusionLevel::kAggressive ? aggressive_passes()
                                                                 : traditional_passes());
  const int64_t hint = options.batch_hint > 0 ? options.batch_hint : int64_t{1} << 30;
  const int64_t share = (hint + settings.data_parallel - 1) / settings.data_parallel;
  LowerOptions lowering;
  lowering.table = kernels::find_kernels(isa_row(settings.isa).bundle);
  lowering.parts = settings.model_parallel;
  lowering.integers = settings.precision != Precision::kFp32;
  lowering.observed = &options.observed;
  lowering.layouts = &options.layouts;
  lowering.huge_pages = options.huge_pages;
  lowering.bf16 = std::move(bf16);
  const bool halves = settings.mixed || settings.precision == Precision::kBf16;
  const int64_t element_bytes = halves ? 2 : lowering.integers ? 1 : 4;
  lowering.tile = options.batch_tile > 0 ? options.batch_tile : choose_tile(model, share, element_bytes);
  lowering.fold_pixels = options.fusion != FusionLevel::kOff;
  lowering.merge = options.fusion == FusionLevel::kAggressive;
  lowering.pixels = pixels.has_value() ? &*pixels : nullptr;
  plan = lower(model, lowering);
  settings.batch_tile = static_cast<int>(plan->tile);
  output_size = plan->output_size;
  for (auto& worker : workers) {
    worker->arena = allocate_pages(plan->arena_bytes, options.huge_pages);
    std::memset(worker->arena.get(), 0, static_cast<size_t>(plan->arena_bytes));
    if (pixels.has_value()) worker->bytes.reserve(static_cast<size_t>(plan->tile * image_bytes()));
  }
}

/// Keeps the first exception; workers stop at their next tile. To be called inside a catch block.
void Executor::Impl::fail(Job& job) {
  const std::lock_guard<std::mutex> lock(job.mutex);
  if (!job.failed.exchange(true)) job.error = std::current_exception();
}

/// The worker's leader takes the next tile and, where the source is a function, fills it. False: nothing
/// left.
bool Executor::Impl::fill(Job& job, Worker& worker) {
  worker.first = job.next.fetch_add(job.tile);
  worker.count = job.failed.load() ? 0 : std::clamp<int64_t>(job.n - worker.first, 0, job.tile);
  if (worker.count == 0) return false;
  if (job.images == nullptr || !job.images->fill) return true;
  try {
    worker.bytes.resize(static_cast<size_t>(job.tile * image_bytes()));
    job.images->fill(worker.first, worker.count, worker.bytes.data());
    return true;
  } catch (...) {
    fail(job);
    worker.count = 0;
    return false;
  }
}

void Executor::Impl::run_tile(Job& job, Worker& worker, int part) {
  TileContext context{};
  context.n = worker.count;
  context.arena = worker.arena.get();
  if (job.images != nullptr) {
    context.pixels = job.images->fill ? worker.bytes.data() : job.images->data + worker.first * image_bytes();
  } else {
    context.nchw = job.nchw + worker.first * image_bytes();
  }
  context.part = part;
  context.parts = settings.model_parallel;
  auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < plan->steps.size(); ++i) {
    // Only steps that run through the oracle can throw. Every part still meets at every barrier.
    try {
      if (!job.failed.load(std::memory_order_relaxed)) plan->steps[i]->run(context);
    } catch (...) {
      fail(job);
    }
    if (context.parts > 1) worker.barrier.wait();
    if (job.observer != nullptr) show(job, worker, context, i);
    if (step_ns != nullptr) {
      const auto end = std::chrono::steady_clock::now();
      step_ns[i].fetch_add((end - start).count(), std::memory_order_relaxed);
      start = end;
    }
  }
  if (part == 0) {
    read_rows(*plan, plan->output, context.arena, context.n, job.out + worker.first * output_size);
  }
}

/// Shows the values that are complete with this step.
void Executor::Impl::show(Job& job, Worker& worker, const TileContext& context, size_t step) {
  const auto by_step = [](const ObservedBuffer& a, const ObservedBuffer& b) { return a.step < b.step; };
  const auto [first, last] =
      std::equal_range(plan->observed.begin(), plan->observed.end(), ObservedBuffer{0, -1, step}, by_step);
  if (first == last) return;
  try {
    for (auto at = first; at != last && !job.failed.load(std::memory_order_relaxed); ++at) {
      const Buffer& b = plan->buffer(at->buffer);
      const ObservedValue value{at->index,
                                worker.first,
                                worker.count,
                                b.height,
                                b.width,
                                b.channels,
                                reinterpret_cast<const float*>(context.arena + b.offset),
                                b.ld,
                                context.n * b.ld};
      (*job.observer)(value, context.part, context.parts);
    }
  } catch (...) {
    fail(job);
  }
  if (context.parts > 1) worker.barrier.wait();
}

void Executor::Impl::run_reference_tile(Job& job, Worker& worker) {
  const int64_t c = input_shape[0], positions = input_shape[1] * input_shape[2];
  Tensor input(DType::kF32, {worker.count, c, input_shape[1], input_shape[2]});
  const auto dst = input.mutable_data<float>();
  if (job.images != nullptr) {
    const uint8_t* src =
        job.images->fill ? worker.bytes.data() : job.images->data + worker.first * image_bytes();
    for (int64_t i = 0; i < worker.count; ++i) {
      for (int64_t p = 0; p < positions; ++p) {
        for (int64_t m = 0; m < c; ++m) {
          const auto channel = static_cast<size_t>(m);
          const uint8_t byte = src[(i * positions + p) * c + pixels->source_channel[channel]];
          dst[static_cast<size_t>((i * c + m) * positions + p)] =
              static_cast<float>(byte) * pixels->scale[channel] + pixels->shift[channel];
        }
      }
    }
  } else {
    std::copy_n(job.nchw + worker.first * image_bytes(), dst.size(), dst.begin());
  }
  const std::vector<Tensor> outputs = run_reference(graph, std::span(&input, 1));
  const Tensor logits = outputs.at(0).converted(DType::kF32);
  std::copy_n(logits.data<float>().begin(), worker.count * output_size, job.out + worker.first * output_size);
}

void Executor::Impl::run_worker(Job& job, Worker& worker, int part) {
  while (true) {
    if (part == 0) fill(job, worker);
    if (settings.model_parallel > 1) worker.barrier.wait();
    const int64_t count = worker.count;
    if (count == 0) return;
    if (plan != nullptr) {
      run_tile(job, worker, part);
    } else if (part == 0) {
      try {
        run_reference_tile(job, worker);
      } catch (...) {
        fail(job);
      }
    }
    if (settings.model_parallel > 1) worker.barrier.wait();
    if (part == 0 && job.done != nullptr) job.done->fetch_add(count, std::memory_order_relaxed);
  }
}

void Executor::Impl::run(Job& job) {
  if (job.n <= 0) return;
  const int64_t share = (job.n + settings.data_parallel - 1) / settings.data_parallel;
  // Tiles of nearly one size, so that no worker is left with a large one while the others are done.
  const int64_t rounds = (share + settings.batch_tile - 1) / settings.batch_tile;
  const int64_t even = ((share + rounds - 1) / rounds + 3) / 4 * 4;
  job.tile = std::min({even, share, static_cast<int64_t>(settings.batch_tile)});
  pool->run([&](int thread) {
    run_worker(job, *workers[static_cast<size_t>(thread / settings.model_parallel)],
               thread % settings.model_parallel);
  });
  if (job.error) std::rethrow_exception(job.error);
}

/// One image per worker, so that the first run finds the weights, the code and the threads where the later
/// ones do: at batch 1 in int8 it took 2.5 times as long without.
void Executor::Impl::warm_up() {
  const int64_t n = settings.data_parallel;
  const auto elements = static_cast<size_t>(n * image_bytes());
  std::vector<float> out(static_cast<size_t>(n * output_size)), floats;
  std::vector<uint8_t> bytes;
  pixels.has_value() ? bytes.resize(elements) : floats.resize(elements);
  const ImageSource images{bytes.data(), {}};
  try {
    // The first fetches from memory, the second from the caches.
    for (int round = 0; round < 2; ++round) {
      Job job{};
      job.images = pixels.has_value() ? &images : nullptr;
      job.nchw = floats.data();
      job.n = n;
      job.out = out.data();
      run(job);
    }
  } catch (const Error&) {
    // A node that only the oracle runs; the caller's own run will say what is wrong with it.
  }
}

Executor::Executor(Graph graph, ExecOptions options) : impl_(std::make_unique<Impl>()) {
  constexpr int kMostThreads = 1024, kMostBatchTile = 4096;
  check_option(options.threads, kMostThreads, "--threads");
  check_option(options.data_parallel, kMostThreads, "--dp");
  check_option(options.model_parallel, kMostThreads, "--mp");
  check_option(options.batch_tile, kMostBatchTile, "--tile");
  const bool quantized = is_quantized(graph);
  if (options.precision == Precision::kInt8 && !quantized) {
    throw input_error("the model is float; int8 needs a quantized model: see xdn quantize");
  }
  ExecSettings& settings = impl_->settings;
  Bf16Layers bf16 = choose_precision(graph, options, quantized, settings);
  const bool integers = quantized && settings.precision != Precision::kFp32;
  settings.isa = choose_isa(options.isa, integers, settings.mixed || settings.precision == Precision::kBf16);
  impl_->choose_threads(options);
  settings.huge_pages = options.huge_pages;
  for (const auto& [layer, layout] : options.layouts) {
    if (layout.panel_vectors >= 0 && layout.panel_vectors <= kernels::kMostVectors) continue;
    throw Error(ErrorKind::kUsage,
                fmt::format("layer '{}' has panels of {} vectors, expected 1 ... {}", printable(layer),
                            layout.panel_vectors, kernels::kMostVectors));
  }
  if (options.pixels.has_value()) {
    const PixelMap& map = *options.pixels;
    XDN_CHECK(map.scale.size() == map.shift.size() && map.scale.size() == map.source_channel.size());
    impl_->pixels = map;
  }
  impl_->plan_graph(std::move(graph), options, std::move(bf16));
  if (impl_->plan != nullptr) impl_->warm_up();
}

Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;

const ExecSettings& Executor::settings() const { return impl_->settings; }
const Dims& Executor::input_shape() const { return impl_->input_shape; }
int64_t Executor::output_size() const { return impl_->output_size; }

void Executor::run_u8(const ImageSource& images, int64_t n, float* out, std::atomic<int64_t>* done) {
  XDN_CHECK(impl_->pixels.has_value());
  Impl::Job job{};
  job.images = &images;
  job.n = n;
  job.out = out;
  job.done = done;
  impl_->run(job);
}

void Executor::run_observed(const ImageSource& images, int64_t n, const Observer& observer,
                            std::atomic<int64_t>* done) {
  XDN_CHECK(impl_->pixels.has_value() && impl_->plan != nullptr && impl_->settings.data_parallel == 1);
  std::vector<float> out(static_cast<size_t>(element_count({n, impl_->output_size}, sizeof(float))));
  Impl::Job job{};
  job.images = &images;
  job.n = n;
  job.out = out.data();
  job.done = done;
  job.observer = &observer;
  impl_->run(job);
}

void Executor::run_f32(const float* nchw, int64_t n, float* out, std::atomic<int64_t>* done) {
  XDN_CHECK(!impl_->pixels.has_value() || impl_->plan == nullptr);
  Impl::Job job{};
  job.nchw = nchw;
  job.n = n;
  job.out = out;
  job.done = done;
  impl_->run(job);
}

std::vector<StepReport> Executor::steps() const {
  std::vector<StepReport> reports;
  if (impl_->plan == nullptr) return reports;
  const Plan& plan = *impl_->plan;
  constexpr const char* kAriths[] = {"f32", "bf16", "i8"};
  const int threads = impl_->settings.data_parallel * impl_->settings.model_parallel;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = *plan.steps[i];
    StepReport report{step.layer, step.kernel,      step.refused, kAriths[static_cast<size_t>(step.arith)],
                      step.macs,  step.weight_bytes};
    for (const BufferId id : step.reads) report.activation_bytes += plan.buffer(id).bytes(1);
    for (const BufferId id : step.writes) report.activation_bytes += plan.buffer(id).bytes(1);
    if (impl_->step_ns != nullptr)
      report.seconds = static_cast<double>(impl_->step_ns[i].load()) * 1e-9 / threads;
    report.layout = step.layout;
    reports.push_back(std::move(report));
  }
  return reports;
}

void Executor::start_profile() {
  if (impl_->plan == nullptr) return;
  impl_->step_ns = std::make_unique<std::atomic<int64_t>[]>(impl_->plan->steps.size());
}

int64_t Executor::arena_bytes() const { return impl_->plan == nullptr ? 0 : impl_->plan->arena_bytes; }

}  // namespace xdn
