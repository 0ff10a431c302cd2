#include "evaluator/confusion.h"

#include <gtest/gtest.h>

namespace xdn {
namespace {

using Classes = std::vector<int64_t>;

TEST(Confusion, ByHand) {
  const Classes labels{0, 0, 0, 1, 1, 3, 3, 3, 3}, predictions{0, 1, 1, 1, 1, 0, 3, -1, 1};
  const Confusion confusion(4, labels, predictions);
  EXPECT_EQ(confusion.classes(), 4);
  EXPECT_EQ(confusion.count(0, 0), 1);
  EXPECT_EQ(confusion.count(0, 1), 2);
  EXPECT_EQ(confusion.count(1, 0), 0);
  EXPECT_EQ(confusion.count(3, 0), 1);
  EXPECT_EQ(confusion.images(2), 0);
  EXPECT_EQ(confusion.images(3), 4);
  EXPECT_EQ(confusion.correct(3), 1);
  EXPECT_EQ(confusion.unpredicted(), 1);
  EXPECT_DOUBLE_EQ(confusion.accuracy(0), 1.0 / 3);
  EXPECT_DOUBLE_EQ(confusion.accuracy(1), 1);
  EXPECT_DOUBLE_EQ(confusion.accuracy(2), 0);
}

TEST(Confusion, WorstClassesHaveMistakes) {
  const Confusion confusion(4, Classes{0, 0, 0, 1, 1, 3, 3}, Classes{0, 1, 1, 1, 1, 3, -1});
  EXPECT_EQ(confusion.worst(9), (Classes{0, 3}));  // neither class 1, all right, nor 2, without images
  EXPECT_EQ(confusion.worst(1), (Classes{0}));
  EXPECT_EQ(Confusion(3, Classes{2, 1}, Classes{1, 2}).worst(9), (Classes{1, 2}));
}

TEST(Confusion, MistakesByFrequency) {
  const Confusion confusion(3, Classes{0, 0, 2, 2, 1, 1, 1}, Classes{1, 2, 1, 1, 1, 1, 1});
  const auto mistakes = confusion.mistakes(9);
  ASSERT_EQ(mistakes.size(), 3u);
  EXPECT_EQ(mistakes[0].label, 2);
  EXPECT_EQ(mistakes[0].predicted, 1);
  EXPECT_EQ(mistakes[0].count, 2);
  EXPECT_EQ(mistakes[1].predicted, 1);
  EXPECT_EQ(mistakes[2].predicted, 2);
  EXPECT_EQ(confusion.mistakes(1).size(), 1u);
}

TEST(Confusion, HugeClassCountsAreSparse) {
  const Confusion confusion(1'000'000, Classes{999'999, 5}, Classes{5, 5});
  EXPECT_EQ(confusion.count(999'999, 5), 1);
  EXPECT_EQ(confusion.worst(3), (Classes{999'999}));
}

}  // namespace
}  // namespace xdn
