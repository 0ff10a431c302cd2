#include "training/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

namespace xdn::testing {
namespace {

using training::Batch;
using training::ImageSet;
using training::Loader;

/// Image i is filled with the byte i; its label is i modulo 5.
struct Data {
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  explicit Data(int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      pixels.insert(pixels.end(), 4 * 4 * 3, static_cast<uint8_t>(i));
      labels.push_back(i % 5);
    }
  }
  ImageSet set() const { return {pixels.data(), labels, 4, 4}; }
};

std::vector<int64_t> order_of(Loader& loader, int64_t epoch) {
  std::vector<int64_t> order;
  loader.start(epoch);
  while (const Batch* batch = loader.next())
    order.insert(order.end(), batch->indices.begin(), batch->indices.end());
  return order;
}

TEST(Loader, AnEpochIsAPermutation) {
  const Data data(101);
  Loader loader(data.set(), {}, {.batch = 20, .seed = 4});
  EXPECT_EQ(loader.batches(), 5);
  std::vector<int64_t> first = order_of(loader, 0);
  EXPECT_EQ(first.size(), 100u);
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 100u);
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end()));
  EXPECT_NE(order_of(loader, 1), first);
  EXPECT_EQ(order_of(loader, 0), first);
  Loader other(data.set(), {}, {.batch = 20, .seed = 5});
  EXPECT_NE(order_of(other, 0), first);
}

TEST(Loader, LabelsAndPixelsBelongToTheIndices) {
  const Data data(50);
  for (const bool bf16 : {false, true}) {
    Loader loader(data.set(), {}, {.batch = 7, .bf16 = bf16, .seed = 1});
    loader.start(3);
    while (const Batch* batch = loader.next()) {
      ASSERT_EQ(batch->size, 7);
      for (size_t i = 0; i < 7; ++i) {
        EXPECT_EQ(batch->labels[i], batch->indices[i] % 5);
        for (size_t j = 0; j < 48; ++j) {
          const float got = bf16 ? static_cast<float>(static_cast<const BFloat16*>(batch->pixels)[i * 48 + j])
                                 : static_cast<const float*>(batch->pixels)[i * 48 + j];
          ASSERT_EQ(got, static_cast<float>(batch->indices[i]));
        }
      }
    }
  }
}

TEST(Loader, AugmentationsRepeatInAnotherOrder) {
  const Data data(64);
  Loader loader(data.set(), {},
                {.batch = 64, .augmentation = {.crop = 2, .flip = true, .cutout = 2}, .augment_epochs = 2});
  const auto by_index = [&](int64_t epoch) {
    std::map<int64_t, std::vector<float>> images;
    loader.start(epoch);
    const Batch* batch = loader.next();
    const auto* pixels = static_cast<const float*>(batch->pixels);
    for (size_t i = 0; i < 64; ++i) images[batch->indices[i]].assign(pixels + i * 48, pixels + (i + 1) * 48);
    return images;
  };
  EXPECT_EQ(by_index(2), by_index(0));
  EXPECT_EQ(by_index(5), by_index(1));
  EXPECT_NE(by_index(1), by_index(0));
  EXPECT_NE(order_of(loader, 2), order_of(loader, 0));
}

TEST(Loader, EpochsDoNotDependOnWhatWasReadBefore) {
  const Data data(64);
  const training::Augmentation augmentation{.crop = 1, .flip = true, .cutout = 2};
  const auto bytes_of = [&](Loader& loader, int64_t epoch) {
    std::vector<float> all;
    loader.start(epoch);
    while (const Batch* batch = loader.next()) {
      const auto* p = static_cast<const float*>(batch->pixels);
      all.insert(all.end(), p, p + batch->size * 48);
    }
    return all;
  };
  Loader fresh(data.set(), {}, {.batch = 8, .seed = 2, .augmentation = augmentation});
  const std::vector<float> expected = bytes_of(fresh, 9);
  for (int stop_after = 0; stop_after <= 8; ++stop_after) {
    Loader used(data.set(), {}, {.batch = 8, .seed = 2, .augmentation = augmentation});
    used.start(8);
    for (int i = 0; i < stop_after; ++i) ASSERT_NE(used.next(), nullptr);
    ASSERT_EQ(bytes_of(used, 9), expected) << stop_after;
  }
}

TEST(Loader, ABatchLargerThanTheSetIsTheSet) {
  const Data data(3);
  Loader loader(data.set(), {}, {.batch = 128});
  EXPECT_EQ(loader.batch(), 3);
  loader.start(0);
  ASSERT_NE(loader.next(), nullptr);
  EXPECT_EQ(loader.next(), nullptr);
  EXPECT_EQ(loader.next(), nullptr);
}

TEST(Loader, EndsInTheMiddleOfAnEpoch) {
  const Data data(500);
  for (int i = 0; i < 50; ++i) {
    Loader loader(data.set(), {}, {.batch = 4});
    if (i % 3 != 0) loader.start(i);
    if (i % 2 != 0 && i % 3 != 0) (void)loader.next();
  }
}

}  // namespace
}  // namespace xdn::testing
