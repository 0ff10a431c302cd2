#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "report/report.h"
#include "support/shared_data.h"

namespace xdn::report {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::TempDir;

std::string fixture(const std::string& name) {
  return (testing::source_dir() / "tests/report/fixtures" / name).string();
}

class Inputs : public ::testing::Test {
 protected:
  std::string write(const std::string& text, const std::string& name = "run.json") {
    std::ofstream(dir_ / name) << text;
    return dir_ / name;
  }
  Document read(const std::string& text, const std::string& name = "run.json") {
    return read_document({write(text, name)});
  }
  /// The error's line, less the folder.
  std::string refusal(const std::string& text, const std::string& name = "run.json") {
    const std::string path = write(text, name);
    try {
      (void)read_document({path});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      const std::string line = error.what();
      EXPECT_THAT(line, StartsWith(path + ": "));
      EXPECT_EQ(line.find('\n'), std::string::npos);
      return line.substr(path.size() + 2);
    }
    return "";
  }
  TempDir dir_;
};

TEST_F(Inputs, ReadsEveryFileOfTheExperiments) {
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(testing::source_dir() / "experiments")) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".json" && extension != ".jsonl") continue;
    const Document document = read_document({entry.path().string()});
    EXPECT_FALSE(document.tables.empty() && document.bars.empty() && document.trainings.empty())
        << entry.path();
    ++files;
  }
  EXPECT_GE(files, 20U);
}

TEST_F(Inputs, ReadsAnExperimentWhole) {
  const Document d = read_document({fixture("experiment")});
  EXPECT_EQ(d.title, "2019, repeated on this machine");
  ASSERT_EQ(d.waterfalls.size(), 1U);
  EXPECT_EQ(d.waterfalls[0].steps.size(), 7U);
  EXPECT_EQ(d.waterfalls[0].steps[1].from, "Original");
  EXPECT_EQ(d.headlines[0].value, "39.4x");
  EXPECT_THAT(d.headlines[1].label, HasSubstr("+0.01 points"));
  EXPECT_EQ(d.headlines[2].value, "19,841");
  EXPECT_EQ(d.points.size(), 10U);  // its evaluations add none of their own
  ASSERT_EQ(d.aa.size(), 1U);
  EXPECT_EQ(d.aa[0].ratio, 1.004);
  EXPECT_EQ(d.aa[0].runs, 20);
  ASSERT_EQ(d.evals.size(), 1U);
  EXPECT_EQ(d.evals[0].title, "resnet50-int8");
  EXPECT_EQ(d.evals[0].classes[3], "cat");
  EXPECT_EQ(d.evals[0].confusion[0][0], 862);
  ASSERT_EQ(d.evals[0].samples.size(), 12U);
  EXPECT_THAT(d.evals[0].classes, ::testing::Contains(d.evals[0].samples[0].label));
  ASSERT_EQ(d.profiles.size(), 1U);
  EXPECT_EQ(d.profiles[0].layers.size(), 50U);
  EXPECT_EQ(d.profiles[0].peaks.size(), 3U);
  EXPECT_EQ(d.tables[0].rows.size(), 8U);
  EXPECT_EQ(d.environments.size(), 1U);
  EXPECT_EQ(d.commands.size(), 5U);  // four of its own, and the one that made it
  EXPECT_EQ(d.notes.size(), 2U);
}

TEST_F(Inputs, JoinsRuns) {
  const std::string eval =
      R"({"model": "a/net.onnx", "precision": "int8", "accuracy": 0.5, "seconds_total": 2,
      "images_per_second": 1234.5, "isa": "avx2", "environment": {"cpu": "Z", "date_utc": "DATE"}})";
  const std::string first = write(eval, "1.json");
  std::string later = eval;
  later.replace(later.find("DATE"), 4, "LATER");
  later.replace(later.find("0.5"), 3, "0.6");
  const std::string second = write(later, "2.json");
  const Document d = read_document({first, second, fixture("tune.json"), fixture("finetune.run")}, "All");
  EXPECT_EQ(d.title, "All");
  EXPECT_EQ(d.evals.size(), 2U);
  EXPECT_EQ(d.points.size(), 2U);
  EXPECT_EQ(d.points[0].name, "net (int8)");
  EXPECT_EQ(d.environments.size(), 2U);  // one machine at two times, and the tuner's
  EXPECT_EQ(d.settings.size(), 2U);
  ASSERT_EQ(d.tunings.size(), 1U);
  EXPECT_EQ(d.tunings[0].surface.size(), 48U);
  ASSERT_EQ(d.trainings.size(), 1U);
  EXPECT_EQ(d.trainings[0].title, "finetune.run");
  EXPECT_EQ(d.trainings[0].epochs.size(), 20U);
  EXPECT_THAT(d.sources,
              ElementsAre(first, second, fixture("tune.json"), fixture("finetune.run") + "/log.jsonl"));
  EXPECT_EQ(read_document({first, first}).points.size(), 1U);
}

TEST_F(Inputs, TakesTheVerbsWordBeforeTheKeys) {
  EXPECT_EQ(refusal(R"({"verb": "info", "accuracy": 1, "seconds_total": 1})").substr(0, 20),
            "is from 'xdn info', ");
  EXPECT_THAT(refusal(R"({"verb": "eval"})"), HasSubstr("'accuracy': is missing"));
  EXPECT_THAT(refusal(R"({"verb": 3})"), HasSubstr("'verb': expected a text"));
  EXPECT_THAT(refusal("{}"), HasSubstr("of no kind that a report shows"));
}

TEST_F(Inputs, ReadsBenchOfBothForms) {
  const std::string before = R"({"model": "n.onnx", "scenario": "offline", "images_per_second": 10,
      "latency_ms": {"p50": 1, "p90": 2, "p99": 3}, "runs": 5, "batch": 8, "profile": )";
  const Document milliseconds =
      read(before + R"({"steps": [{"layer": "c", "ms_per_image": 2, "of_peak": 0.5}]}})");
  const Document seconds =
      read(before + R"({"layers": [{"layer": "c", "seconds": 0.002, "peak_share": 0.5}]}})");
  for (const Document* d : {&milliseconds, &seconds}) {
    ASSERT_EQ(d->profiles.size(), 1U);
    EXPECT_EQ(d->profiles[0].layers[0].seconds, 0.002);
    EXPECT_EQ(d->profiles[0].layers[0].peak_share, 0.5);
  }
}

TEST_F(Inputs, CountsWhatAPlanKeeps) {
  const Document d = read(R"({"version": 1, "steps": [{"method": "l1", "blocks": ["b1", "b2"], "groups": [
      {"layers": ["a", "b"], "filters": [[0, 9]], "kept": [[0, 2], 5, 7]}]}]})");
  ASSERT_EQ(d.bars.size(), 1U);
  EXPECT_EQ(d.bars[0].rows[0].name, "a and 1 more");
  EXPECT_EQ(d.bars[0].rows[0].value, 50);
  EXPECT_THAT(d.bars[0].note, HasSubstr("b1, b2"));
}

TEST_F(Inputs, RefusesWhatIsNotJson) {
  EXPECT_THAT(refusal("{\"a\": 1"), HasSubstr("is not JSON: wrong at byte"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("expected a JSON object"));
  EXPECT_THAT(refusal("{\"accuracy\": 1e999}"), HasSubstr("number that is too large"));
  EXPECT_THAT(refusal("{\"a\": NaN}"), HasSubstr("is not JSON"));
  EXPECT_THAT(refusal("{\"a\": \"\xff\"}"), HasSubstr("is not JSON"));
  EXPECT_THAT(refusal(std::string(100'000, '[')), HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(refusal("{\"epoch\": 1}\n{\"epoch\"\n", "log.jsonl"), HasSubstr("line 2 is not JSON"));
  EXPECT_THAT(refusal("{\"settings\": {}}\n", "log.jsonl"), HasSubstr("no line with an epoch"));
  EXPECT_THAT(refusal("[1]\n", "log.jsonl"), HasSubstr("'lines[0]': expected an object"));
}

TEST_F(Inputs, RefusesLargeFiles) {
  const std::string path = write("{}");
  fs::resize_file(path, (size_t{64} << 20) + 1);
  EXPECT_THROW((void)read_document({path}), Error);
}

TEST_F(Inputs, NamesThePlace) {
  const auto eval = [&](const std::string& more) {
    return refusal(R"({"verb": "eval", "accuracy": 0.5, "images_per_second": 1, )" + more + "}");
  };
  EXPECT_THAT(eval(R"("top5": 2)"), HasSubstr("'top5': expected a number from 0 to 1"));
  EXPECT_THAT(eval(R"("data": [1])"), HasSubstr("'data': expected a text"));
  EXPECT_THAT(eval(R"("accuracy_interval": [0.1])"), HasSubstr("'accuracy_interval': expected two numbers"));
  EXPECT_THAT(eval(R"("confusion": [[1, 2], [3]])"), HasSubstr("'confusion': expected 2 rows of 2 counts"));
  EXPECT_THAT(eval(R"("confusion": [[1, -2], [3, 4]])"), HasSubstr("'confusion'"));
  EXPECT_THAT(eval(R"("classes": ["a"], "confusion": [[1, 2], [3, 4]])"), HasSubstr("1 rows"));
  EXPECT_THAT(eval(R"("samples": [{"label": 1}])"), HasSubstr("'samples[0].predicted': is missing"));
  EXPECT_THAT(eval(R"("samples": [{"label": 1, "predicted": 2, "png": "\"><script>"}])"),
              HasSubstr("'samples[0].png'"));
  EXPECT_THAT(eval(R"("profile": {"layers": [{"layer": "a"}]})"),
              HasSubstr("'profile.layers[0].ms_per_image': is missing"));
  EXPECT_THAT(eval(R"("profile": {"layers": [], "peaks": {"f32": 0}})"), HasSubstr("'profile.peaks.f32'"));
  EXPECT_THAT(eval("\"model\": \"" + std::string(5000, 'x') + "\""), HasSubstr("longer than 4096 bytes"));

  const auto experiment = [&](const std::string& more) {
    return refusal(R"({"verb": "experiment", )" + more + "}");
  };
  EXPECT_THAT(experiment(R"("waterfall": {"steps": [{"name": "a", "value": 0}]})"),
              HasSubstr("'waterfall.steps[0].value': expected a positive number"));
  EXPECT_THAT(experiment(R"("waterfall": {"steps": [{"name": "a", "value": 1, "from": "b"}]})"),
              HasSubstr("'waterfall.steps[0].from': names no earlier step"));
  EXPECT_THAT(experiment(R"("tables": [{"columns": ["a", "b"], "rows": [[1]]}])"),
              HasSubstr("'tables[0].rows[0]': expected a list of 2 cells"));
  EXPECT_THAT(experiment(R"("tables": [{"columns": ["a"], "rows": [[{}]]}])"),
              HasSubstr("expected a single value"));
  EXPECT_THAT(experiment(R"("points": [{"name": "a", "accuracy": 1, "images_per_second": 1, "group": "x"}])"),
              HasSubstr("'points[0].group'"));
  EXPECT_THAT(refusal(R"({"verb": "tune", "surface": [{"batch_tile": 1}]})"),
              HasSubstr("'surface[0].score'"));
  EXPECT_THAT(
      refusal(R"({"version": 1, "steps": [{"groups": [{"layers": [], "filters": [[3, 1]], "kept": []}]}]})"),
      HasSubstr("'steps[0].groups[0].filters'"));
}

TEST_F(Inputs, AFolderNeedsOneOfItsFiles) {
  try {
    (void)read_document({dir_.path().string()});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("no experiment.json, optimize.json or log.jsonl"));
  }
}

}  // namespace
}  // namespace xdn::report
