// The decoded images and labels that the shared models were trained and judged on.

#include <cstring>

#include "data/data_testing.h"
#include "data/npy.h"
#include "data/pack.h"

namespace xdn {
namespace {

constexpr int64_t kGolden = 64, kPerClass = 7;

class Golden : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto models = testing::models_dir();
    if (!models) GTEST_SKIP() << "skipped: no shared models";
    const auto cifar10 = testing::cifar10_dir();
    if (!cifar10) GTEST_SKIP() << "skipped: no CIFAR-10";
    const auto dir = *models / "resnet50-cifar10";
    images_ = read_npy((dir / "golden_images.npy").string());
    labels_ = read_npy((dir / "golden_labels.npy").string());
    test_ = (*cifar10 / "test").string();
    ASSERT_EQ(images_.dims(), (Dims{kGolden, 32, 32, 3}));
    ASSERT_EQ(labels_.dims(), Dims{kGolden});
  }

  Tensor images_, labels_;
  std::string test_;
};

TEST_F(Golden, DecodedImagesAreEqualByteForByte) {
  const auto data = open_dataset(test_);
  ASSERT_EQ(data->size(), 10000);
  ASSERT_EQ(data->image_bytes(), 3072);
  std::vector<uint8_t> pixels(3072);
  for (int64_t i = 0; i < kGolden; ++i) {
    const int64_t index = i / kPerClass * 1000 + i % kPerClass;
    data->read(index, 1, pixels.data());
    EXPECT_EQ(std::memcmp(pixels.data(), images_.data<uint8_t>().data() + i * 3072, 3072), 0)
        << data->name(index);
    EXPECT_EQ(data->label(index), labels_.as_int(i));
  }
}

TEST_F(Golden, SoIsThePackOfThem) {
  const testing::TempDir dir;
  const auto data = open_dataset(test_, {.geometry = {.height = 32, .width = 32}});
  write_split_packs(*data, dir / "test", kPerClass);
  const auto first = open_dataset(dir / "test-first");
  ASSERT_EQ(first->size(), 70);
  EXPECT_EQ(open_dataset(dir / "test-rest")->size(), 9930);
  EXPECT_EQ(std::memcmp(first->mapped(), images_.raw(), images_.bytes()), 0);
  verify_pack(dir / "test-first");
  verify_pack(dir / "test-rest");
  EXPECT_EQ(first->classes()[0], "airplane");
  EXPECT_EQ(first->classes()[9], "truck");
}

}  // namespace
}  // namespace xdn
