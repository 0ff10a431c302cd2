#include "pruning/scores_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "base/error.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

using pruning::parse_scores;
using pruning::ScoresFile;

ScoresFile some_scores() {
  return {.images = 4096,
          .seed = std::numeric_limits<uint64_t>::max(),
          .layers = {{"conv \"1\"", {0, 1.0 / 3, 5e-324}}, {"fc", {1e308}}}};
}

TEST(ScoresFile, ComesBackBitByBit) {
  const TempDir dir;
  const ScoresFile scores = some_scores();
  pruning::write_scores(scores, dir / "scores.json");
  const ScoresFile read = pruning::read_scores(dir / "scores.json");
  EXPECT_EQ(read.images, scores.images);
  EXPECT_EQ(read.seed, scores.seed);
  EXPECT_EQ(read.layers, scores.layers);
  EXPECT_EQ(pruning::to_json(read), pruning::to_json(scores));
}

std::string error_of(const std::string& json) {
  try {
    (void)parse_scores(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

std::string with_layers(const std::string& layers) {
  return R"({"criterion": "taylor", "images": 1, "seed": 0, "layers": )" + layers + "}";
}

TEST(ScoresFile, BadFilesAreOneLine) {
  EXPECT_EQ(error_of(with_layers("{}")), "no error");
  EXPECT_EQ(error_of(""), "is not valid JSON: error at byte 1");
  EXPECT_EQ(error_of("[]"), "a file of scores must be an object");
  EXPECT_EQ(error_of(R"({"images": 1})"), "a file of scores, field 'criterion', is missing");
  EXPECT_EQ(error_of(R"({"criterion": "l2"})"), "a file of scores, field 'criterion', must be \"taylor\"");
  EXPECT_EQ(error_of(R"({"criterion": "taylor", "images": -1})"),
            "a file of scores, field 'images', must be an integer from 0 to 9223372036854775807");
  EXPECT_EQ(error_of(with_layers("[]")), "a file of scores, field 'layers', must be an object");
  EXPECT_EQ(error_of(with_layers("{}, \"more\": 1")), "a file of scores, field 'more', is unknown");
  EXPECT_EQ(error_of(with_layers("{}, \"seed\": 1")), "holds 'seed' twice");
  EXPECT_EQ(error_of(with_layers(R"({"a": [1], "a": [2]})")), "holds 'a' twice");
  std::string many = "{";
  for (int i = 0; i <= 1 << 14; ++i) many += (i == 0 ? "\"" : ", \"") + std::to_string(i) + "\": [1]";
  EXPECT_EQ(error_of(with_layers(many + "}")), "holds an object of too many names");
  EXPECT_EQ(error_of(with_layers(R"({"a": 1})")), "layer 'a': must have a list of numbers, one per filter");
  EXPECT_EQ(error_of(with_layers(R"({"a": []})")), "layer 'a': must have a list of numbers, one per filter");
  EXPECT_EQ(error_of(with_layers(R"({"a": [1, -1]})")),
            "layer 'a': filter 1 must have a number of at least 0");
  EXPECT_EQ(error_of(with_layers(R"({"a": [null]})")),
            "layer 'a': filter 0 must have a number of at least 0");
  EXPECT_EQ(error_of(with_layers(R"({"a": [1e999]})")), "is not valid JSON: a number is out of range");
  EXPECT_EQ(error_of(with_layers(R"({"a": [[[[[[[[1]]]]]]]]})")), "JSON is nested too deeply");
}

TEST(ScoresFile, ErrorsNameTheFile) {
  const TempDir dir;
  std::ofstream(dir / "bad.json") << with_layers(R"({"a": [-1]})");
  try {
    (void)pruning::read_scores(dir / "bad.json");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.file(), dir / "bad.json");
    EXPECT_EQ(error.layer(), "a");
  }
}

}  // namespace
}  // namespace xdn::testing
