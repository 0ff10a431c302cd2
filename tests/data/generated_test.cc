#include "data/generated.h"

#include <array>
#include <cmath>
#include <set>

#include "base/sha256.h"
#include "data/data_testing.h"
#include "data/generated/raster.h"

namespace xdn {
namespace {

using testing::read_all;

std::vector<uint8_t> image(const Dataset& dataset, int64_t i) {
  std::vector<uint8_t> bytes(static_cast<size_t>(dataset.image_bytes()));
  dataset.read(i, 1, bytes.data());
  return bytes;
}
std::string digest(const std::vector<uint8_t>& bytes) { return sha256_hex(bytes.data(), bytes.size()); }

TEST(Generated, SaysWhatItIs) {
  const auto dataset = generate_dataset(Split::kTrain, 25, 7);
  EXPECT_EQ(dataset->size(), 25);
  EXPECT_EQ(dataset->height(), 32);
  EXPECT_EQ(dataset->width(), 32);
  EXPECT_FALSE(dataset->bgr());
  EXPECT_EQ(dataset->classes(), (std::vector<std::string>{"checks", "crescent", "cross", "disc", "dots",
                                                          "ring", "square", "star", "stripes", "triangle"}));
  EXPECT_EQ(dataset->source(), "generated, train, seed 7");
  EXPECT_EQ(dataset->name(3), "generated, train, seed 7[3]");
  std::array<int, 10> counts{};
  for (const int64_t label : dataset->labels()) ++counts[static_cast<size_t>(label)];
  EXPECT_EQ(counts, (std::array<int, 10>{3, 3, 3, 3, 3, 2, 2, 2, 2, 2}));
}

// The bytes are the same on every machine, with every compiler, and in every version: numbers written down
// today must mean the same images tomorrow.
TEST(Generated, BytesAreFixed) {
  const auto train = generate_dataset(Split::kTrain, 1000, 1);
  EXPECT_EQ(digest(image(*train, 0)), "937944b4e6ddc9e78e9fa7ab2b108fb5fbf963a58d519dd5b9d275d5f15f287c");
  EXPECT_EQ(digest(image(*train, 999)), "a3cf0e6c8861f076369c28ebf9fb0fe18a3b255d15e3e8aaa22d26e0ea6f1c23");
  EXPECT_EQ(digest(read_all(*train)), "cac9402b3ed35aed6e5fb569bc3abbedfada26768ec83621e8dbdee099c7a685");
  EXPECT_EQ(digest(read_all(*generate_dataset(Split::kTest, 1000, 1))),
            "502d9070971cbf1bd3bb69b56119698fbcf3cfc82074b4ec5e20dc1f1e4ed6d0");
  EXPECT_EQ(digest(read_all(*generate_dataset(Split::kTrain, 100, 0x123456789abcdef0u))),
            "72d3e6886bfeaa9d81a19bddac5ef136ddb95a24eaabfb66cc5d5b176e132200");
}

TEST(Generated, ReadsTheSameInAnyOrder) {
  const auto dataset = generate_dataset(Split::kTest, 40, 3);
  const std::vector<uint8_t> all = read_all(*dataset);
  const auto bytes = static_cast<size_t>(dataset->image_bytes());
  for (int64_t i = 39; i >= 0; i -= 3) {
    const auto first = all.begin() + i * dataset->image_bytes();
    EXPECT_EQ(image(*dataset, i), std::vector<uint8_t>(first, first + static_cast<int64_t>(bytes))) << i;
  }
  const std::vector<uint8_t> longer = read_all(*generate_dataset(Split::kTest, 60, 3));
  EXPECT_TRUE(std::equal(all.begin(), all.end(), longer.begin()));
}

TEST(Generated, NoImageComesTwice) {
  std::set<std::string> seen;
  size_t images = 0;
  for (const uint64_t seed : {1, 2}) {
    for (const Split half : {Split::kTrain, Split::kTest}) {
      const auto dataset = generate_dataset(half, 500, seed);
      for (int64_t i = 0; i < dataset->size(); ++i, ++images) seen.insert(digest(image(*dataset, i)));
    }
  }
  EXPECT_EQ(seen.size(), images);
}

/// Pixels averaged over squares of 4 x 4, and a 1: what the judges below look at.
std::vector<double> features(const Dataset& dataset, int64_t i) {
  constexpr size_t kSide = 32, kCell = 4, kCells = kSide / kCell;
  const std::vector<uint8_t> bytes = image(dataset, i);
  std::vector<double> values(kCells * kCells * 3 + 1, 0);
  for (size_t y = 0; y < kSide; ++y) {
    for (size_t x = 0; x < kSide; ++x) {
      for (size_t c = 0; c < 3; ++c) {
        values[(y / kCell * kCells + x / kCell) * 3 + c] += (bytes[(y * kSide + x) * 3 + c] - 127.5) / 1000;
      }
    }
  }
  values.back() = 1;
  return values;
}

/// Solves a x = b for each column of b, a symmetric and positive definite, by Cholesky; all row by row.
void solve(std::vector<double>& a, std::vector<double>& b, size_t n, size_t columns) {
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  }
  for (size_t c = 0; c < columns; ++c) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < i; ++k) b[i * columns + c] -= a[i * n + k] * b[k * columns + c];
      b[i * columns + c] /= a[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
      for (size_t k = i + 1; k < n; ++k) b[i * columns + c] -= a[k * n + i] * b[k * columns + c];
      b[i * columns + c] /= a[i * n + i];
    }
  }
}

// Neither a linear classifier nor likeness of pixels tells the classes; ten of ten would be 100 %.
TEST(Generated, PixelsAloneDoNotTellTheClasses) {
  constexpr int64_t kTrain = 3000, kTest = 500;
  constexpr size_t kClasses = 10;
  const auto train = generate_dataset(Split::kTrain, kTrain, 1);
  const auto test = generate_dataset(Split::kTest, kTest, 1);
  std::vector<std::vector<double>> seen;
  for (int64_t i = 0; i < kTrain; ++i) seen.push_back(features(*train, i));

  const size_t n = seen[0].size();
  std::vector<double> gram(n * n, 0), weights(n * kClasses, 0);  // ridge regression on one-hot labels
  for (size_t i = 0; i < seen.size(); ++i) {
    for (size_t row = 0; row < n; ++row) {
      for (size_t column = 0; column <= row; ++column)
        gram[row * n + column] += seen[i][row] * seen[i][column];
      weights[row * kClasses + static_cast<size_t>(train->labels()[i])] += seen[i][row];
    }
  }
  for (size_t i = 0; i < n; ++i) gram[i * n + i] += 1;
  solve(gram, weights, n, kClasses);

  int64_t linear_hits = 0, nearest_hits = 0;
  for (int64_t i = 0; i < kTest; ++i) {
    const std::vector<double> values = features(*test, i);
    std::array<double, kClasses> scores{};
    for (size_t row = 0; row < n; ++row) {
      for (size_t c = 0; c < kClasses; ++c) scores[c] += values[row] * weights[row * kClasses + c];
    }
    linear_hits += std::max_element(scores.begin(), scores.end()) - scores.begin() == test->label(i);
    size_t nearest = 0;
    double least = 1e300;
    for (size_t j = 0; j < seen.size(); ++j) {
      double distance = 0;
      for (size_t row = 0; row < n; ++row)
        distance += (values[row] - seen[j][row]) * (values[row] - seen[j][row]);
      if (distance < least) {
        least = distance;
        nearest = j;
      }
    }
    nearest_hits += train->labels()[nearest] == test->label(i);
  }
  RecordProperty("linear_hits", std::to_string(linear_hits));
  RecordProperty("nearest_hits", std::to_string(nearest_hits));
  EXPECT_LT(linear_hits, kTest * 30 / 100);
  EXPECT_LT(nearest_hits, kTest * 30 / 100);
}

// A class says something of the picture: with a pattern, neighbouring pixels differ more.
TEST(Generated, PatternsAreRough) {
  const auto dataset = generate_dataset(Split::kTrain, 2000, 1);
  std::array<double, 10> roughness{};
  for (int64_t i = 0; i < dataset->size(); ++i) {
    const std::vector<uint8_t> bytes = image(*dataset, i);
    double sum = 0;
    for (size_t j = 6; j < bytes.size(); ++j)
      sum += std::abs(bytes[j] - bytes[j - 6]);  // two pixels to the left
    roughness[static_cast<size_t>(dataset->label(i))] += sum / 200 / static_cast<double>(bytes.size());
  }
  const double rough = std::min({roughness[0], roughness[4], roughness[8]});
  for (const size_t plain : {1, 2, 3, 5, 6, 7, 9}) EXPECT_LT(roughness[plain], rough) << plain;
}

TEST(GeneratedRaster, SineIsClose) {
  for (int32_t angle = -3000; angle <= 3000; ++angle) {
    const double exact = 16384 * std::sin(angle * 3.14159265358979323846 / 512);
    ASSERT_NEAR(generated::sine(angle), exact, 8) << angle;
    ASSERT_EQ(generated::cosine(angle), generated::sine(angle + 256));
  }
}

int64_t total(const generated::Mask& mask) {
  int64_t sum = 0;
  for (const int32_t weight : mask) sum += weight;
  return sum;
}

TEST(GeneratedRaster, CoversPixelsInPart) {
  // From (2.25, 3) to (5.5, 7): three quarters of column 2, all of 3 and 4, half of 5, four rows.
  const generated::Contour box{{576, 768}, {1408, 768}, {1408, 1792}, {576, 1792}};
  const generated::Mask mask = generated::coverage({box});
  for (int32_t y = 0; y < 32; ++y) {
    const int32_t whole = y >= 3 && y < 7 ? 256 : 0;
    const auto row = [&](int32_t x) { return mask[static_cast<size_t>(y * 32 + x)]; };
    EXPECT_EQ(row(1), 0);
    EXPECT_EQ(row(2), whole * 3 / 4);
    EXPECT_EQ(row(3), whole);
    EXPECT_EQ(row(4), whole);
    EXPECT_EQ(row(5), whole / 2);
    EXPECT_EQ(row(6), 0);
  }
  const generated::Contour reversed(box.rbegin(), box.rend());
  EXPECT_EQ(generated::coverage({reversed}), mask);
  EXPECT_EQ(total(generated::coverage({box, reversed})), 0);  // all hole
}

TEST(GeneratedRaster, TakesTheAreaOfAnyPolygon) {
  const generated::Contour triangle{{1000, 700}, {7000, 2600}, {3100, 7500}};
  const double area = 0.5 * std::abs(6000.0 * 6800 - 2100.0 * 1900);
  EXPECT_NEAR(static_cast<double>(total(generated::coverage({triangle}))), area / 256, area / 256 * 0.005);
}

TEST(GeneratedRaster, ClipsAtTheBorders) {
  const generated::Contour everything{{-9000, -9000}, {16000, -9000}, {16000, 16000}, {-9000, 16000}};
  for (const int32_t weight : generated::coverage({everything})) ASSERT_EQ(weight, 256);
  const generated::Contour right{{8192, 0}, {9000, 0}, {9000, 8192}, {8192, 8192}};
  EXPECT_EQ(total(generated::coverage({right})), 0);
  const generated::Contour above{{0, -500}, {8192, -500}, {8192, -1}, {0, -1}};
  EXPECT_EQ(total(generated::coverage({above})), 0);
}

}  // namespace
}  // namespace xdn
