// Importing and fusing holds the weights once.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <limits>

#include "formats/model_io.h"
#include "fusion/pipeline.h"
#include "support/shared_data.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define XDN_SHADOW_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define XDN_SHADOW_MEMORY 1
#endif
#endif

namespace xdn::testing {
namespace {

/// Of this process, in KiB: "VmHWM:" is the peak.
int64_t status_kib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t value = 0;
    if (word == key && status >> value) return value;
  }
  return 0;
}

/// By how many bytes the peak exceeds what a child process starts with; the largest number if it fails.
int64_t peak_growth(const std::function<void()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) return std::numeric_limits<int64_t>::max();
  const pid_t child = ::fork();
  if (child == 0) {
    int64_t growth = std::numeric_limits<int64_t>::max();
    try {
      const int64_t before = status_kib("VmRSS:");
      work();
      growth = (status_kib("VmHWM:") - before) * 1024;
    } catch (const std::exception&) {
    }
    ::_exit(::write(ends[1], &growth, sizeof growth) == sizeof growth ? 0 : 1);
  }
  ::close(ends[1]);
  int64_t growth = 0;
  if (::read(ends[0], &growth, sizeof growth) != sizeof growth) growth = std::numeric_limits<int64_t>::max();
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return growth;
}

void expect_weights_once(const std::string& spec, int64_t weight_bytes) {
  const int64_t growth = peak_growth([&] {
    Graph graph = load_model(spec);
    run_passes(graph, traditional_passes());
  });
  // Room for the library's pages, names, and the largest layer twice.
  EXPECT_LT(growth, weight_bytes + weight_bytes / 4 + (int64_t{12} << 20));
  EXPECT_GT(growth, weight_bytes / 2) << "the measurement is broken";
}

TEST(ImportMemory, CaffeAndOnnx) {
#ifdef XDN_SHADOW_MEMORY
  GTEST_SKIP() << "skipped: a sanitizer's memory counts too";
#endif
  if (!models_dir()) GTEST_SKIP() << "skipped: no shared models";
  const std::string stem = (*models_dir() / "resnet50-cifar10" / "resnet50").string();
  const std::string caffe = stem + ".prototxt:" + stem + ".caffemodel";
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(stem + ".caffemodel"));
  expect_weights_once(caffe, bytes);
  const TempDir dir;
  export_onnx(load_model(caffe), dir / "copy.onnx");
  expect_weights_once(dir / "copy.onnx", bytes);
}

}  // namespace
}  // namespace xdn::testing
