#include "data/image_folder.h"

#include <sys/stat.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "data/data_testing.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;
using testing::encode_jpeg;
using testing::expect_input_error;
using testing::make_image;
using testing::make_image_folder;
using testing::TempDir;
using testing::write_bytes;

TEST(ImageFolder, ListsClassesAndFilesByName) {
  const TempDir dir;
  write_bytes(dir / "zebra/b.JPG", encode_jpeg(make_image(8, 8, 1)));
  write_bytes(dir / "zebra/a.png", testing::encode_png(make_image(8, 8, 2)));
  write_bytes(dir / "ant/x.jpeg", encode_jpeg(make_image(8, 8, 3)));
  write_bytes(dir / ".DS_Store", std::string("hidden"));
  write_bytes(dir / "ant/.hidden.txt", std::string("hidden"));
  const auto data = open_dataset(dir.path().string());
  EXPECT_EQ(data->classes(), (std::vector<std::string>{"ant", "zebra"}));
  EXPECT_EQ(data->labels(), (std::vector<int64_t>{0, 1, 1}));
  EXPECT_EQ(data->size(), 3);
  EXPECT_EQ(data->height(), 8);
  EXPECT_EQ(data->width(), 8);
  EXPECT_EQ(data->channels(), 3);
  EXPECT_EQ(data->mapped(), nullptr);
  EXPECT_EQ(data->source(), dir.path().string());
  EXPECT_EQ(data->name(1), dir / "zebra/a.png");
  EXPECT_EQ(data->name(2), dir / "zebra/b.JPG");
  std::vector<uint8_t> pixels(static_cast<size_t>(data->image_bytes()));
  data->read(1, 1, pixels.data());
  EXPECT_EQ(pixels, make_image(8, 8, 2).rgb);
}

TEST(ImageFolder, BgrSwapsChannels) {
  const TempDir dir;
  write_bytes(dir / "a/a.png", testing::encode_png(make_image(4, 4)));
  const auto rgb = testing::read_all(*open_dataset(dir.path().string()));
  const auto bgr = testing::read_all(*open_dataset(dir.path().string(), {.geometry = {}, .bgr = true}));
  for (size_t i = 0; i < rgb.size(); i += 3) {
    EXPECT_EQ(rgb[i], bgr[i + 2]);
    EXPECT_EQ(rgb[i + 1], bgr[i + 1]);
    EXPECT_EQ(rgb[i + 2], bgr[i]);
  }
}

TEST(ImageFolder, TargetSizeResizeAndCrop) {
  const TempDir dir;
  write_bytes(dir / "a/a.png", testing::encode_png(make_image(10, 20)));
  write_bytes(dir / "a/b.png", testing::encode_png(make_image(30, 12)));
  const std::string path = dir.path().string();
  const auto straight = open_dataset(path, {.geometry = {.height = 6, .width = 7}});
  std::vector<uint8_t> two(2 * 6 * 7 * 3);
  straight->read(0, 2, two.data());
  const Image second = resize_image(make_image(30, 12), 6, 7);
  EXPECT_EQ(std::memcmp(two.data() + two.size() / 2, second.rgb.data(), second.rgb.size()), 0);

  const auto cropped = open_dataset(path, {.geometry = {.resize = 8, .crop = 6}});
  EXPECT_EQ(cropped->height(), 6);
  EXPECT_EQ(testing::read_all(*cropped).size(), 2u * 6 * 6 * 3);
  EXPECT_EQ(cropped->geometry().resize, 8);

  const auto mixed = open_dataset(path);
  EXPECT_EQ(mixed->width(), 20);
  expect_input_error("b.png: image is 30x12, the first one is 10x20", [&] { testing::read_all(*mixed); });
  const auto wrong = open_dataset(path, {.geometry = {.resize = 6, .height = 6, .width = 6}});
  expect_input_error("a.png: image is 6x12 after resize and crop, expected 6x6",
                     [&] { testing::read_all(*wrong); });
}

TEST(ImageFolder, StrayEntriesAreNamed) {
  const TempDir dir;
  make_image_folder(dir.path().string(), 2, 1);
  const auto open = [&] { open_dataset(dir.path().string()); };
  open();
  const auto check = [&](const std::string& name, const std::string& part) {
    expect_input_error((dir / name) + ": " + part, open);
    fs::remove_all(dir / name);
  };
  write_bytes(dir / "notes.txt", std::string("x"));
  check("notes.txt", "stray file");
  write_bytes(dir / "class_1/notes.txt", std::string("x"));
  check("class_1/notes.txt", "stray entry");
  fs::create_directory(dir / "class_1/sub");
  check("class_1/sub", "stray entry");
  ASSERT_EQ(mkfifo((dir / "class_1/pipe.jpg").c_str(), 0600), 0);
  check("class_1/pipe.jpg", "stray entry");
  fs::create_symlink(dir / "nowhere", dir / "class_1/dangling.jpg");
  check("class_1/dangling.jpg", "stray entry");
  fs::create_directory(dir / "class_2");
  check("class_2", "class folder without images");
  fs::create_directory_symlink(dir.path(), dir / "loop");
  expect_input_error("stray entry", open);
  fs::remove(dir / "loop");
  open();
}

TEST(ImageFolder, EmptyOrMissingFolders) {
  const TempDir dir;
  expect_input_error("holds no images", [&] { open_dataset(dir.path().string()); });
  expect_input_error("no such file or folder", [&] { open_dataset(dir / "missing"); });
  write_bytes(dir / "file.txt", std::string("x"));
  expect_input_error("is not a data set", [&] { open_dataset(dir / "file.txt"); });
  write_bytes(dir / "half/images.npy", std::string("x"));
  expect_input_error("no pack.json", [&] { open_dataset(dir / "half"); });
}

TEST(ImageFolder, DamagedImagesAreNamedWhenRead) {
  const TempDir dir;
  make_image_folder(dir.path().string(), 1, 3);
  write_bytes(dir / "class_0/0001.jpg", testing::read_bytes(dir / "class_0/0001.jpg").substr(0, 200));
  const auto data = open_dataset(dir.path().string());
  expect_input_error("0001.jpg: corrupt JPEG data", [&] { testing::read_all(*data); });
  write_bytes(dir / "class_0/0000.jpg", std::string());
  expect_input_error("0000.jpg: is empty", [&] { open_dataset(dir.path().string()); });
}

TEST(ImageFolder, TrainAndTestFoldersAreSplits) {
  const TempDir dir;
  make_image_folder(dir / "train", 2, 3);
  make_image_folder(dir / "test", 2, 1);
  const std::string path = dir.path().string();
  EXPECT_EQ(open_dataset(path)->size(), 2);
  EXPECT_EQ(open_dataset(path, {.geometry = {}, .bgr = false, .split = Split::kTest})->size(), 2);
  EXPECT_EQ(open_dataset(path, {.geometry = {}, .bgr = false, .split = Split::kTrain})->size(), 6);
  expect_input_error("has no train/ and test/", [&] {
    open_dataset(path + "/train", {.geometry = {}, .bgr = false, .split = Split::kTrain});
  });
  EXPECT_TRUE(has_splits(path));
  EXPECT_FALSE(has_splits(path + "/train"));
  EXPECT_FALSE(has_splits(path + "/absent"));
  EXPECT_EQ(parse_split("train"), Split::kTrain);
  EXPECT_EQ(parse_split("test"), Split::kTest);
  EXPECT_EQ(parse_split("val"), std::nullopt);
}

TEST(ImageFolder, ReadIsThreadSafe) {
  const TempDir dir;
  make_image_folder(dir.path().string(), 3, 20, 16, 16);
  const auto data = open_dataset(dir.path().string());
  const std::vector<uint8_t> expected = testing::read_all(*data);
  std::vector<uint8_t> parallel(expected.size());
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    for (int64_t i; (i = next.fetch_add(3)) < data->size();) {
      data->read(i, std::min<int64_t>(3, data->size() - i), parallel.data() + i * data->image_bytes());
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(parallel, expected);
}

}  // namespace
}  // namespace xdn
