#include "training/trainer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/shared_data.h"
#include "training/checkpoint.h"
#include "training/training_support.h"

namespace xdn::testing {
namespace {

using training::Teacher;
using training::TrainData;
using training::TrainObserver;
using training::TrainOptions;
using training::TrainResult;

class Training : public ::testing::Test {
 protected:
  TrainResult run(const TrainOptions& options, const TrainObserver& observer = {},
                  const std::optional<Teacher>& teacher = std::nullopt) {
    return train(tiny_net(), some_preprocess(), data_, teacher, options, observer);
  }
  TempDir dir_;
  Colors train_{192, 1}, val_{96, 2}, test_{96, 3};
  TrainData data_{train_.set(), val_.set(), test_.set()};
};

TEST_F(Training, LearnsAndWritesItsLog) {
  TrainOptions options = tiny_options(dir_ / "run");
  options.augmentation = {};
  int64_t batches = 0;
  TrainObserver observer;
  observer.on_batch = [&](const training::BatchReport& report) {
    ++batches;
    EXPECT_EQ(report.images, batches * 16);
    EXPECT_EQ(report.images_in_all, 4 * 192);
  };
  const TrainResult result = run(options, observer);
  EXPECT_EQ(batches, 4 * 12);
  EXPECT_EQ(result.epochs, 4);
  const auto log = log_of(dir_ / "run");
  ASSERT_EQ(log.size(), 6u);
  EXPECT_EQ(log[0].at("settings").at("batch"), 16);
  EXPECT_EQ(log[4].at("epoch"), 4);
  EXPECT_LT(log[4].at("train_loss").get<double>(), 0.7 * log[1].at("train_loss").get<double>());
  ASSERT_TRUE(result.val_accuracy && result.test_accuracy);
  EXPECT_GT(*result.test_accuracy, 0.8);
  double best = 0;
  for (size_t i = 1; i <= 4; ++i) best = std::max(best, log[i].at("val_accuracy").get<double>());
  EXPECT_EQ(*result.val_accuracy, best);
  EXPECT_EQ(log[static_cast<size_t>(result.best_epoch)].at("val_accuracy").get<double>(), best);
  EXPECT_EQ(log[5].at("test_accuracy").get<double>(), *result.test_accuracy);
  // The graph that comes back is the one that was judged.
  EXPECT_EQ(accuracy_of(result.graph, some_preprocess(), val_.set()), best);
  verify(result.graph);
}

class Resuming : public Training, public ::testing::WithParamInterface<bool> {};

TEST_P(Resuming, IsAsUninterrupted) {
  TrainOptions options = tiny_options(dir_ / "straight");
  options.bf16 = GetParam();
  const TrainResult straight = run(options);
  TrainObserver stop;
  stop.on_epoch = [](const training::EpochReport& report) {
    if (report.epoch == 2) throw Stopped();
  };
  options.run_folder = dir_ / "parts";
  EXPECT_THROW(run(options, stop), Stopped);
  // In the middle of the third: it begins anew.
  stop = {};
  stop.on_batch = [](const training::BatchReport& report) {
    if (report.epoch == 3 && report.images > 2 * 192 + 50) throw Stopped();
  };
  options.resume = true;
  EXPECT_THROW(run(options, stop), Stopped);
  const TrainResult resumed = run(options);
  EXPECT_EQ(resumed.resumed_from, 2);
  EXPECT_EQ(weights_of(resumed.graph), weights_of(straight.graph));
  EXPECT_EQ(resumed.best_epoch, straight.best_epoch);
  EXPECT_EQ(resumed.test_accuracy, straight.test_accuracy);
  const auto a = log_of(dir_ / "parts"), b = log_of(dir_ / "straight");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 1; i <= 4; ++i) EXPECT_EQ(a[i].at("train_loss"), b[i].at("train_loss"));
  // Once more: nothing is left to do, and the result is the same.
  const TrainResult again = run(options);
  EXPECT_EQ(again.resumed_from, 4);
  EXPECT_EQ(weights_of(again.graph), weights_of(straight.graph));
}
INSTANTIATE_TEST_SUITE_P(Precisions, Resuming, ::testing::Bool(),
                         [](const auto& chosen) { return chosen.param ? "bf16" : "fp32"; });

TEST_F(Training, OtherSeedsGiveOtherWeights) {
  TrainOptions options = tiny_options(dir_ / "a");
  options.epochs = 1;
  const std::string first = weights_of(run(options).graph);
  options.run_folder = dir_ / "b";
  EXPECT_EQ(weights_of(run(options).graph), first);
  options.run_folder = dir_ / "c";
  options.seed = 1;
  EXPECT_NE(weights_of(run(options).graph), first);
}

TEST_F(Training, ResumingWithOtherSettingsIsRefused) {
  TrainOptions options = tiny_options(dir_ / "run");
  options.epochs = 1;
  (void)run(options);
  EXPECT_EQ(error_of([&] { run(options); }),
            "holds a run already: --resume continues it, --run DIR begins another");
  options.resume = true;
  options.rate = 0.25;
  EXPECT_EQ(error_of([&] { run(options); }),
            "is of a run with lr 0.05, not 0.25: --resume continues it with its own settings");
  options.rate = 0.05;
  options.reestimate = 100;
  EXPECT_EQ(error_of([&] { run(options); }),
            "is of a run with reestimate-bn none, not 100: --resume continues it with its own settings");
  options.run_folder = dir_ / "anew";
  (void)run(options);
  options.reestimate = 0;
  EXPECT_EQ(error_of([&] { run(options); }),
            "is of a run with reestimate-bn 100, not none: --resume continues it with its own settings");
  options.reestimate = 100;
  Preprocess other = some_preprocess();
  other.bgr = true;
  EXPECT_NE(error_of([&] {
              train(tiny_net(), other, data_, std::nullopt, options);
            }).find("is of a run with preprocess "),
            std::string::npos);
}

TEST_F(Training, ScalesOfAFloatModelAreNotLearned) {
  TrainOptions options = tiny_options(dir_ / "run");
  options.learn_scales = true;
  EXPECT_EQ(error_of([&] { run(options); }, ErrorKind::kUsage),
            "is not quantized: --learn-scales has no scales to learn");
}

TEST_F(Training, DamagedCheckpointsAreRefused) {
  TrainOptions options = tiny_options(dir_ / "run");
  options.epochs = 1;
  (void)run(options);
  options.resume = true;
  const std::string path = options.run_folder + "/checkpoint.xdn";
  // A sound file of the right settings that lacks a tensor.
  training::Checkpoint checkpoint = training::read_checkpoint(path);
  checkpoint.tensors.erase("momentum/conv1.weight");
  training::write_checkpoint(checkpoint, path);
  EXPECT_EQ(error_of([&] { run(options); }), "lacks a tensor momentum/conv1.weight of shape [16,3,3,3]");
  checkpoint.state = R"({"settings":7})";
  training::write_checkpoint(checkpoint, path);
  EXPECT_NE(error_of([&] { run(options); }), "no error");
  std::filesystem::resize_file(path, 1000);
  EXPECT_EQ(error_of([&] { run(options); }), "is cut short or damaged: its SHA-256 does not match");
}

TEST_F(Training, ALossThatIsNotFiniteStopsTheRunAndKeepsTheCheckpoint) {
  TrainOptions options = tiny_options(dir_ / "run");
  options.rate = 1e25;
  options.warmup = 0;
  const std::string message = error_of([&] { run(options); }, ErrorKind::kFailure);
  EXPECT_NE(message.find("not finite in epoch 1"), std::string::npos) << message;
  EXPECT_NE(message.find("there is no checkpoint yet"), std::string::npos) << message;

  options = tiny_options(dir_ / "later");
  TrainObserver stop;
  stop.on_epoch = [](const training::EpochReport&) { throw Stopped(); };
  EXPECT_THROW(run(options, stop), Stopped);
  const std::string path = options.run_folder + "/checkpoint.xdn";
  training::Checkpoint checkpoint = training::read_checkpoint(path);
  checkpoint.tensors.at("weights/fc.bias").mutable_data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  training::write_checkpoint(checkpoint, path);
  const std::string before = read_file(path);
  options.resume = true;
  const std::string later = error_of([&] { run(options); }, ErrorKind::kFailure);
  EXPECT_NE(later.find("epoch 2, step 1: the checkpoint of epoch 1 is kept"), std::string::npos) << later;
  EXPECT_EQ(read_file(path), before);
}

TEST_F(Training, ATeacherPassesItsPredictionsOn) {
  TrainOptions options = tiny_options(dir_ / "teacher");
  const Teacher teacher{run(options).graph, some_preprocess()};
  // The student sees wrong labels only; what it learns of the right ones, the teacher has told it.
  std::vector<int64_t> wrong = train_.labels;
  for (int64_t& label : wrong) label = (label + 1) % 3;
  data_.train.labels = wrong;
  options.run_folder = dir_ / "student";
  options.alpha = 1;
  options.feature_weight = 0.1;
  const TrainResult taught = run(options, {}, teacher);
  EXPECT_GT(*taught.test_accuracy, 0.8);
  options.run_folder = dir_ / "alone";
  EXPECT_LT(*run(options).test_accuracy, 0.4);
}

/// The same teacher, but told of its images in BGR and in other units, gives the same student.
TEST_F(Training, ATeachersOwnPreprocessingIsRespected) {
  TrainOptions options = tiny_options(dir_ / "teacher");
  options.epochs = 1;
  Graph graph = run(options).graph;
  options.run_folder = dir_ / "a";
  options.batch = 192;  // one step: the loss before anything was learned
  const double expected = run(options, {}, Teacher{graph, some_preprocess()}).last_loss;
  Preprocess other = some_preprocess();
  other.bgr = true;
  other.scale = 1;
  other.mean = {102, 102, 102};
  other.std = {63.75f, 63.75f, 63.75f};
  const ValueId w = *graph.find_value("conv1.weight");
  Tensor swapped = graph.constant(w);
  const auto from = graph.constant(w).data<float>();
  const auto to = swapped.mutable_data<float>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = from[i / 27 * 27 + (2 - i / 9 % 3) * 9 + i % 9];
  graph.value(w).constant = swapped;
  options.run_folder = dir_ / "b";
  EXPECT_NEAR(run(options, {}, Teacher{graph, other}).last_loss, expected, 1e-4);
  options.run_folder = dir_ / "c";
  EXPECT_GT(std::abs(run(options, {}, Teacher{graph, some_preprocess()}).last_loss - expected), 1e-2);
}

TEST_F(Training, StatisticsAreTakenAnewWhereTheyAreNoWorse) {
  TrainOptions options = tiny_options(dir_ / "run");
  options.reestimate = 100;
  const TrainResult result = run(options);
  ASSERT_TRUE(result.reestimated.has_value());
  EXPECT_EQ(accuracy_of(result.graph, some_preprocess(), val_.set()), *result.val_accuracy);
  data_.val.reset();
  options.run_folder = dir_ / "other";
  const TrainResult unselected = run(options);
  EXPECT_EQ(unselected.best_epoch, 0);
  EXPECT_EQ(unselected.reestimated, true);
  options.run_folder = dir_ / "without";
  options.reestimate = 0;
  const Graph plain = run(options).graph;
  const auto mean = [](const Graph& graph) {
    return graph.constant(*graph.find_value("conv1.bn.running_mean"));
  };
  const Tensor a = mean(unselected.graph), b = mean(plain);
  EXPECT_FALSE(std::equal(a.data<float>().begin(), a.data<float>().end(), b.data<float>().begin()));
  const auto conv = [](const Graph& graph) { return graph.constant(*graph.find_value("conv1.weight")); };
  const Tensor c = conv(unselected.graph), d = conv(plain);
  EXPECT_TRUE(std::equal(c.data<float>().begin(), c.data<float>().end(), d.data<float>().begin()));
}

TEST_F(Training, Bf16Learns) {
  TrainOptions options = tiny_options(dir_ / "run");
  options.bf16 = true;
  options.schedule = training::ScheduleKind::kOneCycle;
  EXPECT_GT(*run(options).test_accuracy, 0.8);
}

TEST_F(Training, WhatDoesNotFitIsRefusedBeforeAnythingIsWritten) {
  TrainOptions options = tiny_options(dir_ / "run");
  std::vector<int64_t> labels = train_.labels;
  labels[5] = 3;
  data_.train.labels = labels;
  EXPECT_EQ(error_of([&] { run(options); }), "has 3 outputs, but a training image has the label 3");
  data_.train = train_.set();
  data_.train.width = 16;
  data_.train.height = 4;
  EXPECT_EQ(error_of([&] { run(options); }), "takes [N,3,8,8], the training images are [N,3,4,16]");
  data_.train = {train_.pixels.data(), {}, 8, 8};
  EXPECT_EQ(error_of([&] { run(options); }), "there are no training images");
  data_.train = train_.set();
  options.batch = 1;
  EXPECT_EQ(error_of([&] { run(options); }), "has BatchNorms, which need batches of at least 2 images");
  options.batch = 16;
  options.feature_weight = 1;
  const Teacher wide{training::build_architecture("resnet18", {.classes = 3, .size = 8}), some_preprocess()};
  EXPECT_EQ(error_of([&] { run(options, {}, wide); }),
            "the teacher has 512 features before its last layer, the model 64: these cannot be compared");
  const Teacher other{training::build_architecture("resnet20", {.classes = 4, .size = 8}), some_preprocess()};
  EXPECT_EQ(error_of([&] { run(options, {}, other); }), "the teacher has 4 outputs, the model 3");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "run"));
}

}  // namespace
}  // namespace xdn::testing
