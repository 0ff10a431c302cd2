// xdn quantize from end to end: files, reuse of ranges, refusals, interruption.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class QuantizeVerb : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string images_ = dir_ / "images", pack_ = dir_ / "pack", model_ = make_model("net");

  void SetUp() override {
    write_color_folder(images_, 7);
    ASSERT_EQ(run_xdn({"pack", images_, "-o", pack_}).code, 0);
  }

  std::string make_model(const std::string& name, const std::function<void(onnx::ModelProto&)>& edit = {},
                         int side = 8) {
    write_text(dir_ / (name + "/net.preprocess.json"), color_preprocess(side));
    return write_onnx(dir_ / name, edit, side);
  }
  std::string out(const std::string& name) const { return dir_ / (name + ".onnx"); }
  std::string ranges(const std::string& name) const { return dir_ / (name + ".ranges.json"); }

  Finished quantize(const std::string& name, const std::vector<std::string>& more,
                    const std::string& model = "") {
    std::vector<std::string> words{"quantize", model.empty() ? model_ : model, "-o", out(name)};
    words.insert(words.end(), more.begin(), more.end());
    return run_xdn(words);
  }
  void make(const std::string& name, const std::vector<std::string>& more) {
    const Finished finished = quantize(name, more);
    ASSERT_EQ(finished.code, 0) << finished.err;
  }
  Json json_of(const std::string& name, std::vector<std::string> more) {
    more.insert(more.end(), {"--json", "-"});
    const Finished finished = quantize(name, more);
    EXPECT_EQ(finished.code, 0) << finished.err;
    return Json::parse(finished.out, nullptr, false);
  }
  /// Exit code 2, one line that matches, nothing written.
  void expect_refused(const std::vector<std::string>& more, const std::string& regex,
                      const std::string& model = "") {
    const Finished finished = quantize("refused", more, model);
    EXPECT_EQ(finished.code, 2) << finished.out << finished.err;
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_THAT(finished.err, ContainsRegex(regex));
    EXPECT_FALSE(std::filesystem::exists(out("refused")));
    EXPECT_FALSE(std::filesystem::exists(ranges("refused")));
  }
  Json eval(const std::string& model, const std::string& data) {
    const Finished finished = run_xdn({"eval", model, "--data", data, "--json", "-"});
    EXPECT_EQ(finished.code, 0) << finished.err;
    return Json::parse(finished.out, nullptr, false);
  }
  onnx::ModelProto proto(const std::string& name) const {
    onnx::ModelProto model;
    EXPECT_TRUE(model.ParseFromString(read_text(out(name))));
    return model;
  }
  /// Scale of a value, as the model's initializer has it.
  static float scale_of(const onnx::ModelProto& model, const std::string& value) {
    for (const onnx::TensorProto& tensor : model.graph().initializer()) {
      if (tensor.name() != value + "_scale") continue;
      float scale = 0;
      if (tensor.float_data_size() == 1) return tensor.float_data(0);
      EXPECT_EQ(tensor.raw_data().size(), sizeof(scale));
      std::copy_n(tensor.raw_data().data(), sizeof(scale), reinterpret_cast<char*>(&scale));
      return scale;
    }
    ADD_FAILURE() << "no scale of " << value;
    return 0;
  }
};

TEST_F(QuantizeVerb, TwoRunsWriteTheSameBytes) {
  make("a", {"--data", pack_});
  make("b", {"--data", pack_, "--threads", "1"});
  EXPECT_EQ(read_text(out("a")), read_text(out("b")));
  EXPECT_EQ(read_text(ranges("a")), read_text(ranges("b")));
  EXPECT_EQ(read_text(dir_ / "a.preprocess.json"), read_text(dir_ / "net/net.preprocess.json"));
  const Json json = eval(out("a"), pack_);
  EXPECT_EQ(json["correct"], 21);
  EXPECT_EQ(json["precision"], "int8");
  // Another draw of fewer images is another calibration, and the same seed the same one.
  make("c", {"--data", pack_, "--images", "3", "--seed", "5"});
  make("d", {"--data", pack_, "--images", "3", "--seed", "5"});
  EXPECT_EQ(read_text(out("c")), read_text(out("d")));
  EXPECT_NE(read_text(ranges("c")), read_text(ranges("a")));
}

TEST_F(QuantizeVerb, RangesAreReused) {
  make("a", {"--data", pack_});
  make("b", {"--ranges", ranges("a"), "--data", pack_});
  EXPECT_EQ(read_text(out("b")), read_text(out("a")));
  EXPECT_EQ(read_text(ranges("b")), read_text(ranges("a")));
  // Without images there is no correction, but the activations' scales are the same.
  make("c", {"--ranges", ranges("a")});
  for (const char* value : {"image", "relu.y", "pool.y"})
    EXPECT_EQ(scale_of(proto("c"), value), scale_of(proto("a"), value)) << value;
  EXPECT_EQ(eval(out("c"), pack_)["correct"], 21);
}

TEST_F(QuantizeVerb, RangesMayBeEdited) {
  make("a", {"--data", pack_, "--method", "minmax"});
  Json json = Json::parse(read_text(ranges("a")));
  const float high = json["values"]["relu.y"]["high"], low = json["values"]["relu.y"]["low"];
  json["values"]["relu.y"]["high"] = 2 * high - low;
  write_text(dir_ / "edited.json", json.dump());
  make("b", {"--ranges", dir_ / "edited.json"});
  EXPECT_FLOAT_EQ(scale_of(proto("b"), "relu.y"), (2 * high - low) / 255);
  EXPECT_FLOAT_EQ(scale_of(proto("a"), "relu.y"), high / 255);
  EXPECT_EQ(scale_of(proto("b"), "image"), scale_of(proto("a"), "image"));
}

TEST_F(QuantizeVerb, RefusesRangesOfAnotherModel) {
  const std::string other = make_model("other", [](onnx::ModelProto& m) {
    node_named(m, "relu").set_output(0, "another");
    node_named(m, "pool").set_input(0, "another");
  });
  ASSERT_EQ(quantize("o", {"--data", pack_}, other).code, 0);
  expect_refused({"--ranges", ranges("o")}, "o\\.ranges\\.json: value 'another' is not in the model");
  const std::string large = make_model("large", {}, 9);
  make("a", {"--data", pack_});
  expect_refused({"--ranges", ranges("a")},
                 "a\\.ranges\\.json: value '.*' has shape|a\\.ranges\\.json: value '.*': has shape", large);
  expect_refused({"--ranges", dir_ / "absent.json"}, "absent\\.json: cannot open");
  expect_refused({"--ranges", dir_.path().string()}, "is a folder");
  write_text(dir_ / "bad.json", "{");
  expect_refused({"--ranges", dir_ / "bad.json"}, "bad\\.json: is not JSON");
}

TEST_F(QuantizeVerb, RefusesDataThatDoNotFit) {
  const std::string large = make_model("large", {}, 9);
  expect_refused({"--data", pack_}, "pack: pack holds images of 8x8, expected 9x9", large);
  std::filesystem::create_directories(dir_ / "empty");
  expect_refused({"--data", dir_ / "empty"}, "empty: ");
  expect_refused({"--data", dir_ / "absent"}, "absent: ");
  std::filesystem::create_directories(dir_ / "hollow/red");
  expect_refused({"--data", dir_ / "hollow"}, "hollow.*: ");
  flip_bit(pack_ + "/images.npy", 5000);
  expect_refused({"--data", pack_}, "images\\.npy: .*SHA-256");
}

TEST_F(QuantizeVerb, BgrPacksGiveTheSameModel) {
  ASSERT_EQ(run_xdn({"pack", images_, "-o", dir_ / "bgr", "--color", "BGR"}).code, 0);
  make("rgb", {"--data", pack_});
  make("bgr", {"--data", dir_ / "bgr"});
  EXPECT_EQ(read_text(out("rgb")), read_text(out("bgr")));
  EXPECT_EQ(read_text(ranges("rgb")), read_text(ranges("bgr")));
  make("folder", {"--data", images_});
  EXPECT_EQ(read_text(out("rgb")), read_text(out("folder")));
}

TEST_F(QuantizeVerb, RefusesWrongUsage) {
  expect_refused({}, "expected --data DATA to calibrate on, or --ranges FILE");
  expect_refused({"--data", pack_, "--max-drop", "1"}, "--max-drop is measured on --val");
  expect_refused({"--data", pack_, "--precision", "mixed"}, "--max-drop is measured on --val");
  expect_refused({"--data", pack_, "--val", pack_, "--max-drop", "1", "--precision", "int8"},
                 "--precision mixed");
  for (const char* drop : {"-1", "101", "nan", "x"})
    expect_refused({"--data", pack_, "--val", pack_, "--max-drop", drop}, "--max-drop");
  expect_refused({"--data", pack_, "--method", "best"}, "--method");
  expect_refused({"--data", pack_, "--images", "0"}, "--images");
  expect_refused({"--data", pack_, "--keep", "nothing"}, "net\\.onnx: --keep: no layer 'nothing'");
  const Finished itself = run_xdn({"quantize", model_, "--data", pack_, "-o", model_});
  EXPECT_EQ(itself.code, 2);
  EXPECT_THAT(itself.err, HasSubstr("is the model itself"));
}

TEST_F(QuantizeVerb, RefusesModelsThatCannotBe) {
  const std::string nan = make_model("nan", [](onnx::ModelProto& m) {
    const float values[] = {0, std::numeric_limits<float>::quiet_NaN(), 0};
    initializer_named(m, "fc.b").set_raw_data(values, sizeof(values));
  });
  expect_refused({"--data", pack_}, "nan/net\\.onnx: layer 'fc': weight 1 of 'fc\\.b' is NaN", nan);
  make("a", {"--data", pack_});
  expect_refused({"--data", pack_}, "a\\.onnx: layer '.*': is quantized already", out("a"));
}

TEST_F(QuantizeVerb, DeadChannel) {
  const std::string dead = make_model("dead", [](onnx::ModelProto& m) {
    std::string& raw = *initializer_named(m, "conv.w").mutable_raw_data();
    std::fill_n(raw.begin(), 27 * sizeof(float), '\0');
  });
  const Finished finished = quantize("dead", {"--data", pack_, "--equalize"}, dead);
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(eval(out("dead"), pack_)["images"], 21);
}

TEST_F(QuantizeVerb, JsonTellsWhatWasDone) {
  const Json json = json_of("a", {"--data", pack_, "--val", pack_, "--test", pack_});
  for (const char* key : {"model", "method", "calibration_images", "calibration_seconds", "values",
                          "equalized_pairs", "layers", "val", "test", "peak_rss_bytes"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["calibration_images"], 21);
  EXPECT_EQ(json["method"], "mse");
  EXPECT_EQ(json["layers"].size(), 2u);
  EXPECT_EQ(json["val"]["images"], 21);
  EXPECT_EQ(json["val"]["correct"], 21);
  EXPECT_EQ(json["val"]["original_correct"], 21);
  EXPECT_EQ(json["val"]["drop"], 0);
  EXPECT_EQ(json["val"]["mcnemar_p"], 1);
  EXPECT_FALSE(json.contains("trials"));
}

TEST_F(QuantizeVerb, MaxDropTriesAndNeverReturnsASlowerModel) {
  const Json json = json_of("a", {"--data", pack_, "--val", pack_, "--max-drop", "0"});
  EXPECT_EQ(json["max_drop"], 0);
  ASSERT_GE(json["trials"].size(), 1u);
  EXPECT_EQ(json["trials"][0]["name"], "int8");
  EXPECT_EQ(json["trials"][0]["within"], true);
  EXPECT_EQ(json["chosen"], "int8");
  ASSERT_TRUE(json["speed_ratio"].is_number());
  const bool slower = json["speed_ratio"].get<double>() < 1;
  EXPECT_EQ(json.contains("unchanged"), slower);
  EXPECT_EQ(eval(out("a"), pack_)["precision"], slower ? "fp32" : "int8");
}

TEST_F(QuantizeVerb, Precisions) {
  make("bf16", {"--precision", "bf16"});
  EXPECT_FALSE(std::filesystem::exists(ranges("bf16")));
  const Json bf16 = eval(out("bf16"), pack_);
  EXPECT_EQ(bf16["precision"], "bf16");
  EXPECT_EQ(bf16["correct"], 21);
  make("mixed", {"--data", pack_, "--keep", "conv=bf16"});
  const Json mixed = eval(out("mixed"), pack_);
  EXPECT_EQ(mixed["precision"], "mixed");
  EXPECT_EQ(mixed["correct"], 21);
  make("kept", {"--data", pack_, "--keep", "conv=fp32"});
  EXPECT_EQ(eval(out("kept"), pack_)["precision"], "int8");
  EXPECT_EQ(eval(out("kept"), pack_)["correct"], 21);
}

TEST_F(QuantizeVerb, ForTheChip) {
  const std::string spec = dir_ / "chip.prototxt" + ":" + dir_ / "chip.caffemodel";
  const Finished finished = run_xdn({"quantize", model_, "--target", "cambricon-mlu100", "--data", pack_,
                                     "--val", pack_, "-o", spec, "--json", "-"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = Json::parse(finished.out);
  EXPECT_EQ(json["chip_layers"], 2);
  EXPECT_EQ(json["val"]["correct"], 21);
  EXPECT_THAT(read_text(dir_ / "chip.prototxt"), HasSubstr("bottom_mlu_dtype"));
  EXPECT_EQ(eval(spec, pack_)["correct"], 21);
  // What it leaves no choice about.
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{"--max-drop", "1", "--val", pack_},
                                             {"--precision", "int8"},
                                             {"--equalize"},
                                             {"--keep", "conv"}}) {
    std::vector<std::string> words{"quantize", model_, "--target", "cambricon-mlu100",
                                   "--data",   pack_,  "-o",       spec};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(run_xdn(words).code, 2) << more[0];
  }
  expect_refused({"--target", "cambricon-mlu100", "--data", pack_},
                 "expected -o OUT\\.prototxt:OUT\\.caffemodel");
}

TEST_F(QuantizeVerb, KilledItLeavesTheOldFileOrNone) {
  make("whole", {"--data", pack_});
  const std::string whole = read_text(out("whole")), whole_ranges = read_text(ranges("whole"));
  const Finished timed = quantize("timed", {"--data", pack_});
  ASSERT_EQ(timed.code, 0);
  constexpr int kRounds = 16;
  int killed = 0;
  for (const std::string old : {"", "old"}) {
    for (int round = 0; round < kRounds; ++round) {
      const std::string name = "k" + old;
      std::filesystem::remove(out(name));
      std::filesystem::remove(ranges(name));
      if (!old.empty()) {
        write_text(out(name), old);
        write_text(ranges(name), old);
      }
      const double delay = timed.seconds * (round + 0.5) / kRounds;
      RunOptions options;
      options.kill_after = delay;
      killed += run_xdn({"quantize", model_, "--data", pack_, "-o", out(name)}, options).signal == SIGKILL;
      for (const auto& [path, complete] : {std::pair{out(name), whole}, {ranges(name), whole_ranges}}) {
        if (!std::filesystem::exists(path)) {
          EXPECT_TRUE(old.empty()) << path << " is gone";
          continue;
        }
        const std::string text = read_text(path);
        EXPECT_TRUE(text == complete || (!old.empty() && text == old))
            << path << " is neither, after " << delay;
      }
    }
  }
  EXPECT_GE(killed, 2);  // more, but for a first run that was slowed down by others
}

}  // namespace
}  // namespace xdn::testing
