#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/run_xdn.h"
#include "data/dataset.h"
#include "data/generated.h"
#include "data/pack.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(Generate, WritesPacks) {
  const TempDir dir;
  const Finished finished =
      run_xdn({"generate", "-o", dir / "out", "--train", "50", "--test", "20", "--seed", "9", "--json", "-"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = Json::parse(finished.out);
  EXPECT_EQ(json["seed"], 9);
  EXPECT_EQ(json["format"], "pack");
  EXPECT_EQ(json["classes"].size(), 10u);
  ASSERT_EQ(json["written"].size(), 2u);
  EXPECT_EQ(json["written"][0]["path"], dir / "out/train.pack");
  EXPECT_EQ(json["written"][0]["images"], 50);
  EXPECT_EQ(json["written"][1]["images"], 20);
  for (const auto& [name, half, images] :
       {std::tuple{"train", Split::kTrain, 50}, std::tuple{"test", Split::kTest, 20}}) {
    const std::string path = dir / "out/" + name + ".pack";
    verify_pack(path);
    const auto pack = open_dataset(path);
    const auto expected = generate_dataset(half, images, 9);
    ASSERT_EQ(pack->labels(), expected->labels());
    EXPECT_EQ(pack->classes(), expected->classes());
    std::vector<uint8_t> bytes(static_cast<size_t>(images * expected->image_bytes()));
    expected->read(0, images, bytes.data());
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), pack->mapped()));
  }
  // Packs are replaced, as xdn pack does.
  EXPECT_EQ(run_xdn({"generate", "-o", dir / "out", "--train", "10", "--test", "10"}).code, 0);
  EXPECT_EQ(open_dataset(dir / "out/train.pack")->size(), 10);
}

TEST(Generate, WritesFoldersThatOpenAsTwoHalves) {
  const TempDir dir;
  const std::vector<std::string> command{"generate", "-o", dir / "out", "--train", "30",
                                         "--test",   "20", "--format",  "folder"};
  const Finished finished = run_xdn(command);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("30 images in 10 classes"));
  EXPECT_TRUE(has_splits(dir / "out"));
  EXPECT_EQ(open_dataset(dir / "out")->size(), 20);
  EXPECT_EQ(open_dataset(dir / "out", {.geometry = {}, .bgr = false, .split = Split::kTrain})->size(), 30);
  const Finished again = run_xdn(command);
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("not an empty folder"));
}

TEST(Generate, RefusesWhatCannotBe) {
  const TempDir dir;
  const auto expect_refusal = [](const std::vector<std::string>& arguments, const std::string& part) {
    const Finished finished = run_xdn(arguments);
    EXPECT_EQ(finished.code, 2) << finished.err;
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(part));
  };
  expect_refusal({"generate", "-o", dir / "no/such/place"}, "cannot create the folder");
  write_text(dir / "file", "text");
  expect_refusal({"generate", "-o", dir / "file"}, "cannot create the folder");
  expect_refusal({"generate", "-o", dir / "out", "--train", "9"}, "--train");
  expect_refusal({"generate", "-o", dir / "out", "--seed", "-1"}, "--seed");
  EXPECT_FALSE(std::filesystem::exists(dir / "out"));
}

}  // namespace
}  // namespace xdn::testing
