#pragma once

#include <span>
#include <string_view>

namespace xdn::experiment {

/// The models of the experiment; what each is, docs/experiment.md tells.
enum class ModelRole { kOriginal, kB, kC, kOriginalInt8, kBInt8, kPruned, kBest };
enum class Engine { kXdn, kOnnxRuntime, kOpenCv };
/// Which table shows a row.
enum class Group { kVariants, kSteps, kPeers };

/// One thing that is timed: the whole test set through a model, by an engine.
struct Row {
  std::string_view name;  ///< as --rows and the tables spell it
  std::string_view what;
  Group group = Group::kVariants;
  ModelRole model = ModelRole::kOriginal;
  Engine engine = Engine::kXdn;
  std::string_view fusion = {};  ///< of XDN: off, traditional or aggressive
  bool online = false;           ///< images are decoded while the clock runs
  bool tuned = false;            ///< of XDN: with a record of xdn tune
  double ms_2019 = 0;            ///< what 2019 published for it; 0: nothing
  double accuracy_2019 = 0;
};

/// The rows, in the order in which they take turns.
std::span<const Row> rows();
/// The row of that name, or nullptr.
const Row* find_row(std::string_view name);

/// A bar of the waterfall: what has been done to the original when `row` is measured.
struct Step {
  std::string_view name, row;
  double ms_2019 = 0;  ///< 0: not a step of 2019
};
/// From the original to this project's best, each step on top of the one before.
std::span<const Step> waterfall();

/// The pair of rows of which the headline is the ratio, and the row that says which accuracy must be kept.
inline constexpr std::string_view kHeadlineFrom = "ORT-fp32";
inline constexpr std::string_view kOriginalRow = "Original";

std::string_view model_name(ModelRole role);
std::string_view engine_name(Engine engine);

}  // namespace xdn::experiment
