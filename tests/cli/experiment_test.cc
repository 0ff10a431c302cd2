// xdn experiment from end to end, on a network that knows three colours.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/fixtures.h"
#include "cli/models.h"
#include "cli/run_xdn.h"
#include "experiment/rows.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

/// ONNX Runtime is not there for programs that are started while one of these lives.
class NoPeers {
 public:
  explicit NoPeers(const std::string& empty_folder) {
    if (const char* set = std::getenv("XDN_PEERS")) before_ = set;
    setenv("XDN_PEERS", empty_folder.c_str(), 1);
  }
  ~NoPeers() { before_.empty() ? unsetenv("XDN_PEERS") : setenv("XDN_PEERS", before_.c_str(), 1); }
  NoPeers(const NoPeers&) = delete;
  NoPeers& operator=(const NoPeers&) = delete;

 private:
  std::string before_;
};

class ExperimentVerb : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string model_ = write_onnx(dir_.path().string());
  std::string out_ = dir_ / "out";

  void SetUp() override {
    write_text(dir_ / "net.preprocess.json", color_preprocess());
    for (const char* name : {"b.onnx", "b.preprocess.json"}) {
      const std::string text = name;
      std::filesystem::copy_file(dir_ / ("net" + text.substr(1)), dir_ / text);
    }
    write_color_folder(dir_ / "cifar/test", 4, 8, true);
    write_color_folder(dir_ / "cifar/train", 3, 8, true);
    // One image in the wrong folder: 12 of 13 are right.
    write_jpeg(dir_ / "cifar/test/red/wrong.jpg", 8, 8, 20, 20, 220);
  }

  Words words(const Words& more) const {
    Words all{"experiment",    out_,     "--quick",          "--original", model_, "--b",
              dir_ / "b.onnx", "--c",    dir_ / "none.onnx", "--pruned",   model_, "--best",
              model_,          "--data", dir_ / "cifar/test"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Finished run(const Words& more = {}) const { return run_xdn(words(more)); }
  Json result() const { return Json::parse(read_text(out_ + "/experiment.json")); }
  static Json row(const Json& json, const std::string& name) {
    for (const Json& row : json["rows"]) {
      if (row["name"] == name) return row;
    }
    ADD_FAILURE() << "no row " << name;
    return {};
  }
};

TEST_F(ExperimentVerb, HasEveryRowAndSaysWhatIsMissing) {
  const NoPeers no_peers(dir_ / "cifar");
  const Finished finished = run();
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = result();
  ASSERT_EQ(json["rows"].size(), experiment::rows().size());
  for (const experiment::Row& expected : experiment::rows()) {
    const Json found = row(json, std::string(expected.name));
    if (expected.model == experiment::ModelRole::kC) {
      EXPECT_THAT(found["missing"].get<std::string>(), HasSubstr("none.onnx")) << expected.name;
    } else if (expected.engine == experiment::Engine::kXdn) {
      EXPECT_EQ(found["images"], 13) << found.dump();
      EXPECT_EQ(found["correct"], 12) << found.dump();
      EXPECT_EQ(found["seconds"].size(), 1u) << expected.name;
      EXPECT_THAT(found["settings"].get<std::string>(), HasSubstr("tiles of"));
    } else if (expected.engine == experiment::Engine::kOnnxRuntime) {
      EXPECT_THAT(found["missing"].get<std::string>(), HasSubstr("peer absent")) << expected.name;
    }
  }
  EXPECT_EQ(json["waterfall"]["steps"].size(), experiment::waterfall().size());
  EXPECT_EQ(json["aa"]["runs"], 12);
  EXPECT_TRUE(json["headline"].is_null());
  EXPECT_EQ(json["evals"].size(), 2u);
  EXPECT_EQ(json["environment"]["threads_allowed"].is_number(), true);
  const std::string text = read_text(out_ + "/experiment.md");
  EXPECT_THAT(text, HasSubstr("| C-2 | pruned too far, conv&bn fusion | model missing"));
  EXPECT_THAT(text, HasSubstr("A/A check"));
  EXPECT_THAT(finished.out, HasSubstr("| B-2 |"));
  EXPECT_THAT(finished.err, HasSubstr("left"));
}

TEST_F(ExperimentVerb, RowsAreCommandsThatCanBeRepeated) {
  ASSERT_EQ(run({"--rows", "Original,B-2"}).code, 0);
  const Json json = result();
  ASSERT_EQ(json["rows"].size(), 2u);
  for (const Json& row : json["rows"]) {
    std::istringstream line(row["command"].get<std::string>());
    Words command(std::istream_iterator<std::string>(line), {});
    ASSERT_EQ(command.at(0), "xdn");
    command.erase(command.begin());
    command.insert(command.end(), {"--json", "-"});
    const Finished finished = run_xdn(command);
    ASSERT_EQ(finished.code, 0) << finished.err;
    const Json eval = Json::parse(finished.out);
    EXPECT_EQ(eval["correct"], row["correct"]);
    EXPECT_EQ(eval["online"], row["name"] == "Original");
  }
}

TEST_F(ExperimentVerb, FinishedPassesAreNotMeasuredAgain) {
  const Words rows{"--rows", "Original,B-1"};
  ASSERT_EQ(run(rows).code, 0);
  const Json first = result();
  ASSERT_EQ(run(rows).code, 0);
  const Json second = result();
  EXPECT_EQ(first["rows"], second["rows"]);
  EXPECT_EQ(first["aa"], second["aa"]);

  // Another model in place of B: only its rows are measured anew.
  write_onnx(dir_.path().string(), [](onnx::ModelProto& model) { model.mutable_graph()->set_name("other"); });
  std::filesystem::copy_file(model_, dir_ / "b.onnx", std::filesystem::copy_options::overwrite_existing);
  write_onnx(dir_.path().string());
  ASSERT_EQ(run(rows).code, 0);
  const Json third = result();
  EXPECT_EQ(row(third, "Original")["seconds"], row(first, "Original")["seconds"]);
  EXPECT_NE(row(third, "B-1")["seconds"], row(first, "B-1")["seconds"]);
}

TEST_F(ExperimentVerb, AKillLosesNoFinishedPass) {
  const std::string journal = out_ + "/experiment.journal.jsonl";
  const auto whole_lines = [&] {
    std::vector<std::string> lines;
    if (!std::filesystem::exists(journal)) return lines;
    std::string text = read_text(journal);
    text.erase(text.rfind('\n') + 1);
    return lines_of(text);
  };
  std::vector<std::string> before;
  for (const double seconds : {0.15, 0.3, 0.5, 0.7}) {
    run_xdn(words({"--rows", "Original,A-1,A-2,B-1,B-2"}), {.kill_after = seconds});
    const std::vector<std::string> after = whole_lines();
    ASSERT_GE(after.size(), before.size());
    EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
    before = after;
  }
  const Finished finished = run({"--rows", "Original,A-1,A-2,B-1,B-2"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  const std::vector<std::string> after = whole_lines();
  ASSERT_GE(after.size(), before.size());
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
  for (const std::string& line : after)
    EXPECT_FALSE(Json::parse(line, nullptr, false).is_discarded()) << line;
  for (const Json& each : result()["rows"]) EXPECT_EQ(each["seconds"].size(), 1u) << each.dump();
}

TEST_F(ExperimentVerb, RepeatsTakeTurns) {
  // --quick has one pass: this is the slow way, on few images.
  Words all = words({"--rows", "Original,A-2", "--repeats", "2", "--tune-budget", "1"});
  std::erase(all, "--quick");
  const Finished finished = run_xdn(all);
  ASSERT_EQ(finished.code, 0) << finished.err;
  std::vector<std::string> names;
  for (const std::string& line : lines_of(read_text(out_ + "/experiment.journal.jsonl"))) {
    const std::string name = Json::parse(line)["name"];
    if (name == "Original" || name == "A-2") names.push_back(name);
  }
  EXPECT_EQ(names, (Words{"Original", "A-2", "Original", "A-2"}));
  EXPECT_EQ(result()["aa"]["runs"], 24);
}

TEST_F(ExperimentVerb, WithoutTheOriginalItFailsButWritesTheRest) {
  Words all = words({"--rows", "Original,B-2"});
  std::replace(all.begin(), all.begin() + 5, model_, dir_ / "none.onnx");
  const Finished finished = run_xdn(all);
  EXPECT_EQ(finished.code, 1);
  EXPECT_THAT(finished.err, HasSubstr("Original"));
  EXPECT_EQ(row(result(), "B-2")["correct"], 12);
}

TEST_F(ExperimentVerb, PeersGetTheSameImagesRight) {
  const Finished finished = run({"--rows", "Original,ORT-fp32,ORT-fp32-online,ORT-int8,OpenCV"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  const Json json = result();
  int measured = 0;
  for (const Json& row : json["rows"]) {
    if (row.contains("missing")) {
      EXPECT_THAT(row["missing"].get<std::string>(), HasSubstr("peer absent")) << row.dump();
      continue;
    }
    ++measured;
    EXPECT_EQ(row["correct"], 12) << row.dump();
  }
  if (measured == 1) GTEST_SKIP() << "skipped: no ONNX Runtime, no OpenCV";
  if (!row(json, "ORT-fp32").contains("missing")) {
    EXPECT_EQ(json["headline"]["to"], "Original");
    EXPECT_THAT(row(json, "ORT-fp32")["settings"].get<std::string>(), HasSubstr("batches of 13"));
  }
}

TEST_F(ExperimentVerb, RefusesWhatItCannotUse) {
  const auto expect_refused = [&](const Words& arguments, const std::string& what) {
    const Finished finished = run_xdn(arguments);
    EXPECT_EQ(finished.code, 2) << finished.err;
    EXPECT_EQ(lines_of(finished.err).size(), 1u) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr(what));
    EXPECT_FALSE(std::filesystem::exists(out_));
  };
  expect_refused({"experiment", out_, "--rows", "A-3"}, "A-3");
  expect_refused({"experiment", out_, "--original", model_, "--data", dir_ / "nowhere"}, "nowhere");
  ASSERT_EQ(run_xdn({"pack", dir_ / "cifar/test", "-o", dir_ / "pack"}).code, 0);
  expect_refused({"experiment", out_, "--original", model_, "--data", dir_ / "pack"}, "decoded already");
}

}  // namespace
}  // namespace xdn::testing
