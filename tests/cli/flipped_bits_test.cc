#include <gtest/gtest.h>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"
#include "data/dataset.h"
#include "data/pack.h"

namespace xdn::testing {
namespace {

constexpr size_t kFlips = 40;

/// Flips single bits all over the file at `victim`: the program may find the file usable or not, but it ends
/// by itself, and if it complains, in one line. Warnings may stand before it.
void expect_survival(const std::string& victim, const std::vector<std::string>& arguments) {
  const std::string original = read_text(victim);
  ASSERT_EQ(run_xdn(arguments).code, 0);
  for (size_t i = 0; i < kFlips; ++i) {
    const size_t byte = i * (original.size() - 1) / (kFlips - 1);
    const int bit = static_cast<int>(i * 5 % 8);
    write_text(victim, original);
    flip_bit(victim, byte, bit);
    const Finished finished = run_xdn(arguments);
    EXPECT_EQ(finished.signal, 0) << "byte " << byte << " bit " << bit;
    EXPECT_TRUE(finished.code == 0 || finished.code == 2)
        << finished.code << " byte " << byte << " bit " << bit;
    if (finished.code == 0) continue;
    std::vector<std::string> lines = lines_of(finished.err);
    std::erase_if(lines, [](const std::string& line) { return line.starts_with("xdn: warning: "); });
    ASSERT_EQ(lines.size(), 1u) << finished.err;
    EXPECT_TRUE(lines[0].starts_with("xdn: ")) << finished.err;
  }
  write_text(victim, original);
}

TEST(FlippedBits, Onnx) {
  const TempDir dir;
  const std::string model = write_onnx(dir.path().string());
  expect_survival(model, {"bench", model, "--batch", "1", "--seconds", "0"});
}

TEST(FlippedBits, Caffemodel) {
  const TempDir dir;
  const CaffeFiles files = write_caffe(dir.path().string());
  expect_survival(files.caffemodel, {"bench", files.spec(), "--batch", "1", "--seconds", "0"});
}

TEST(FlippedBits, Prototxt) {
  const TempDir dir;
  const CaffeFiles files = write_caffe(dir.path().string());
  expect_survival(files.prototxt, {"info", files.spec()});
}

TEST(FlippedBits, EveryFileOfAPack) {
  const TempDir dir;
  const std::string model = write_onnx(dir.path().string());
  write_text(dir / "net.preprocess.json", color_preprocess());
  write_color_folder(dir / "images", 1);
  write_pack(*open_dataset(dir / "images"), dir / "pack");
  for (const char* file : {"images.npy", "labels.npy", "pack.json"}) {
    expect_survival((dir.path() / "pack" / file).string(), {"eval", model, "--data", dir / "pack"});
  }
}

TEST(FlippedBits, JpegAndPng) {
  const TempDir dir;
  const std::string model = write_onnx(dir.path().string());
  write_text(dir / "net.preprocess.json", color_preprocess());
  write_jpeg(dir / "a.jpg", 24, 24, 10, 20, 200);
  write_png(dir / "a.png", 24, 24, 10, 20, 200);
  expect_survival(dir / "a.jpg", {"run", model, dir / "a.jpg"});
  expect_survival(dir / "a.png", {"run", model, dir / "a.png"});
}

TEST(FlippedBits, Preprocess) {
  const TempDir dir;
  const std::string model = write_onnx(dir.path().string());
  write_text(dir / "net.preprocess.json", color_preprocess());
  write_png(dir / "a.png", 8, 8, 10, 20, 200);
  expect_survival(dir / "net.preprocess.json", {"run", model, dir / "a.png"});
}

}  // namespace
}  // namespace xdn::testing
