#include "evaluator/predictions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "support/shared_data.h"

namespace xdn {
namespace {

using testing::TempDir;
using Classes = std::vector<int64_t>;

const Classes kLabels{0, 2, 1}, kPredictions{0, -1, 2};

class Predictions : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string path_ = dir_ / "p.csv";

  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }
  /// The message of the error, less the file's name.
  std::string refusal(const Classes& labels = kLabels) const {
    try {
      (void)read_predictions(path_, labels, 3);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_EQ(error.file(), path_);
      return error.message();
    }
    return "accepted";
  }
};

TEST_F(Predictions, RoundTrip) {
  write_predictions(path_, kLabels, kPredictions);
  EXPECT_TRUE(is_predictions_file(path_));
  EXPECT_EQ(read_predictions(path_, kLabels, 3), kPredictions);
}

TEST_F(Predictions, WindowsLinesAndNoLastNewline) {
  write("index,label,prediction\r\n0,0,0\r\n1,2,-1\r\n2,1,2");
  EXPECT_EQ(read_predictions(path_, kLabels, 3), kPredictions);
}

TEST_F(Predictions, OtherFilesAreNone) {
  EXPECT_FALSE(is_predictions_file(path_));
  EXPECT_FALSE(is_predictions_file(dir_.path().string()));
  write("index,label");
  EXPECT_FALSE(is_predictions_file(path_));
  EXPECT_EQ(refusal(), "line 1: expected index,label,prediction");
}

TEST_F(Predictions, RefusesOtherRuns) {
  write_predictions(path_, kLabels, kPredictions);
  EXPECT_EQ(refusal({0, 2}), "holds predictions of 3 images, but 2 are evaluated");
  EXPECT_EQ(refusal({0, 2, 1, 1}), "holds predictions of 3 images, but 4 are evaluated");
  EXPECT_EQ(refusal({0, 1, 1}),
            "image 1 has the label 2, but 1 in the data: these are predictions of other images");
  write("index,label,prediction\n0,0,3\n1,2,0\n2,1,0\n");
  EXPECT_EQ(refusal(), "image 0 has the prediction 3, expected -1 or one of the model's 3 outputs");
}

TEST_F(Predictions, RefusesDamagedLines) {
  const std::string head = "index,label,prediction\n0,0,0\n";
  const std::string expected = "line 3: expected three whole numbers, index,label,prediction";
  for (const char* line : {"1,2", "1,2,x", "1,2,0,0", "1;2;0", "", " 1,2,0", "1,2,99999999999999999999"}) {
    write(head + line + "\n2,1,2\n");
    EXPECT_EQ(refusal(), expected) << line;
  }
  write(head + "2,1,2\n1,2,0\n");
  EXPECT_EQ(refusal(), "line 3: expected the index 1");
}

TEST(PairPredictions, CountsFlipsAndTheirDirection) {
  const Classes labels{0, 0, 0, 1, 2, 2}, a{0, 0, 0, 0, 1, -1}, b{0, 1, 1, 1, 0, -1};
  const PairedPredictions pair = pair_predictions(labels, a, b);
  EXPECT_EQ(pair.images, 6);
  EXPECT_EQ(pair.correct_a, 3);
  EXPECT_EQ(pair.correct_b, 2);
  EXPECT_EQ(pair.flips, 4);
  EXPECT_EQ(pair.right_to_wrong, 2);
  EXPECT_EQ(pair.wrong_to_right, 1);
}

TEST(ConfidentMistakes, MostConfidentFirst) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  // 0 and 5 are right, 1 and 4 wrong at odds of e : 1, 3 at e^3 : 1; 2 predicts nothing.
  const std::vector<float> rows{5, 0, 1, 0, kNan, 0, 3, 0, 0, 1, 0, 9};
  const Classes predictions{0, 0, -1, 0, 1, 1}, truth{0, 1, 1, 1, 0, 1};
  const auto wrong = confident_mistakes(truth, predictions, rows, 2, 9);
  ASSERT_EQ(wrong.size(), 3u);
  EXPECT_EQ(wrong[0].index, 3);
  EXPECT_NEAR(wrong[0].probability, 1 / (1 + std::exp(-3.0)), 1e-12);
  EXPECT_EQ(wrong[1].index, 1);  // as sure as image 4, and before it
  EXPECT_EQ(wrong[2].index, 4);
  EXPECT_EQ(wrong[2].label, 0);
  EXPECT_EQ(wrong[2].predicted, 1);
  EXPECT_EQ(confident_mistakes(truth, predictions, rows, 2, 1).size(), 1u);
  EXPECT_TRUE(confident_mistakes(truth, truth, rows, 2, 9).empty());
}

}  // namespace
}  // namespace xdn
