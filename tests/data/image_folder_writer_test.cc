#include <sys/stat.h>

#include "data/data_testing.h"
#include "data/generated.h"
#include "data/image_folder.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;
using testing::expect_input_error;
using testing::list;
using testing::SyntheticDataset;
using testing::TempDir;

/// Names of classes as the test wants them.
class NamedDataset : public SyntheticDataset {
 public:
  explicit NamedDataset(const std::vector<std::string>& names, int64_t count = 6)
      : SyntheticDataset(count, static_cast<int>(names.size())) {
    classes_ = names;
  }
};

TEST(WriteImageFolder, ReadsBackWithTheSameLabels) {
  const TempDir dir;
  const auto source = generate_dataset(Split::kTest, 47, 5);
  int64_t last = 0;
  write_image_folder(*source, dir / "out", {.workers = 3, .progress = [&](int64_t done, int64_t total) {
                                              EXPECT_EQ(total, 47);
                                              EXPECT_GE(done, last);
                                              last = done;
                                            }});
  EXPECT_EQ(last, 47);
  EXPECT_EQ(list(dir.path()), std::vector<std::string>{"out"});
  EXPECT_EQ(list(dir.path() / "out"), source->classes());
  EXPECT_EQ(list(dir.path() / "out" / "dots"),
            (std::vector<std::string>{"00000004.png", "00000014.png", "00000024.png", "00000034.png",
                                      "00000044.png"}));

  const auto folder = open_dataset(dir / "out");
  ASSERT_EQ(folder->size(), 47);
  EXPECT_EQ(folder->classes(), source->classes());
  std::vector<uint8_t> expected(static_cast<size_t>(source->image_bytes())), found = expected;
  for (int64_t i = 0; i < folder->size(); ++i) {
    const int64_t number = std::stoll(fs::path(folder->name(i)).stem().string());
    EXPECT_EQ(folder->label(i), source->label(number));
    source->read(number, 1, expected.data());
    folder->read(i, 1, found.data());
    EXPECT_EQ(found, expected) << number;
  }
}

TEST(WriteImageFolder, TakesAnEmptyFolderAndNoOther) {
  const TempDir dir;
  const SyntheticDataset source(6, 2);
  fs::create_directory(dir / "out");
  write_image_folder(source, dir / "out/");
  const auto expect_refusal = [&] {
    expect_input_error("not an empty folder", [&] { write_image_folder(source, dir / "out"); });
  };
  expect_refusal();
  fs::remove_all(dir / "out");
  testing::write_bytes(dir / "out", "a file");
  expect_refusal();
  EXPECT_EQ(testing::read_bytes(dir / "out"), "a file");
  EXPECT_EQ(list(dir.path()), std::vector<std::string>{"out"});
}

TEST(WriteImageFolder, LeavesNothingAfterAnError) {
  const TempDir dir;
  SyntheticDataset source(100, 2);
  source.on_read = [](int64_t i) {
    if (i == 50) throw input_error("no more");
  };
  expect_input_error("no more", [&] { write_image_folder(source, dir / "out"); });
  EXPECT_TRUE(list(dir.path()).empty());
}

TEST(WriteImageFolder, RemovesWhatAKilledRunLeft) {
  const TempDir dir;
  testing::write_bytes(dir / ".out.partial/class 0/00000077.png", "half an image");
  write_image_folder(SyntheticDataset(6, 2), dir / "out");
  EXPECT_EQ(list(dir.path()), std::vector<std::string>{"out"});
  EXPECT_EQ(open_dataset(dir / "out")->size(), 6);
}

TEST(WriteImageFolder, RefusesClassesThatWouldComeBackOtherwise) {
  const TempDir dir;
  const auto expect_refusal = [&](const std::string& part, const Dataset& dataset) {
    expect_input_error(part, [&] { write_image_folder(dataset, dir / "out"); });
    EXPECT_TRUE(list(dir.path()).empty());
  };
  expect_refusal("does not come after 'b'", NamedDataset({"b", "a"}));
  expect_refusal("does not come after 'a'", NamedDataset({"a", "a"}));
  expect_refusal("is no file name", NamedDataset({"../a", "b"}));
  expect_refusal("is no file name", NamedDataset({"", "b"}));
  expect_refusal("is no file name", NamedDataset({".a", "b"}));
  expect_refusal("it has no image", NamedDataset({"a", "b", "c"}, 2));
}

}  // namespace
}  // namespace xdn
