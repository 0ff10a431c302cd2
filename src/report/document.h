#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace xdn::report {

using Json = nlohmann::ordered_json;
using Maybe = std::optional<double>;  ///< a number that not every run has

/// A table cell or a value to show: null, a boolean, a number or a text.
using Scalar = Json;

struct Fact {
  std::string label;
  Scalar value;
};

/// One of the few numbers at the top of the page: "6.8x", "faster than Original".
struct Headline {
  std::string value, label;
};

struct Table {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<Scalar>> rows;  ///< each as long as columns
};

/// Steps of an optimization, each with the time that is left after it.
struct Waterfall {
  struct Step {
    std::string name, from;  ///< from: the step that this one starts at; empty: it starts at nothing
    double value = 0;
    Maybe accuracy;
  };
  std::string title, unit;
  std::vector<Step> steps;
};

/// A model, or an engine, in the plane of accuracy and throughput.
struct Point {
  std::string name, group;  ///< group: "xdn" or "peer"
  double accuracy = 0, images_per_second = 0;
  Maybe macs;
};

/// A number per name, drawn as bars.
struct Bars {
  struct Row {
    std::string name;
    double value = 0;
  };
  std::string title, unit, note;
  bool log = false;  ///< a logarithmic axis, where all values are positive
  std::vector<Row> rows;
};

/// Where a model's time goes, layer by layer; rates in GMAC/s, bandwidth in GB/s.
struct Profile {
  struct Layer {
    std::string layer, kernel, arith, bound;
    double seconds = 0;
    Maybe macs, gmacs_per_second, peak_share, macs_per_byte;
  };
  struct Peak {
    std::string arith;
    double gmacs_per_second = 0;
  };
  std::string title;
  std::vector<Layer> layers;
  std::vector<Peak> peaks;
  Maybe bandwidth;
};

/// An image that was classified wrongly.
struct Sample {
  std::string label, predicted;
  Maybe probability;
  std::string png;  ///< base64 of a PNG that decodes
};

/// A model over a labelled data set.
struct Eval {
  std::string title;
  std::vector<Fact> facts;
  std::vector<std::string> classes;
  std::vector<std::vector<int64_t>> confusion;  ///< rows: true class; columns: predicted; or empty
  std::vector<Sample> samples;
};

/// A search over settings; scores are times, of which less is better.
struct Tuning {
  struct Trial {
    std::vector<Fact> settings;
    Maybe score;
    std::string status;
  };
  std::string title;
  std::vector<Fact> facts;
  std::vector<Fact> best, defaults;
  std::vector<Trial> surface;
};

struct Training {
  struct Epoch {
    double epoch = 0;
    Maybe lr, train_loss, train_accuracy, val_accuracy;
  };
  std::string title;
  std::vector<Fact> facts;
  std::vector<Epoch> epochs;
};

/// Accuracy lost, in points, where a share of a group's channels goes.
struct Sensitivity {
  struct Cut {
    std::string group;
    double ratio = 0, drop = 0;
  };
  std::string title;
  std::vector<Cut> cuts;
};

/// How one model ran, a row of the settings table.
struct Settings {
  std::string name;
  std::vector<Fact> settings;
};

/// The harness comparing XDN with itself.
struct AaCheck {
  double ratio = 0, low = 0, high = 0;
  int64_t runs = 0;
};

struct Environment {
  std::string source;
  std::vector<Fact> facts;
};

/// What a page shows, drawn together from all its runs. Empty parts are not shown.
struct Document {
  std::string title;
  std::vector<std::string> sources;
  std::vector<Headline> headlines;
  std::vector<Waterfall> waterfalls;
  std::vector<Point> points;
  std::vector<AaCheck> aa;
  std::vector<Table> tables;
  std::vector<Eval> evals;
  std::vector<Profile> profiles;
  std::vector<Tuning> tunings;
  std::vector<Training> trainings;
  std::vector<Sensitivity> sensitivities;
  std::vector<Bars> bars;
  std::vector<Settings> settings;
  std::vector<Environment> environments;
  std::vector<std::string> commands, notes;
};

/// Adds the point, the command, the environment unless the document has it: runs of one experiment tell the
/// same things. Environments are the same where only the date differs.
void add_point(Document& document, Point point);
void add_command(Document& document, std::string command);
void add_environment(Document& document, Environment environment);

/// What the page's script reads. Every text is as it was found: whoever writes it into a page escapes it.
Json document_json(const Document& document);

}  // namespace xdn::report
