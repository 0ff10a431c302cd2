// batch MODEL [IMAGES [THREADS]]: throughput on images that already lie in memory, and where the time goes.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <xdn/xdn.hpp>

namespace {

/// Bytes as a camera or a video decoder would leave them: NHWC, RGB.
std::vector<std::uint8_t> make_images(std::size_t bytes) {
  std::mt19937 bits(1);
  std::vector<std::uint8_t> images(bytes);
  std::generate(images.begin(), images.end(), [&] { return static_cast<std::uint8_t>(bits() >> 24); });
  return images;
}

void print_profile(std::vector<xdn::LayerProfile> layers, double seconds, std::int64_t n) {
  std::sort(layers.begin(), layers.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  std::printf("%6s  %9s  %s\n", "share", "GMAC/s", "layer (kernel)");
  for (std::size_t i = 0; i < std::min<std::size_t>(layers.size(), 10); ++i) {
    const xdn::LayerProfile& layer = layers[i];
    const double rate = layer.seconds > 0
                            ? 1e-9 * static_cast<double>(layer.macs) * static_cast<double>(n) / layer.seconds
                            : 0;
    std::printf("%4.1f %%  %9.1f  %s (%s)\n", 100 * layer.seconds / seconds, rate, layer.layer.c_str(),
                layer.kernel.c_str());
  }
}

void run(const char* path, std::int64_t n, int threads) {
  const xdn::Model model = xdn::Model::load(path);
  xdn::SessionOptions options;
  options.threads = threads;  // 0: what this machine grants
  options.batch = n;
  xdn::Session session(model, options);
  const xdn::SessionSettings chosen = session.settings();
  std::printf("%s on %s, %d x %d threads, tiles of %d\n", chosen.precision.c_str(), chosen.isa.c_str(),
              chosen.data_parallel, chosen.model_parallel, chosen.batch_tile);

  const xdn::ModelInfo info = model.info();
  const std::vector<std::uint8_t> images = make_images(static_cast<std::size_t>(n) * info.image_size());
  std::vector<float> logits(static_cast<std::size_t>(n * info.outputs));
  session.run(images.data(), n, logits.data());  // caches and pages are warm from here on

  session.start_profile();
  const auto start = std::chrono::steady_clock::now();
  session.run(images.data(), n, logits.data());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%lld images in %.4f s: %.1f images/s\n", static_cast<long long>(n), seconds,
              static_cast<double>(n) / seconds);
  print_profile(session.profile(), seconds, n);
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t n = argc > 2 ? std::atoll(argv[2]) : 512;
  const int threads = argc > 3 ? std::atoi(argv[3]) : 0;
  if (argc < 2 || argc > 4 || n < 1) {
    std::fprintf(stderr, "usage: batch MODEL [IMAGES [THREADS]]\n");
    return 2;
  }
  try {
    run(argv[1], n, threads);
  } catch (const xdn::Error& error) {
    std::fprintf(stderr, "batch: %s\n", error.what());
    return 1;
  }
}
