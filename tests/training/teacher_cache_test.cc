#include "training/teacher_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "support/shared_data.h"
#include "training/training_support.h"

namespace xdn::testing {
namespace {

namespace fs = std::filesystem;

using training::Teacher;
using training::TeacherCache;
using training::TrainData;
using training::TrainObserver;
using training::TrainOptions;
using training::TrainResult;

const std::string kDigest(32, 'a');

TEST(TeacherCache, GivesBackWhatWasPut) {
  const TempDir dir;
  const std::vector<int64_t> some{3, 0}, all{0, 1, 2, 3};
  const std::vector<float> logits{1, 2, 3, -4, 5e-40f, 6};
  TeacherCache cache(dir / "cache", kDigest, 4, 3);
  cache.start(7);
  EXPECT_FALSE(cache.has(some));
  cache.put(some, logits.data());
  cache.save();
  EXPECT_EQ(cache.file(), dir / "cache/" + kDigest + "/epoch-0007");

  TeacherCache other(dir / "cache", kDigest, 4, 3);
  other.start(8);
  EXPECT_FALSE(other.has(some));
  other.start(7);
  EXPECT_TRUE(other.has(some));
  EXPECT_FALSE(other.has(all));
  std::vector<float> got(6);
  other.get(some, got.data());
  EXPECT_EQ(got, logits);
  // The rest comes later; what is there stays.
  std::vector<float> more(12);
  std::iota(more.begin(), more.end(), 10.0f);
  other.put(all, more.data());
  other.save();
  cache.start(8);
  cache.start(7);
  std::vector<float> four(12);
  cache.get(all, four.data());
  EXPECT_EQ(four, (std::vector<float>{-4, 5e-40f, 6, 13, 14, 15, 16, 17, 18, 1, 2, 3}));
}

TEST(TeacherCache, WhatIsNotSoundCountsAsNone) {
  const TempDir dir;
  const std::vector<int64_t> one{1};
  const float logits[] = {1, 2, 3};
  const auto stored = [&](const std::string& digest, int64_t images, int64_t classes) {
    TeacherCache cache(dir.path().string(), digest, images, classes);
    cache.start(0);
    return cache.has(one);
  };
  TeacherCache cache(dir.path().string(), kDigest, 4, 3);
  cache.start(0);
  cache.put(one, logits);
  cache.save();
  EXPECT_TRUE(stored(kDigest, 4, 3));
  EXPECT_FALSE(stored(kDigest, 3, 4));
  const std::string other(32, 'b'), sound = read_file(cache.file());
  fs::create_directories(dir / other);
  fs::copy_file(cache.file(), dir / other + "/epoch-0000");
  EXPECT_FALSE(stored(other, 4, 3));
  fs::copy_file(cache.file(), dir / kDigest + "/epoch-0001");
  cache.start(1);
  EXPECT_FALSE(cache.has(one));
  for (size_t at = 0; at < sound.size(); ++at) {
    std::string bad = sound;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    AtomicFile file(dir / kDigest + "/epoch-0000");
    file.write(bad);
    file.commit();
    EXPECT_FALSE(stored(kDigest, 4, 3)) << "byte " << at;
  }
  fs::resize_file(dir / kDigest + "/epoch-0000", 0);
  EXPECT_FALSE(stored(kDigest, 4, 3));
}

TEST(TeacherCache, FoldersThatCannotBeAreRefused) {
  const TempDir dir;
  AtomicFile file(dir / "file");
  file.commit();
  EXPECT_NE(error_of([&] { TeacherCache(dir / "file", kDigest, 4, 3); }).find("cannot create"),
            std::string::npos);
}

class CachedTeacher : public ::testing::Test {
 protected:
  CachedTeacher() {
    // 200 images in batches of 16: 8 sit out.
    data_.val.reset();
    teacher_ = {training::build_architecture("resnet20", {.classes = 3, .size = 8, .seed = 5}),
                some_preprocess()};
  }
  TrainOptions options(const std::string& run, const std::string& cache = "") {
    TrainOptions o = tiny_options(dir_ / run);
    o.epochs = 3;
    o.teacher_cache = cache.empty() ? "" : dir_ / cache;
    return o;
  }
  TrainResult run(const TrainOptions& o, const TrainObserver& observer = {}) {
    return train(tiny_net(), some_preprocess(), data_, teacher_, o, observer);
  }
  std::string file(const std::string& cache, const TrainOptions& o, const std::string& epoch) {
    return dir_ / cache + "/" + training::teacher_digest(teacher_, some_preprocess(), data_.train, o) +
           "/epoch-" + epoch;
  }
  /// A sound file that says the same of every image, in the place of what is there.
  void write_zeros(const std::string& cache, const TrainOptions& o, const std::string& epoch) {
    fs::remove(file(cache, o, epoch));
    TeacherCache zeros(dir_ / cache, training::teacher_digest(teacher_, some_preprocess(), data_.train, o),
                       data_.train.size(), 3);
    zeros.start(std::stoll(epoch));
    std::vector<int64_t> all(static_cast<size_t>(data_.train.size()));
    std::iota(all.begin(), all.end(), 0);
    zeros.put(all, std::vector<float>(all.size() * 3).data());
    zeros.save();
  }
  TempDir dir_;
  Colors train_{200, 1};
  TrainData data_{train_.set(), std::nullopt, std::nullopt};
  Teacher teacher_;
};

TEST_F(CachedTeacher, GivesTheSameBits) {
  const std::string plain = weights_of(run(options("plain")).graph);
  EXPECT_EQ(weights_of(run(options("first", "cache")).graph), plain);
  for (const char* epoch : {"0000", "0001", "0002"})
    EXPECT_TRUE(fs::exists(file("cache", options(""), epoch))) << epoch;
  const std::string before = read_file(file("cache", options(""), "0001"));
  EXPECT_EQ(weights_of(run(options("second", "cache")).graph), plain);
  EXPECT_EQ(read_file(file("cache", options(""), "0001")), before);
  // It is read: what it says is believed.
  write_zeros("cache", options(""), "0001");
  EXPECT_NE(weights_of(run(options("third", "cache")).graph), plain);
}

TEST_F(CachedTeacher, DamagedFilesAreWrittenAnew) {
  const std::string plain = weights_of(run(options("first", "cache")).graph);
  const std::string path = file("cache", options(""), "0001"), sound = read_file(path);
  fs::resize_file(path, 1000);
  EXPECT_EQ(weights_of(run(options("second", "cache")).graph), plain);
  EXPECT_EQ(read_file(path), sound);
}

/// What stops a run between an epoch and its checkpoint does not cost the teacher's work.
TEST_F(CachedTeacher, IsKeptBeforeTheCheckpoint) {
  TrainOptions o = options("run", "cache");
  TrainObserver observer;
  observer.on_batch = [&](const training::BatchReport& report) {
    if (report.images == 192) fs::create_directory(o.run_folder + "/checkpoint.xdn");
  };
  EXPECT_THROW(run(o, observer), Error);
  EXPECT_TRUE(fs::exists(file("cache", o, "0000")));
}

TEST_F(CachedTeacher, ResumesToTheSameBits) {
  const std::string plain = weights_of(run(options("plain")).graph);
  TrainObserver stop;
  stop.on_batch = [](const training::BatchReport& report) {
    if (report.epoch == 2 && report.images > 192 + 50) throw Stopped();
  };
  TrainOptions parts = options("parts", "cache");
  EXPECT_THROW(run(parts, stop), Stopped);
  EXPECT_TRUE(fs::exists(file("cache", parts, "0000")));
  EXPECT_FALSE(fs::exists(file("cache", parts, "0001"))) << "the epoch was not complete";
  parts.resume = true;
  parts.teacher_cache = dir_ / "elsewhere";  // no setting that resuming compares
  const TrainResult resumed = run(parts);
  EXPECT_EQ(resumed.resumed_from, 1);
  EXPECT_EQ(weights_of(resumed.graph), plain);
}

/// Two augmentations serve three epochs; images that sat out an epoch are added by the next that shows them.
TEST_F(CachedTeacher, AugmentationsThatRepeatNeedTheTeacherOnce) {
  TrainOptions repeating = options("repeating", "cache");
  repeating.augment_epochs = 1;
  const std::string weights = weights_of(run(repeating).graph);
  EXPECT_TRUE(fs::exists(file("cache", repeating, "0000")));
  EXPECT_FALSE(fs::exists(file("cache", repeating, "0001")));
  TeacherCache cache(dir_ / "cache",
                     training::teacher_digest(teacher_, some_preprocess(), data_.train, repeating), 200, 3);
  cache.start(0);
  int64_t present = 0;
  for (int64_t i = 0; i < 200; ++i) present += cache.has(std::vector{i}) ? 1 : 0;
  EXPECT_GT(present, 192) << "only the first epoch's images";

  TrainOptions other = options("other");
  other.augment_epochs = 2;
  EXPECT_NE(weights_of(run(other).graph), weights);
  EXPECT_NE(weights_of(run(options("all")).graph), weights);
  repeating.resume = true;
  repeating.augment_epochs = 2;
  EXPECT_EQ(error_of([&] { run(repeating); }),
            "is of a run with augment-epochs 1, not 2: --resume continues it with its own settings");
}

TEST_F(CachedTeacher, WhateverChangesLogitsChangesTheDigest) {
  const TrainOptions base = options("run");
  const auto digest = [&](const TrainOptions& o, const Preprocess& p = some_preprocess()) {
    return training::teacher_digest(teacher_, p, data_.train, o);
  };
  const std::string first = digest(base);
  TrainOptions same = base;
  same.rate = 1;
  same.temperature = 1;
  same.augment_epochs = 3;
  EXPECT_EQ(digest(same), first);
  std::vector<std::string> others;
  for (int i = 0; i < 6; ++i) {
    TrainOptions o = base;
    if (i == 0) o.seed = 1;
    if (i == 1) o.bf16 = true;
    if (i == 2) o.augmentation.crop = 2;
    if (i == 3) o.augmentation.flip = false;
    if (i == 4) o.augmentation.cutout = 3;
    if (i == 5) o.batch = 7;
    others.push_back(digest(o));
  }
  Preprocess preprocess = some_preprocess();
  preprocess.std[1] = 0.5f;
  others.push_back(digest(base, preprocess));
  teacher_.preprocess.bgr = true;
  others.push_back(digest(base));
  teacher_.preprocess.bgr = false;
  teacher_.graph.value(*teacher_.graph.find_value("conv1.weight")).constant->mutable_data<float>()[0] += 1;
  others.push_back(digest(base));
  Colors flipped = train_;
  flipped.pixels[static_cast<size_t>(data_.train.image_bytes()) + 5] ^= 1;  // of image 1
  data_.train = flipped.set();
  others.push_back(digest(base));
  const Colors more(200, 2);
  data_.train = more.set();
  others.push_back(digest(base));
  for (const std::string& other : others) EXPECT_NE(other, first);
}

}  // namespace
}  // namespace xdn::testing
