#include "data/cifar10.h"

#include "data/data_testing.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;
using testing::expect_input_error;
using testing::TempDir;
using testing::write_bytes;

uint8_t plane_byte(int64_t image, int64_t c, int64_t p) {
  return static_cast<uint8_t>(image * 31 + c * 80 + p);
}

/// Records `first` ... `first + count - 1`; record i has label i mod 10.
std::string batch(int64_t first, int64_t count) {
  std::string out;
  for (int64_t i = first; i < first + count; ++i) {
    out += static_cast<char>(i % 10);
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t p = 0; p < 1024; ++p) out += static_cast<char>(plane_byte(i, c, p));
    }
  }
  return out;
}

const DatasetOptions kTrain{.geometry = {}, .bgr = false, .split = Split::kTrain};
const DatasetOptions kTest{.geometry = {}, .bgr = false, .split = Split::kTest};

TEST(Cifar10, ChoosesTheSplit) {
  const TempDir dir;
  write_bytes(dir / "data_batch_1.bin", batch(0, 4));
  write_bytes(dir / "data_batch_2.bin", batch(4, 3));
  write_bytes(dir / "test_batch.bin", batch(20, 5));
  const std::string path = dir.path().string();
  EXPECT_EQ(open_dataset(path)->labels(), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(open_dataset(path, kTest)->size(), 5);
  const auto train = open_dataset(path, kTrain);
  EXPECT_EQ(train->labels(), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(train->name(3), dir / "data_batch_1.bin[3]");
  EXPECT_EQ(train->name(4), dir / "data_batch_2.bin[0]");
  EXPECT_EQ(open_dataset(dir / "data_batch_2.bin")->size(), 3);
  expect_input_error("has no splits", [&] { open_dataset(dir / "data_batch_2.bin", kTrain); });
  fs::remove(dir / "test_batch.bin");
  EXPECT_EQ(open_dataset(path)->size(), 7);
  expect_input_error("has no test_batch.bin", [&] { open_dataset(path, kTest); });
}

TEST(Cifar10, PlanesBecomePixels) {
  const TempDir dir;
  write_bytes(dir / "data_batch_1.bin", batch(0, 2));
  write_bytes(dir / "data_batch_2.bin", batch(2, 2));
  const auto data = open_dataset(dir.path().string());
  EXPECT_EQ(data->height(), 32);
  EXPECT_EQ(data->classes()[3], "cat");
  const std::vector<uint8_t> pixels = testing::read_all(*data);
  const auto bgr = testing::read_all(*open_dataset(dir.path().string(), {.geometry = {}, .bgr = true}));
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t p = 0; p < 1024; ++p) {
      for (int64_t c = 0; c < 3; ++c) {
        ASSERT_EQ(pixels[static_cast<size_t>((i * 1024 + p) * 3 + c)], plane_byte(i, c, p));
        ASSERT_EQ(bgr[static_cast<size_t>((i * 1024 + p) * 3 + c)], plane_byte(i, 2 - c, p));
      }
    }
  }
}

TEST(Cifar10, ResizesWhereAsked) {
  const TempDir dir;
  write_bytes(dir / "test_batch.bin", batch(0, 2));
  const std::string path = dir.path().string();
  const auto data = open_dataset(path, {.geometry = {.resize = 48, .crop = 40}});
  EXPECT_EQ(data->height(), 40);
  EXPECT_EQ(testing::read_all(*data).size(), 2u * 40 * 40 * 3);
  EXPECT_EQ(testing::read_all(
                *open_dataset(path, {.geometry = {.resize = 32, .crop = 32, .height = 32, .width = 32}})),
            testing::read_all(*open_dataset(path)));
  expect_input_error("smaller than the crop", [&] { open_dataset(path, {.geometry = {.crop = 40}}); });
}

TEST(Cifar10, ClassNamesFromTheMetaFile) {
  const TempDir dir;
  write_bytes(dir / "test_batch.bin", batch(0, 2));
  write_bytes(dir / "batches.meta.txt", std::string("a\nb\nc\nd\r\ne\nf\ng\nh\ni\nj\n\n"));
  EXPECT_EQ(open_dataset(dir.path().string())->classes()[3], "d");
  write_bytes(dir / "batches.meta.txt", std::string("a\nb\n"));
  expect_input_error("batches.meta.txt: holds 2 class names", [&] { open_dataset(dir.path().string()); });
}

TEST(Cifar10, DamagedBatches) {
  const TempDir dir;
  const std::string path = dir.path().string();
  const auto open = [&] { open_dataset(path, kTrain); };
  write_bytes(dir / "data_batch_1.bin", batch(0, 2).substr(0, 5000));
  expect_input_error("data_batch_1.bin: holds 5000 bytes, expected a multiple of 3073", open);
  write_bytes(dir / "data_batch_1.bin", std::string());
  expect_input_error("holds 0 bytes", open);
  std::string wrong = batch(0, 2);
  wrong[3073] = 10;
  write_bytes(dir / "data_batch_1.bin", wrong);
  expect_input_error("record 1 has label 10", open);
  write_bytes(dir / "data_batch_1.bin", batch(0, 2));
  write_bytes(dir / "data_batch_3.bin", batch(0, 2));
  expect_input_error("no data_batch_2.bin", open);
  fs::remove(dir / "data_batch_1.bin");
  fs::remove(dir / "data_batch_3.bin");
  write_bytes(dir / "test_batch.bin", batch(0, 2));
  expect_input_error("has no data_batch_1.bin", open);
}

}  // namespace
}  // namespace xdn
