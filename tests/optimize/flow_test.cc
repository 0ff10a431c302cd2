// The flow with stages that write a few bytes: decisions, the deadline, and kills at every moment.

#include "optimize/flow.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "base/error.h"
#include "support/shared_data.h"

namespace xdn::optimize {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

struct Killed {};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A world in which a model is a text: what was done to it. Pruned to a share s it keeps
/// accuracy(s), and runs 1 / s times as fast; in 8 bits it is four times as fast.
class World : public Work {
 public:
  explicit World(std::string folder) : folder_(std::move(folder)) {}

  // What is so.
  double original_accuracy = 0.80, least = 0.05, quantized_loss = 0.001, qat_loss = 0;
  std::function<double(double)> accuracy = [](double share) { return 0.80 + 0.02 * std::log(share / 0.2); };
  double quantized_speed = 4, image_seconds = 1e-3, epoch_seconds_per_share = 100;
  bool quantize_gives_up = false, tune_refused = false;
  // What happens.
  int kill_at = -1;
  double now = 0;
  // What happened.
  std::map<std::string, int> made;
  std::vector<std::string> done_lines, notes;
  std::vector<std::pair<double, int64_t>> trainings;

  Clock clock() {
    return [this] { return now; };
  }

  Made make(const Job& job) override {
    tick();
    Made result = work(job);
    tick();
    if (!result.stopped && result.refused.empty()) ++made[job.folder];
    return result;
  }

  Measured measure(const std::string& model) override {
    tick();
    now += 5;
    if (model.empty()) return {original_accuracy, image_seconds, 1, 100};
    const std::string text = read(folder_ + "/" + model);
    Measured m{original_accuracy, 0, 1, 100};
    double share = 1;
    const size_t at = text.find("prune ");
    if (at != std::string::npos) {
      share = std::stod(text.substr(at + 6));
      m.accuracy = accuracy(share);
    }
    m.speed = 1 / share;
    if (text.find("int8") != std::string::npos) {
      m.speed *= quantized_speed;
      m.accuracy -= text.find("qat") != std::string::npos ? qat_loss : quantized_loss;
    }
    m.seconds = image_seconds / m.speed;
    return m;
  }

  void begin(const std::string&, const std::string&) override {}
  void done(const Step& step) override { done_lines.push_back(step.name + (step.kept ? " kept" : " not")); }
  void note(const std::string& text) override { notes.push_back(text); }

 private:
  void tick() {
    if (ticks_++ == kill_at) throw Killed{};
  }
  void write(const std::string& file, const std::string& text) const {
    std::ofstream(folder_ + "/" + file, std::ios::binary) << text;
  }

  Made work(const Job& job) {
    Made result;
    const std::string model = job.folder + "/model";
    const std::string before = job.model.empty() ? "model;" : read(folder_ + "/" + job.model);
    const auto write_model = [&](const std::string& text) {
      write(model, text.substr(0, text.size() / 2));
      tick();  // killed here, half a file is left: the journal knows nothing of it
      write(model, text);
      result.model = model;
      result.files = {model};
    };
    switch (job.stage) {
      case Stage::kBaseline:
        result.details = {{"val", 5000}, {"test", 5000}, {"train", 50000}, {"calibration", 1000}};
        break;
      case Stage::kTable:
        now += 10;
        result.details = {{"seconds", image_seconds / quantized_speed}, {"least", least}};
        break;
      case Stage::kPrune:
        return prune(job);
      case Stage::kFuse:
        write_model(before + "fuse;");
        break;
      case Stage::kQuantize:
        now += 20;
        write_model(before + (quantize_gives_up ? "" : "int8;"));
        result.details["unchanged"] = quantize_gives_up;
        break;
      case Stage::kQat:
        write_model(before + "int8;qat;");
        break;
      case Stage::kModel:
        write("model.onnx", before);
        result.files = {"model.onnx"};
        break;
      case Stage::kTune:
        now += job.seconds;
        if (tune_refused) result.refused = "no such verb";
        break;
      case Stage::kTest:
      case Stage::kReport:
        now += 10;
        break;
    }
    return result;
  }

  /// A training that can be watched epoch by epoch.
  Made prune(const Job& job) {
    Made result;
    trainings.emplace_back(job.share, job.epochs);
    const double start = now, epoch = epoch_seconds_per_share * job.share;
    for (int64_t e = 1; e <= job.epochs; ++e) {
      if (now + epoch > start + job.seconds) {
        now = start + job.seconds;
        result.stopped = true;
        return result;
      }
      now += epoch;
      result.epochs_done = e;
      result.epoch_seconds = now - start;
      if (e == 1) tick();
      if (e < job.epochs && job.too_slow && job.too_slow(e, now - start)) {
        result.stopped = true;
        return result;
      }
    }
    result.model = job.folder + "/model";
    result.files = {result.model};
    write(result.model, fmt::format("model;prune {};{} epochs;", job.share, job.epochs));
    return result;
  }

  const std::string folder_;
  int ticks_ = 0;
};

class FlowTest : public ::testing::Test {
 protected:
  std::string folder() const { return dir_ / name_; }
  Outcome run(World& world) {
    fs::create_directories(folder());
    Journal journal(folder() + "/journal.jsonl", {{"version", 1}});
    return Flow(request_, folder(), journal, world, world.clock()).run();
  }
  std::string result() const { return read(folder() + "/model.onnx"); }

  testing::TempDir dir_;
  std::string name_ = "out";
  Request request_;
};

TEST_F(FlowTest, TheFastestAboveTheFloor) {
  World world(folder());
  const Outcome outcome = run(world);
  // 0.25 is good and 0.16 is not; their middle 0.2 has just the original's accuracy.
  ASSERT_EQ(world.trainings.size(), 3u);
  EXPECT_NEAR(world.trainings[2].first, 0.2, 1e-9);
  EXPECT_TRUE(outcome.met);
  EXPECT_GE(outcome.best.accuracy, outcome.floor - 1e-9);
  EXPECT_THAT(result(), HasSubstr("int8"));
  EXPECT_GT(outcome.best.speed, 14);
  EXPECT_TRUE(world.notes.empty());
}

TEST_F(FlowTest, EightBitsThatCostTooMuchAreTrained) {
  World world(folder());
  world.quantized_loss = 0.05;
  const Outcome outcome = run(world);
  EXPECT_THAT(result(), HasSubstr("int8;qat"));
  EXPECT_GE(outcome.best.accuracy, outcome.floor - 1e-9);
  name_ = "second";
  World second(folder());
  second.quantize_gives_up = true;
  run(second);
  EXPECT_THAT(result(), HasSubstr("int8;qat"));
}

TEST_F(FlowTest, NothingBelowTheFloorIsReturned) {
  World world(folder());
  world.quantized_loss = world.qat_loss = 0.05;
  world.accuracy = [](double) { return 0.5; };
  const Outcome outcome = run(world);
  EXPECT_TRUE(outcome.met);
  EXPECT_EQ(outcome.best.accuracy, 0.80);
  EXPECT_EQ(result(), "model;fuse;");
  for (const Step& step : outcome.steps) {
    if (step.stage == Stage::kPrune || step.stage == Stage::kQuantize) {
      EXPECT_FALSE(step.kept);
      EXPECT_THAT(step.why, HasSubstr("below the floor"));
    }
  }
}

TEST(Decisions, TheFloor) {
  Request request;
  EXPECT_DOUBLE_EQ(accuracy_floor(request, 0.8), 0.8);
  request.max_drop = 0.5;
  EXPECT_DOUBLE_EQ(accuracy_floor(request, 0.8), 0.795);
  request.max_drop = 100;
  EXPECT_EQ(accuracy_floor(request, 0.8), 0);
  request.min_accuracy = 0.7;
  EXPECT_EQ(accuracy_floor(request, 0.8), 0.7);
  request.target_share = 0.5;
  EXPECT_LT(accuracy_floor(request, 0.8), 0);
}

TEST(Decisions, WhatReplacesTheBest) {
  const Measured best{0.8, 1e-3, 2, 100};
  EXPECT_EQ(refusal({0.8, 0, 4, 1}, best, true, 0.8, 0.03), "");
  EXPECT_EQ(refusal({0.8, 0, 1.95, 1}, best, true, 0.8, 0.03), "") << "within the noise";
  EXPECT_THAT(refusal({0.7999, 0, 4, 1}, best, true, 0.8, 0.03),
              HasSubstr("79.99 % is below the floor of 80 %"));
  EXPECT_THAT(refusal({0.8, 0, 1.9, 1}, best, true, 0.8, 0.03), HasSubstr("slower than the best so far"));
  EXPECT_THAT(refusal({0.8, 0, 0.9, 1}, best, false, 0.8, 0.03),
              HasSubstr("0.90 times the original's speed"));
  EXPECT_EQ(refusal({0.8, 0, 1.9, 1}, best, false, 0.8, 0.03), "") << "the best is below the floor";
}

TEST_F(FlowTest, NothingSlowerIsReturned) {
  World world(folder());
  world.quantized_speed = 0.5;
  request_.train = false;
  const Outcome outcome = run(world);
  EXPECT_EQ(result(), "model;fuse;");
  EXPECT_EQ(outcome.best.speed, 1);
}

TEST_F(FlowTest, AFloorAboveTheOriginal) {
  request_.min_accuracy = 0.815;
  World world(folder());
  // Pruned mildly it is reached: 0.2 * exp(0.75) = 0.42.
  const Outcome reached = run(world);
  EXPECT_TRUE(reached.met);
  EXPECT_GE(reached.best.accuracy, 0.815 - 1e-9);
  request_.min_accuracy = 0.95;
  name_ = "second";
  World second(folder());
  const Outcome outcome = run(second);
  EXPECT_FALSE(outcome.met);
  EXPECT_FALSE(fs::exists(folder() + "/model.onnx"));
  for (const Step& step : outcome.steps) EXPECT_FALSE(step.kept && step.measured) << step.name;
}

TEST_F(FlowTest, ATimeIsOneTraining) {
  request_.target_share = 0.05;
  World world(folder());
  const Outcome outcome = run(world);
  ASSERT_EQ(world.trainings.size(), 1u);
  EXPECT_NEAR(world.trainings[0].first, 0.2, 1e-9) << "8 bits bring the other factor of four";
  EXPECT_TRUE(outcome.in_time);
  name_ = "second";
  request_.target_share = 0.3;
  World second(folder());
  run(second);
  EXPECT_TRUE(second.trainings.empty()) << "8 bits alone are enough";
  name_ = "third";
  request_.target_share = 0.005;
  World third(folder());
  try {
    run(third);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("0.0125 ms can be reached"));
  }
  EXPECT_TRUE(third.trainings.empty());
}

TEST_F(FlowTest, WhatIsLeftOutIsSaidAndTriedAgain) {
  World world(folder());
  world.tune_refused = true;
  run(world);
  ASSERT_EQ(world.notes.size(), 1u);
  EXPECT_THAT(world.notes[0], HasSubstr("-tune is left out: no such verb"));
  World again(folder());
  run(again);
  EXPECT_EQ(again.made.size(), 1u);
  EXPECT_EQ(again.made.begin()->first, "stages/10-tune");
}

TEST_F(FlowTest, TheDeadlineIsKept) {
  // Epochs that take much longer than was estimated, about as long, and next to nothing.
  for (const double per_share : {20.0, 300.0, 4000.0, 40000.0}) {
    for (const double deadline : {120.0, 400.0, 2000.0, 20000.0}) {
      name_ = fmt::format("{}-{}", per_share, deadline);
      request_.deadline = deadline;
      World world(folder());
      world.epoch_seconds_per_share = per_share;
      world.quantized_loss = 0;
      const Outcome outcome = run(world);
      EXPECT_LE(world.now, 1.05 * deadline) << name_;
      EXPECT_TRUE(outcome.met);
      EXPECT_TRUE(fs::exists(folder() + "/model.onnx")) << name_;
      EXPECT_THAT(result(), HasSubstr("int8")) << name_;
    }
  }
}

TEST_F(FlowTest, EpochsFollowFromWhatTheFirstOneTook) {
  request_.deadline = 2000;
  World world(folder());
  world.epoch_seconds_per_share = 1500;  // 375 s an epoch: estimated at 138
  const Outcome outcome = run(world);
  ASSERT_GE(world.trainings.size(), 2u);
  EXPECT_EQ(world.trainings[0].first, world.trainings[1].first);
  EXPECT_LT(world.trainings[1].second, world.trainings[0].second);
  EXPECT_THAT(result(), HasSubstr("prune"));
}

/// At every moment: before, within and behind every stage and measurement.
TEST_F(FlowTest, KilledAtAnyMomentItEndsInTheSameModel) {
  for (const bool deadline : {false, true}) {
    if (deadline) request_.deadline = 1e6;
    name_ = fmt::format("straight-{}", deadline);
    World straight(folder());
    straight.quantized_loss = 0.05;  // with training in 8 bits
    const Outcome expected = run(straight);
    const std::string bytes = result();
    int kills = 0;
    for (bool killed = true; killed; ++kills) {
      name_ = fmt::format("killed-{}-{}", deadline, kills);
      World first(folder());
      first.quantized_loss = 0.05;
      first.kill_at = kills;
      killed = false;
      try {
        run(first);
      } catch (const Killed&) {
        killed = true;
      }
      World second(folder());
      second.quantized_loss = 0.05;
      const Outcome outcome = run(second);
      EXPECT_EQ(result(), bytes) << kills;
      EXPECT_EQ(outcome.best.accuracy, expected.best.accuracy);
      EXPECT_EQ(outcome.best_name, expected.best_name);
      EXPECT_EQ(outcome.steps.size(), expected.steps.size());
      // A stage is done twice only where it had not been finished when the kill came.
      int twice = 0;
      for (const auto& [stage, times] : first.made) twice += second.made.count(stage) > 0 ? 1 : 0;
      EXPECT_LE(twice, 1) << kills;
    }
    EXPECT_GT(kills, 25);
  }
}

TEST_F(FlowTest, KilledAgainAndAgain) {
  World straight(folder());
  run(straight);
  const std::string bytes = result();
  name_ = "killed";
  int runs = 0;
  for (bool killed = true; killed; ++runs) {
    World world(folder());
    world.kill_at = 5;  // a stage and a bit further each time
    killed = false;
    try {
      run(world);
    } catch (const Killed&) {
      killed = true;
    }
    ASSERT_LT(runs, 100);
  }
  EXPECT_GT(runs, 4);
  EXPECT_EQ(result(), bytes);
}

}  // namespace
}  // namespace xdn::optimize
