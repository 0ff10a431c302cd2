#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/dtype.h"
#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace fs = std::filesystem;

using Words = std::vector<std::string>;

/// A process that may be killed; its stderr goes to a file.
class Process {
 public:
  /// Files of more than most_bytes cannot be written, as if the disk were full.
  Process(Words words, const std::string& err, rlim_t most_bytes = RLIM_INFINITY) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    const int fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const int null = open("/dev/null", O_WRONLY);
    dup2(fd, 2);
    dup2(null, 1);
    const rlimit limit{most_bytes, most_bytes};
    std::signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) == 0) execv(argv[0], argv.data());
    _exit(122);
  }
  ~Process() { (void)wait_for_end(SIGKILL); }

  /// Sends the signal, if any; the exit code, or minus the signal that ended it.
  int wait_for_end(int signal = 0) {
    if (pid_ <= 0) return code_;
    if (signal != 0) kill(pid_, signal);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    code_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    return code_;
  }

 private:
  pid_t pid_ = 0;
  int code_ = 0;
};

class Train : public ::testing::Test {
 protected:
  void SetUp() override {
    write_color_folder(dir_ / "train", 40);
    write_color_folder(dir_ / "val", 5);
  }
  Words from_scratch(const std::string& out) {
    return {"train",
            "--arch",
            "resnet20",
            "--data",
            dir_ / "train",
            "--val",
            dir_ / "val",
            "-o",
            dir_ / out,
            "--lr",
            "0.02",
            "--epochs",
            "3",
            "--batch",
            "16",
            "--threads",
            "2",
            "--ema",
            "0.8",
            "--seed",
            "7",
            "--augment",
            "crop:1,flip,cutout:2"};
  }
  TempDir dir_;
};

TEST_F(Train, FromScratchToAModelThatXdnRuns) {
  Words words = from_scratch("net.onnx");
  words.insert(words.end(), {"--test", dir_ / "val", "--json", dir_ / "result.json"});
  const Finished finished = run_xdn(words);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("epoch 3/3  loss "));
  EXPECT_THAT(finished.out, HasSubstr("wrote " + dir_ / "net.onnx"));
  const auto result = nlohmann::json::parse(read_text(dir_ / "result.json"));
  EXPECT_EQ(result.at("verb"), "train");
  EXPECT_THAT(result.at("command").get<std::string>(), ::testing::StartsWith("xdn train --arch "));
  EXPECT_EQ(result.at("epochs"), 3);
  EXPECT_EQ(result.at("test_accuracy"), result.at("val_accuracy"));
  EXPECT_GT(result.at("images_per_second").get<double>(), 0);
  EXPECT_EQ(lines_of(read_text(dir_ / "net.run/log.jsonl")).size(), 5u);

  // The data say how images are made; the executor finds the accuracy that training found.
  const auto preprocess = nlohmann::json::parse(read_text(dir_ / "net.preprocess.json"));
  EXPECT_EQ(preprocess.at("classes"), (Words{"blue", "green", "red"}));
  EXPECT_EQ(preprocess.at("size"), (std::vector<int>{8, 8}));
  ASSERT_EQ(run_xdn({"eval", dir_ / "net.onnx", "--data", dir_ / "val", "--json", dir_ / "eval.json"}).code,
            0);
  EXPECT_EQ(nlohmann::json::parse(read_text(dir_ / "eval.json")).at("accuracy"), result.at("test_accuracy"));
}

TEST_F(Train, FineTunesAModelOfEitherFormat) {
  write_text(dir_ / "net.preprocess.json", color_preprocess());
  const std::string onnx = write_onnx(dir_.path().string());
  const CaffeFiles caffe = write_caffe(dir_.path().string());
  for (const auto& [model, out] :
       {std::pair{onnx, dir_ / "out.onnx"}, std::pair{caffe.spec(), dir_ / "c.onnx"},
        std::pair{onnx, dir_ / "o.prototxt" + ":" + (dir_ / "o.caffemodel")}}) {
    const Finished finished =
        run_xdn({"train", model, "--data", dir_ / "train", "-o", out, "--epochs", "1", "--lr", "0.001"});
    ASSERT_EQ(finished.code, 0) << finished.err;
    const Finished eval = run_xdn({"eval", out, "--data", dir_ / "val"});
    EXPECT_THAT(eval.out, HasSubstr("accuracy    1.0000")) << eval.err;
  }
  EXPECT_THAT(read_text(dir_ / "out.onnx"), HasSubstr("train x1"));
}

TEST_F(Train, KilledAtAnyMomentItResumesToTheSameFile) {
  Words words = from_scratch("straight.onnx");
  const auto at = std::find(words.begin(), words.end(), "--epochs");
  *(at + 1) = "12";
  ASSERT_EQ(run_xdn(words).code, 0);
  *std::find(words.begin(), words.end(), dir_ / "straight.onnx") = dir_ / "killed.onnx";
  words.push_back("--resume");
  Words program = words;
  program.insert(program.begin(), XDN_BINARY);
  const std::string log = dir_ / "killed.run/log.jsonl";
  size_t lines = 0;
  for (const int signal : {SIGKILL, SIGINT, SIGKILL}) {
    Process process(program, dir_ / "err");
    const size_t wanted = std::max<size_t>(lines + 2, 3);
    for (int i = 0; i < 6000 && lines < wanted; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      if (fs::exists(log)) lines = lines_of(read_text(log)).size();
    }
    ASSERT_EQ(process.wait_for_end(signal), -signal) << read_text(dir_ / "err");
    EXPECT_GE(lines, wanted);
    EXPECT_FALSE(fs::exists(dir_ / "killed.onnx"));
  }
  const Finished finished = run_xdn(words);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("resumed     after epoch"));
  EXPECT_TRUE(read_text(dir_ / "killed.onnx") == read_text(dir_ / "straight.onnx"));
}

TEST_F(Train, AFullDiskEndsTheRunWhichResumesLater) {
  Words words = from_scratch("net.onnx");
  Words program = words;
  program.insert(program.begin(), XDN_BINARY);
  EXPECT_EQ(Process(program, dir_ / "err", 100'000).wait_for_end(), 1);
  EXPECT_EQ(read_text(dir_ / "err"),
            "xdn: " + dir_ / "net.run/checkpoint.xdn" + ": cannot write: File too large\n");
  for (const auto& entry : fs::directory_iterator(dir_ / "net.run")) {
    EXPECT_THAT(entry.path().string(), ::testing::Not(HasSubstr("checkpoint"))) << "left behind";
  }
  words.push_back("--resume");
  const Finished finished = run_xdn(words);
  EXPECT_EQ(finished.code, 0) << finished.err;
}

/// Weights in half precision behind a Cast are trained like any others, and written as float32.
TEST_F(Train, Float16Weights) {
  write_text(dir_ / "net.preprocess.json", color_preprocess());
  const std::string path = write_onnx(dir_.path().string(), [](onnx::ModelProto& m) {
    auto& tensor = initializer_named(m, "conv.w");
    std::string halves;
    for (size_t i = 0; i < tensor.raw_data().size(); i += sizeof(float)) {
      float value;
      std::memcpy(&value, tensor.raw_data().data() + i, sizeof(float));
      const Half half(value);
      halves.append(reinterpret_cast<const char*>(&half), sizeof(half));
    }
    tensor.set_name("conv.w16");
    tensor.set_data_type(onnx::TensorProto::FLOAT16);
    tensor.set_raw_data(halves);
    auto* cast = m.mutable_graph()->add_node();
    cast->set_op_type("Cast");
    cast->add_input("conv.w16");
    cast->add_output("conv.w");
    auto* to = cast->add_attribute();
    to->set_name("to");
    to->set_type(onnx::AttributeProto::INT);
    to->set_i(onnx::TensorProto::FLOAT);
    auto* nodes = m.mutable_graph()->mutable_node();
    for (int k = nodes->size() - 1; k > 0; --k) nodes->SwapElements(k, k - 1);
  });
  const Finished finished = run_xdn(
      {"train", path, "--data", dir_ / "train", "-o", dir_ / "out.onnx", "--epochs", "1", "--lr", "0.01"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(run_xdn({"compare", path, dir_ / "out.onnx", "--random", "4", "--tolerance", "1"}).code, 0);
  EXPECT_EQ(run_xdn({"compare", path, dir_ / "out.onnx", "--random", "4", "--tolerance", "0"}).code, 1)
      << "the weights have not moved";
  const Finished info = run_xdn({"info", dir_ / "out.onnx", "--text"});
  EXPECT_THAT(info.out, HasSubstr("conv.w f32[3,3,3,3]"));
  EXPECT_THAT(info.out, ::testing::Not(HasSubstr("Cast")));
}

TEST_F(Train, TakesTheHalvesOfAFolder) {
  fs::create_directory(dir_ / "both");
  fs::rename(dir_ / "train", dir_ / "both/train");
  fs::rename(dir_ / "val", dir_ / "both/test");
  Words words = from_scratch("net.onnx");
  std::replace(words.begin(), words.end(), dir_ / "train", dir_ / "both");
  std::replace(words.begin(), words.end(), dir_ / "val", dir_ / "both");
  words.push_back("-v");
  const Finished finished = run_xdn(words);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("120 training images of 3 classes"));
  const auto settings =
      nlohmann::json::parse(lines_of(read_text(dir_ / "net.run/log.jsonl"))[0]).at("settings");
  EXPECT_NE(settings.at("data"), settings.at("val"));
}

TEST_F(Train, ATeacherOfAnotherFile) {
  write_text(dir_ / "net.preprocess.json", color_preprocess());
  Words words = from_scratch("student.onnx");
  words.insert(words.end(), {"--teacher", write_onnx(dir_.path().string()), "--alpha", "1"});
  const Finished finished = run_xdn(words);
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(read_text(dir_ / "student.run/log.jsonl"), HasSubstr("\"teacher\":"));
  words = from_scratch("other.onnx");
  words.insert(words.end(), {"--teacher", dir_ / "student.onnx", "--features", "1"});
  EXPECT_EQ(run_xdn(words).code, 0);
  words.back() = "1";
  words[words.size() - 3] = dir_ / "net.onnx";  // has 3 features
  words.push_back("--resume");
  const Finished refused = run_xdn(words);
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err,
              HasSubstr("net.onnx: the teacher has 3 features before its last layer, the model 64"));
}

void expect_refusal(const Words& words, const std::string& expected, int code = 2) {
  const Finished finished = run_xdn(words);
  EXPECT_EQ(finished.code, code) << finished.err;
  EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
  EXPECT_THAT(finished.err, StartsWith("xdn: "));
  EXPECT_THAT(finished.err, HasSubstr(expected));
}

TEST_F(Train, BadInputIsOneLine) {
  write_text(dir_ / "net.preprocess.json", color_preprocess());
  const std::string model = write_onnx(dir_.path().string());
  const auto refused = [&](const std::string& data, const Words& more, const std::string& expected,
                           int code = 2) {
    Words words{"train", model, "--data", data, "-o", dir_ / "out.onnx"};
    words.insert(words.end(), more.begin(), more.end());
    expect_refusal(words, expected, code);
    EXPECT_FALSE(fs::exists(dir_ / "out.onnx"));
  };
  fs::create_directory(dir_ / "empty");
  refused(dir_ / "empty", {}, "empty: ");
  fs::create_directory(dir_ / "flat");
  write_png(dir_ / "flat/a.png", 8, 8, 1, 2, 3);
  refused(dir_ / "flat", {}, "flat/a.png: stray file");
  fs::create_directory(dir_ / "two");
  for (const char* name : {"blue", "green"}) fs::copy(dir_ / "train/" + name, dir_ / "two/" + name);
  refused(dir_ / "two", {}, "two: holds 2 classes, " + model + " has 3 outputs");
  refused(dir_ / "train", {"--val", dir_ / "two"}, "two: holds 2 classes, " + dir_ / "train" + " holds 3");
  fs::rename(dir_ / "val/red", dir_ / "val/violet");
  refused(dir_ / "train", {"--val", dir_ / "val"},
          "calls class 2 'violet', " + dir_ / "train" + " calls it 'red'");
  refused(dir_ / "train", {"--arch", "resnet20"}, "expected either MODEL or --arch");
  refused(dir_ / "train", {"--features", "1"}, "--features goes with --teacher");
  refused(dir_ / "train", {"--temperature", "2"}, "--temperature and --alpha go with --teacher");
  refused(dir_ / "train", {"--alpha", "0.5"}, "--temperature and --alpha go with --teacher");
  refused(dir_ / "train", {"--score-images", "5"}, "--score-images goes with --scores");
  refused(dir_ / "train", {"--learn-scales"}, model + ": is not quantized: --learn-scales");
  refused(dir_ / "train", {"--warmup", "5", "--epochs", "1"}, "--warmup 5 is longer than --epochs 1");
  refused(dir_ / "train", {"--alpha", "2"}, "--alpha: expected a number from 0 to 1, not '2'");
  refused(dir_ / "train", {"--lr", "1e25", "--epochs", "3", "--batch", "16"}, "not finite in epoch 1", 1);
  expect_refusal({"train", model, "--data", dir_ / "train", "-o", model}, "is the model itself");
  fs::copy_file(model, dir_ / "teacher.onnx");
  expect_refusal({"train", model, "--teacher", dir_ / "teacher.onnx", "--data", dir_ / "train", "-o",
                  dir_ / "teacher.onnx"},
                 "teacher.onnx: is the teacher itself");
  expect_refusal({"train", model, "--data", dir_ / "train", "-o", dir_ / "absent/out.onnx"},
                 "absent/out.onnx: cannot write: the folder does not exist");
}

TEST_F(Train, SparsityLeavesAPlan) {
  write_text(dir_ / "net.preprocess.json", color_preprocess());
  const std::string model = write_onnx(dir_.path().string());
  const auto words = [&](const Words& more) {
    Words all{"train", model, "--data", dir_ / "train", "-o", dir_ / "out.onnx", "--epochs", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const std::string plan = dir_ / "plan.json";
  write_text(plan, R"({"version": 1, "steps": [{"method": "", "seed": 0, "keep": [], "blocks": [], "groups":
      [{"layers": ["conv"], "filters": [[0, 2]], "kept": [0, 2], "reason": ""}], "unprunable": []}]})");
  const Finished finished =
      run_xdn(words({"--sparsity", "soft", "--prune-plan", plan, "--json", dir_ / "result.json"}));
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out,
              HasSubstr("plan        " + dir_ / "out.run/plan.json" + ": removes 1 of 3 units"));
  EXPECT_EQ(nlohmann::json::parse(read_text(dir_ / "result.json")).at("units_to_go"), 1);
  EXPECT_TRUE(nlohmann::json::parse(lines_of(read_text(dir_ / "out.run/log.jsonl"))[1]).contains("sparsity"));
  EXPECT_EQ(nlohmann::json::parse(read_text(dir_ / "out.run/plan.json")).at("steps").at(0).at("method"),
            "soft");

  expect_refusal(words({"--sparsity", "hard"}), "--sparsity: expected one of");
  expect_refusal(words({"--sparsity", "soft"}), "--sparsity soft expects --prune-plan");
  expect_refusal(words({"--sparsity", "growing", "--prune-plan", plan}), "expects --sparsity-strength");
  expect_refusal(words({"--sparsity", "soft", "--prune-plan", plan, "--sparsity-strength", "1"}),
                 "--sparsity soft has no --sparsity-strength");
  expect_refusal(words({"--sparsity", "soft", "--prune-plan", plan, "--ema", "0.9"}), "--ema does not go");
  expect_refusal(words({"--prune-plan", plan}), "go with --sparsity");
  const Words soft = words({"--sparsity", "soft", "--run", dir_ / "other.run", "--prune-plan", plan});
  write_text(plan, "{}");
  expect_refusal(soft, "plan.json: a pruning plan, field 'version', is missing");
  write_text(plan, R"({"version": 1, "steps": [{"method": "", "seed": 0, "keep": [], "blocks": [], "groups":
      [{"layers": ["conv7"], "filters": [[0, 2]], "kept": [0, 2], "reason": ""}], "unprunable": []}]})");
  expect_refusal(soft, "plan.json: layer 'conv7': the plan is for another model");
  EXPECT_FALSE(fs::exists(dir_ / "other.run"));
}

TEST_F(Train, StudentsShareATeachersPredictions) {
  write_text(dir_ / "net.preprocess.json", color_preprocess());
  const std::string teacher = write_onnx(dir_.path().string());
  const auto words = [&](const std::string& out, const Words& more = {}) {
    Words all = from_scratch(out);
    all.insert(all.end(), {"--teacher", teacher, "--teacher-cache", dir_ / "cache", "--augment-epochs", "2"});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  for (const char* out : {"a.onnx", "b.onnx"}) {
    const Finished finished = run_xdn(words(out));
    ASSERT_EQ(finished.code, 0) << finished.err;
  }
  EXPECT_EQ(read_text(dir_ / "a.onnx"), read_text(dir_ / "b.onnx"));
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir_ / "cache"))
    files += entry.is_regular_file() ? 1u : 0u;
  EXPECT_EQ(files, 2u);
  expect_refusal(words("c.onnx", {"--features", "1"}), "--teacher-cache keeps no features");
  Words alone = from_scratch("c.onnx");
  alone.insert(alone.end(), {"--teacher-cache", dir_ / "cache"});
  expect_refusal(alone, "--teacher-cache goes with --teacher");
}

TEST_F(Train, ScoresOfEveryFilter) {
  write_text(dir_ / "net.preprocess.json", color_preprocess());
  const std::string model = write_onnx(dir_.path().string());
  const auto words = [&](const std::string& out, const Words& more = {}) {
    Words all{"train", model, "--data", dir_ / "train", "--scores", out, "--batch", "16"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const Finished finished = run_xdn(
      words(dir_ / "scores.json", {"--score-images", "30", "--seed", "3", "--json", dir_ / "result.json"}));
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("scored      6 filters of 2 layers by 32 images"));
  const auto scores = nlohmann::json::parse(read_text(dir_ / "scores.json"));
  EXPECT_EQ(scores.at("criterion"), "taylor");
  EXPECT_EQ(scores.at("images"), 32);
  EXPECT_EQ(scores.at("seed"), 3);
  EXPECT_EQ(scores.at("layers").at("conv").size(), 3u);
  EXPECT_EQ(scores.at("layers").at("fc").size(), 3u);
  EXPECT_EQ(nlohmann::json::parse(read_text(dir_ / "result.json")).at("filters"), 6);
  EXPECT_FALSE(fs::exists(dir_ / "net.run"));
  expect_refusal(words(dir_ / "absent/scores.json"), "absent/scores.json: cannot write");
  const std::string before = read_text(model);
  expect_refusal(words(model), model + ": is the model itself");
  fs::copy_file(model, dir_ / "teacher.onnx");
  expect_refusal(words(dir_ / "teacher.onnx", {"--teacher", dir_ / "teacher.onnx"}),
                 "teacher.onnx: is the teacher itself");
  EXPECT_EQ(read_text(model), before);
  EXPECT_EQ(read_text(dir_ / "teacher.onnx"), before);
  EXPECT_EQ(run_xdn(words(dir_ / "s.json", {"--reestimate-bn", "9", "--augment-epochs", "1"})).code, 0);
  expect_refusal(words(dir_ / "s.json", {"-o", dir_ / "out.onnx"}), "--scores trains nothing");
  expect_refusal({"train", "--arch", "resnet20", "--data", dir_ / "train", "--scores", dir_ / "s.json"},
                 "--scores goes with MODEL");
  expect_refusal({"train", model, "--data", dir_ / "train"}, "--output is required");
}

/// The layers of a model alone: two seeds forget the same weights and begin anew.
TEST_F(Train, FromScratchWithTheLayersOfAModel) {
  ASSERT_EQ(run_xdn(from_scratch("net.onnx")).code, 0);
  const auto words = [&](const std::string& seed, const std::string& out) {
    Words all = from_scratch(out);
    all[1] = dir_ / "net.onnx";  // in place of --arch NAME
    all[2] = "--from-scratch";
    *(std::find(all.begin(), all.end(), "--seed") + 1) = seed;
    return all;
  };
  for (const auto& [seed, out] :
       {std::pair{"7", "a.onnx"}, std::pair{"7", "b.onnx"}, std::pair{"8", "c.onnx"}})
    ASSERT_EQ(run_xdn(words(seed, out)).code, 0);
  EXPECT_TRUE(read_text(dir_ / "a.onnx") == read_text(dir_ / "b.onnx"));
  EXPECT_FALSE(read_text(dir_ / "a.onnx") == read_text(dir_ / "c.onnx"));
  // As build_architecture begins: the first epoch of the same seed is the same.
  EXPECT_EQ(nlohmann::json::parse(lines_of(read_text(dir_ / "a.run/log.jsonl"))[1]).at("train_loss"),
            nlohmann::json::parse(lines_of(read_text(dir_ / "net.run/log.jsonl"))[1]).at("train_loss"));
  expect_refusal(
      {"train", "--arch", "resnet20", "--from-scratch", "--data", dir_ / "train", "-o", dir_ / "o.onnx"},
      "--from-scratch goes with MODEL");
}

TEST_F(Train, QuantizedModelsStayQuantized) {
  write_text(dir_ / "net.preprocess.json", color_preprocess());
  const std::string path = write_onnx(dir_.path().string(), [](onnx::ModelProto& m) {
    auto* graph = m.mutable_graph();
    auto* scale = graph->add_initializer();
    scale->set_name("qs");
    scale->set_data_type(onnx::TensorProto::FLOAT);
    scale->add_float_data(0.01f);
    auto* zero = graph->add_initializer();
    zero->set_name("qz");
    zero->set_data_type(onnx::TensorProto::UINT8);
    zero->add_int32_data(0);
    auto& relu = node_named(m, "relu");
    const std::string from = relu.input(0);
    relu.set_input(0, "qx");
    const auto add = [&](const char* op, const std::string& x, const std::string& y) {
      auto* node = graph->add_node();
      node->set_op_type(op);
      node->set_name(op);
      for (const std::string& input : {x, std::string("qs"), std::string("qz")}) node->add_input(input);
      node->add_output(y);
    };
    add("QuantizeLinear", from, "q");
    add("DequantizeLinear", "q", "qx");
    // Nodes stand in order: the two behind the convolution, which is the first.
    for (int k = graph->node_size() - 1; k > 2; --k) graph->mutable_node()->SwapElements(k, k - 2);
  });
  const Words words{"train",
                    "--learn-scales",
                    path,
                    "--data",
                    dir_ / "train",
                    "-o",
                    dir_ / "out.onnx",
                    "--epochs",
                    "1",
                    "--lr",
                    "0.05",
                    "--batch",
                    "16",
                    "--label-smoothing",
                    "0.3",
                    "--augment",
                    "none"};
  Words narrow = words;
  Words forgetful = words;
  forgetful.push_back("--from-scratch");
  expect_refusal(forgetful, path + ": layer 'QuantizeLinear': is quantized: what has forgotten");
  narrow.insert(narrow.end(), {"--precision", "bf16"});
  expect_refusal(narrow, "is quantized: --precision bf16 would move its levels, expected fp32");
  const Finished finished = run_xdn(words);
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Finished text = run_xdn({"info", dir_ / "out.onnx", "--text"});
  EXPECT_THAT(text.out, HasSubstr("%qx = DequantizeLinear(%q, %qs, %qz)"));
  EXPECT_THAT(text.out, ::testing::Not(HasSubstr("const %qs f32[] [0.01]")));
  EXPECT_THAT(text.out, HasSubstr("const %qz u8[] [0]"));
}

TEST_F(Train, RunsAreNeitherMixedNorDamagedUnnoticed) {
  ASSERT_EQ(run_xdn(from_scratch("net.onnx")).code, 0);
  expect_refusal(from_scratch("net.onnx"), "net.run: holds a run already: --resume continues it");
  Words words = from_scratch("net.onnx");
  words.push_back("--resume");
  flip_bit(dir_ / "net.run/checkpoint.xdn", 5000);
  expect_refusal(words, "checkpoint.xdn: is cut short or damaged: its SHA-256 does not match");
  write_text(dir_ / "net.run/checkpoint.xdn", "something else");
  expect_refusal(words, "checkpoint.xdn: is no checkpoint of xdn train");
}

TEST_F(Train, WithoutItsProgramItSaysWhatIsMissing) {
  fs::copy_file(XDN_BINARY, dir_ / "xdn");
  Words words = from_scratch("net.onnx");
  words.insert(words.begin(), dir_ / "xdn");
  EXPECT_EQ(Process(words, dir_ / "err").wait_for_end(), 1);
  EXPECT_EQ(read_text(dir_ / "err"), "xdn: " + dir_ / "xdn-train" +
                                         ": is not there: training needs libtorch, which this xdn was built "
                                         "without\n");
}

}  // namespace
}  // namespace xdn::testing
