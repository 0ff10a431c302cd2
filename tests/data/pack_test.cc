#include "data/pack.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/data_testing.h"
#include "data/npy.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;
using testing::expect_input_error;
using testing::list;
using testing::SyntheticDataset;
using testing::TempDir;

const std::vector<std::string> kPackFiles = {"images.npy", "labels.npy", "pack.json"};

TEST(Pack, HoldsWhatTheDataSetHolds) {
  const TempDir dir;
  const SyntheticDataset source(100, 3);
  int64_t last_done = -1, last_total = -1;
  const std::string path = dir / "out";
  write_pack(source, path, {.workers = 3, .progress = [&](int64_t done, int64_t total) {
                              EXPECT_GE(done, last_done);
                              last_done = done;
                              last_total = total;
                            }});
  EXPECT_EQ(last_done, 100);
  EXPECT_EQ(last_total, 100);
  EXPECT_EQ(list(dir.path()), std::vector<std::string>{"out"});
  EXPECT_EQ(list(path), kPackFiles);

  const auto pack = open_dataset(path);
  EXPECT_EQ(pack->size(), 100);
  EXPECT_EQ(pack->height(), 4);
  EXPECT_EQ(pack->width(), 5);
  EXPECT_EQ(pack->labels(), source.labels());
  EXPECT_EQ(pack->classes(), source.classes());
  EXPECT_EQ(pack->name(7), path + "/images.npy[7]");
  const std::vector<uint8_t> expected = testing::read_all(source);
  EXPECT_EQ(testing::read_all(*pack), expected);
  ASSERT_NE(pack->mapped(), nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(pack->mapped()) % 4096, 0u);
  EXPECT_EQ(std::memcmp(pack->mapped(), expected.data(), expected.size()), 0);
  verify_pack(path);

  const Tensor images = read_npy(path + "/images.npy");
  EXPECT_EQ(images.dims(), (Dims{100, 4, 5, 3}));
  EXPECT_EQ(images.dtype(), DType::kU8);
  EXPECT_EQ(read_npy(path + "/labels.npy").to_ints(), source.labels());
  const auto json = nlohmann::json::parse(testing::read_bytes(path + "/pack.json"));
  EXPECT_EQ(json["count"], 100);
  EXPECT_EQ(json["source"], "synthetic");
  EXPECT_EQ(json["selection"], "all");
  EXPECT_EQ(json["color"], "RGB");
}

TEST(Pack, EveryWorkerCountGivesTheSameBytes) {
  const TempDir dir;
  const SyntheticDataset source(333, 7);
  write_pack(source, dir / "a", {.workers = 1, .progress = {}});
  write_pack(source, dir / "b", {.workers = 8, .progress = {}});
  write_pack(source, dir / "c");
  for (const std::string& file : kPackFiles) {
    EXPECT_EQ(testing::read_bytes(dir / ("a/" + file)), testing::read_bytes(dir / ("b/" + file)));
    EXPECT_EQ(testing::read_bytes(dir / ("a/" + file)), testing::read_bytes(dir / ("c/" + file)));
  }
}

TEST(Pack, ImageFolderToPackKeepsGeometry) {
  const TempDir dir;
  testing::make_image_folder(dir / "images", 2, 3, 20, 24);
  const DatasetOptions options{.geometry = {.resize = 12, .crop = 10}};
  const auto folder = open_dataset(dir / "images", options);
  write_pack(*folder, dir / "pack");
  const auto pack = open_dataset(dir / "pack", options);
  EXPECT_EQ(testing::read_all(*pack), testing::read_all(*folder));
  EXPECT_EQ(pack->geometry().resize, 12);
  EXPECT_EQ(pack->geometry().crop, 10);
  EXPECT_EQ(open_dataset(dir / "pack")->size(), 6);
  EXPECT_EQ(open_dataset(dir / "pack", {.geometry = {.height = 10, .width = 10}})->size(), 6);
  expect_input_error("holds images of 10x10, expected 32x32",
                     [&] { open_dataset(dir / "pack", {.geometry = {.height = 32, .width = 32}}); });
  expect_input_error("holds images of 10x10, expected 11x11",
                     [&] { open_dataset(dir / "pack", {.geometry = {.resize = 12, .crop = 11}}); });
  expect_input_error("made with resize 12 and crop 10, expected 14 and 10",
                     [&] { open_dataset(dir / "pack", {.geometry = {.resize = 14, .crop = 10}}); });
  expect_input_error("is a pack, which has no splits", [&] {
    open_dataset(dir / "pack", {.geometry = {}, .bgr = false, .split = Split::kTest});
  });
}

TEST(Pack, OtherChannelOrderIsSwappedOnReading) {
  const TempDir dir;
  testing::make_image_folder(dir / "images", 1, 2);
  const auto bgr = open_dataset(dir / "images", {.geometry = {}, .bgr = true});
  write_pack(*bgr, dir / "pack");
  const auto as_rgb = open_dataset(dir / "pack");
  EXPECT_EQ(as_rgb->mapped(), nullptr);
  EXPECT_EQ(testing::read_all(*as_rgb), testing::read_all(*open_dataset(dir / "images")));
  const auto as_bgr = open_dataset(dir / "pack", {.geometry = {}, .bgr = true});
  EXPECT_NE(as_bgr->mapped(), nullptr);
  EXPECT_EQ(testing::read_all(*as_bgr), testing::read_all(*bgr));
}

TEST(Pack, SplitsByClass) {
  const TempDir dir;
  const SyntheticDataset source(23, 5);
  write_split_packs(source, dir / "out/", 2);
  EXPECT_EQ(list(dir.path()), (std::vector<std::string>{"out-first", "out-rest"}));
  const auto first = open_dataset(dir / "out-first"), rest = open_dataset(dir / "out-rest");
  EXPECT_EQ(first->labels(), (std::vector<int64_t>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4}));
  EXPECT_EQ(rest->size(), 13);
  EXPECT_EQ(rest->label(0), 0);
  std::vector<uint8_t> both = testing::read_all(*first);
  const std::vector<uint8_t> tail = testing::read_all(*rest);
  both.insert(both.end(), tail.begin(), tail.end());
  EXPECT_EQ(both, testing::read_all(source));
  verify_pack(dir / "out-first");
  verify_pack(dir / "out-rest");

  write_split_packs(source, dir / "uneven", 4);
  EXPECT_EQ(open_dataset(dir / "uneven-rest")->labels(), (std::vector<int64_t>{0, 1, 2}));
  expect_input_error("the largest class has 5 images", [&] { write_split_packs(source, dir / "none", 5); });
  EXPECT_EQ(list(dir.path()).size(), 4u);
}

TEST(Pack, SplitText) {
  EXPECT_EQ(parse_pack_split("first:500/rest"), 500);
  for (const char* wrong :
       {"", "first:/rest", "first:0/rest", "first:-1/rest", "first:5", "first:5/test", "5/rest",
        "first:5x/rest", "first:99999999999999999999/rest", "first:/rest/rest"}) {
    testing::expect_error(ErrorKind::kUsage, "first:N/rest", [&] { parse_pack_split(wrong); });
  }
}

TEST(Pack, ReplacesAPackOnly) {
  const TempDir dir;
  write_pack(SyntheticDataset(10, 2), dir / "out");
  write_pack(SyntheticDataset(20, 2), dir / "out");
  EXPECT_EQ(open_dataset(dir / "out")->size(), 20);
  EXPECT_EQ(list(dir.path()), std::vector<std::string>{"out"});

  fs::create_directory(dir / "empty");
  write_pack(SyntheticDataset(5, 2), dir / "empty");
  EXPECT_EQ(open_dataset(dir / "empty")->size(), 5);

  const SyntheticDataset source(5, 2);
  testing::write_bytes(dir / "out/notes.txt", std::string("mine"));
  expect_input_error("holds 'notes.txt'", [&] { write_pack(source, dir / "out"); });
  testing::write_bytes(dir / "file", std::string("mine"));
  expect_input_error("no folder", [&] { write_pack(source, dir / "file"); });
  testing::write_bytes(dir / "half/images.npy", std::string("mine"));
  expect_input_error("no pack.json", [&] { write_pack(source, dir / "half"); });
  expect_input_error("no name", [&] { write_pack(source, "/"); });
  expect_input_error("no name", [&] { write_pack(source, ""); });
  testing::expect_error(ErrorKind::kFailure, "cannot create",
                        [&] { write_pack(source, dir / "missing/out"); });
  EXPECT_EQ(list(dir.path()), (std::vector<std::string>{"empty", "file", "half", "out"}));
}

TEST(Pack, APackMayReplaceItsOwnSource) {
  const TempDir dir;
  write_pack(SyntheticDataset(30, 2), dir / "out");
  const auto pack = open_dataset(dir / "out");
  write_pack(*pack, dir / "out");
  EXPECT_EQ(testing::read_all(*open_dataset(dir / "out")), testing::read_all(*pack));
}

TEST(Pack, FailureLeavesNothing) {
  const TempDir dir;
  SyntheticDataset source(200, 2);
  source.on_read = [](int64_t i) {
    if (i == 150) throw input_error("image 150 is damaged");
  };
  for (const int workers : {1, 4}) {
    expect_input_error("image 150 is damaged",
                       [&] { write_pack(source, dir / "out", {.workers = workers, .progress = {}}); });
    EXPECT_TRUE(list(dir.path()).empty());
    expect_input_error("image 150 is damaged", [&] { write_split_packs(source, dir / "out", 10); });
    EXPECT_TRUE(list(dir.path()).empty());
  }
  write_pack(SyntheticDataset(10, 2), dir / "out");
  expect_input_error("image 150 is damaged", [&] { write_pack(source, dir / "out"); });
  EXPECT_EQ(open_dataset(dir / "out")->size(), 10);
  EXPECT_EQ(list(dir.path()), std::vector<std::string>{"out"});
}

TEST(Pack, ProgressMayStopTheRun) {
  const TempDir dir;
  SyntheticDataset source(10000, 2);
  source.on_read = [](int64_t) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  testing::expect_error(ErrorKind::kFailure, "interrupted", [&] {
    write_pack(source, dir / "out",
               {.workers = 2, .progress = [](int64_t, int64_t) { throw failure("interrupted"); }});
  });
  EXPECT_TRUE(list(dir.path()).empty());
}

TEST(Pack, AKilledRunLeavesNoPackAndTheNextCleansUp) {
  const TempDir dir;
  write_pack(SyntheticDataset(10, 2), dir / "old");
  for (const std::string name : {"new", "old"}) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      SyntheticDataset slow(1000, 2);
      slow.on_read = [](int64_t) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
      try {
        write_pack(slow, dir / name, {.workers = 1, .progress = {}});
      } catch (...) {
      }
      _exit(0);
    }
    const auto writing = [&] {
      for (const std::string& entry : list(dir.path())) {
        if (entry.starts_with(name + ".tmp-") && fs::exists(dir / (entry + "/images.npy"))) return true;
      }
      return false;
    };
    for (int i = 0; i < 500 && !writing(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(writing());
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_FALSE(fs::exists(dir / "new/pack.json") && name == "new");
    EXPECT_EQ(open_dataset(dir / "old")->size(), 10);
    write_pack(SyntheticDataset(10, 2), dir / name);
    EXPECT_FALSE(writing());
  }
  EXPECT_EQ(list(dir.path()), (std::vector<std::string>{"new", "old"}));
}

TEST(Pack, ReadIsThreadSafe) {
  const TempDir dir;
  write_pack(SyntheticDataset(500, 2), dir / "out");
  const auto pack = open_dataset(dir / "out", {.geometry = {}, .bgr = true});
  const std::vector<uint8_t> expected = testing::read_all(*pack);
  std::vector<uint8_t> parallel(expected.size());
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 5; ++t) {
    threads.emplace_back(
        [&, t] { pack->read(t * 100, 100, parallel.data() + t * 100 * pack->image_bytes()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(parallel, expected);
}

}  // namespace
}  // namespace xdn
