// The ranges file: written, read, edited and spoilt.

#include "quantization/ranges.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "quantization/support.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

Graph small_graph() {
  return parse_graph(R"(graph {
    input %x f32[N,3,8,8]
    const %w f32[4,3,3,3] random(1)
    %y = Conv(%x, %w) kernel=[3,3]
    %z = Relu(%y) "relu"
    %p = GlobalAveragePool(%z)
    output %p
  })");
}

class RangesFile : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string path_ = dir_ / "net.ranges.json";
  Graph graph_ = small_graph();
  std::vector<std::string> wanted_{"x", "z"};

  static Ranges example() {
    Ranges ranges;
    ranges.method = "mse";
    ranges.images = 1000;
    ranges.seed = 7;
    ranges.values["x"] = {{-2.117904f, 2.64f}, {-2.1f, 0.1f}};
    ranges.values["z"] = {{0, 3.4028235e38f}, {-0.0f, 1e-45f}};
    return ranges;
  }
  std::string text() const {
    std::ifstream file(path_);
    std::ostringstream out;
    out << file.rdbuf();
    return out.str();
  }
  void write(const std::string& text) const { std::ofstream(path_) << text; }
  Ranges read() const { return read_ranges(path_, graph_, wanted_); }

  /// The example with the first `from` replaced; the error that reading it is, which names the file.
  std::string refusal(const std::string& from, const std::string& to) {
    write_ranges(example(), graph_, path_);
    std::string edited = text();
    const size_t at = edited.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    if (at != std::string::npos) edited.replace(at, from.size(), to);
    write(edited);
    return refusal();
  }
  std::string refusal() {
    const std::string line = error_of([&] { (void)read(); });
    EXPECT_EQ(line.find(path_ + ": "), 0u) << line;
    return line.substr(std::min(line.size(), path_.size() + 2));
  }
};

TEST_F(RangesFile, ReadsBackWhatWasWritten) {
  write_ranges(example(), graph_, path_);
  const Ranges ranges = read(), want = example();
  EXPECT_EQ(ranges.method, want.method);
  EXPECT_EQ(ranges.images, want.images);
  EXPECT_EQ(ranges.seed, want.seed);
  ASSERT_EQ(ranges.values.size(), want.values.size());
  for (const auto& [name, range] : want.values) {
    EXPECT_EQ(ranges.values.at(name).seen, range.seen) << name;
    EXPECT_EQ(ranges.values.at(name).levels, range.levels) << name;
  }
}

TEST_F(RangesFile, IsTheSameTextEveryTimeAndReadable) {
  write_ranges(example(), graph_, path_);
  const std::string first = text();
  write_ranges(read(), graph_, path_);
  EXPECT_EQ(text(), first);
  // One line per value, with the fewest digits.
  EXPECT_NE(first.find("\n  \"x\": {\"shape\":\"[N,3,8,8]\",\"min\":-2.117904,\"max\":2.64,\"low\":-2.1,"
                       "\"high\":0.1},\n"),
            std::string::npos)
      << first;
}

TEST_F(RangesFile, RandomFloatsSurvive) {
  Uniform uniform(11);
  for (int i = 0; i < 200; ++i) {
    Ranges ranges = example();
    const float a = std::ldexp(uniform(), static_cast<int>(uniform.between(-140, 120)));
    const float b = std::ldexp(uniform(), static_cast<int>(uniform.between(-140, 120)));
    ranges.values["x"] = {{std::min(a, b), std::max(a, b)}, {std::min(a, b), std::max(a, b)}};
    write_ranges(ranges, graph_, path_);
    EXPECT_EQ(read().values.at("x").levels, ranges.values.at("x").levels);
  }
}

TEST_F(RangesFile, NamesOfAnyKind) {
  const std::string odd = "a \"quoted\"\\ \n\xc3\xa9/:0";
  Graph named;
  const ValueId x = named.add_input(odd, DType::kF32, {kBatch, 1, 2, 2});
  named.set_outputs({named.output_of(named.add_node(OpType::kRelu, NoAttrs{}, "relu", {x}, "y"))});
  infer_shapes(named);
  Ranges ranges;
  ranges.values[odd] = {{-1, 2}, {-1, 2}};
  write_ranges(ranges, named, path_);
  EXPECT_EQ(read_ranges(path_, named, {odd}).values.at(odd).levels, (Range{-1, 2}));
}

TEST_F(RangesFile, MayBeEditedByHand) {
  write_ranges(example(), graph_, path_);
  std::string edited = text();
  const std::string from = "\"low\":-2.1,\"high\":0.1";
  edited.replace(edited.find(from), from.size(), "\"high\": 12,  \"low\": -3.5e0 ");
  write(edited);
  EXPECT_EQ(read().values.at("x").levels, (Range{-3.5f, 12}));
  EXPECT_EQ(read().values.at("x").seen, (Range{-2.117904f, 2.64f}));
  // The least that says it.
  write(R"({"xdn_ranges": 1, "values": {"z": {"low": 0, "high": 6}, "x": {"low": -1, "high": 1}}})");
  EXPECT_EQ(read().values.at("z").levels, (Range{0, 6}));
  EXPECT_EQ(read().values.at("z").seen, (Range{0, 6}));
}

TEST_F(RangesFile, NotJson) {
  write("");
  EXPECT_EQ(refusal(), "is not JSON");
  write("ranges, but not as we know them\n");
  EXPECT_EQ(refusal(), "is not JSON");
  write(std::string("\0\xff\xfe", 3));
  EXPECT_EQ(refusal(), "is not JSON");
  write_ranges(example(), graph_, path_);
  const std::string whole = text();
  for (size_t bytes = 0; bytes + 2 < whole.size(); bytes += 7) {
    write(whole.substr(0, bytes));
    EXPECT_EQ(refusal(), "is not JSON") << bytes;
  }
}

TEST_F(RangesFile, OtherJson) {
  for (const char* text : {"[]", "3", "null", "\"x\"", "{}", R"({"xdn_ranges": 1})", R"({"values": {}})",
                           R"({"xdn_ranges": 1, "values": []})"}) {
    write(text);
    EXPECT_NE(refusal().find("is no ranges file"), std::string::npos) << text;
  }
}

TEST_F(RangesFile, OtherVersion) {
  EXPECT_NE(refusal("\"xdn_ranges\": 1", "\"xdn_ranges\": 2").find("another version"), std::string::npos);
  EXPECT_NE(refusal("\"xdn_ranges\": 1", "\"xdn_ranges\": \"1\"").find("another version"), std::string::npos);
}

TEST_F(RangesFile, OfAnotherModel) {
  EXPECT_NE(refusal("\"z\": ", "\"other\": ").find("value 'other' is not in the model"), std::string::npos);
  EXPECT_NE(refusal("[N,3,8,8]", "[N,3,9,9]")
                .find("value 'x': has shape [N,3,8,8] in the model, but \"[N,3,9,9]\" here"),
            std::string::npos);
  write(R"({"xdn_ranges": 1, "values": {"x": {"low": 0, "high": 6}}})");
  EXPECT_NE(refusal().find("has no range for value 'z'"), std::string::npos);
  // A value of the graph that gets no levels of its own.
  write(R"({"xdn_ranges": 1, "values": {"x": {"low": 0, "high": 6}, "y": {"low": 0, "high": 6},
            "z": {"low": 0, "high": 6}}})");
  EXPECT_NE(refusal().find("value 'y'"), std::string::npos);
}

TEST_F(RangesFile, NumbersThatAreNone) {
  const std::string low = "\"low\":-2.1,";
  EXPECT_EQ(refusal(low, "\"low\":0.2,"), "value 'x': low is larger than high");
  EXPECT_EQ(refusal(low, "\"low\":\"-2.1\","), "value 'x': field 'low' must be a number");
  EXPECT_EQ(refusal(low, "\"low\":null,"), "value 'x': field 'low' must be a number");
  EXPECT_EQ(refusal(low, ""), "value 'x': field 'low' must be a number");
  EXPECT_EQ(refusal(low, "\"low\":-1e300,"), "value 'x': field 'low' must be a finite number");
  EXPECT_EQ(refusal(low, "\"low\":NaN,"), "is not JSON");
  EXPECT_EQ(refusal(low, "\"low\":-1e999,"), "is not JSON");
  EXPECT_EQ(refusal("\"max\":2.64", "\"max\":1e39"), "value 'x': field 'max' must be a finite number");
  EXPECT_EQ(refusal("{\"shape\"", "[{\"shape\""), "is not JSON");
  write(R"({"xdn_ranges": 1, "values": {"x": 5, "z": {"low": 0, "high": 6}}})");
  EXPECT_EQ(refusal(), "value 'x': expected an object with low and high");
}

TEST_F(RangesFile, AbsentOrAFolder) {
  EXPECT_NE(refusal().find("No such file"), std::string::npos);
  std::filesystem::create_directory(path_);
  EXPECT_NE(refusal().find("is a folder"), std::string::npos);
}

}  // namespace
}  // namespace xdn::testing
