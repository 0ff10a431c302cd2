#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/exec_options.h"
#include "cli/model_input.h"
#include "data/dataset.h"

namespace xdn::cli {

/// A data set's images as an executor takes them: mapped, decoded before, or decoded on the way.
class EvalImages {
 public:
  /// Input error where online is asked of a data set that needs no decoding.
  EvalImages(const std::string& path, Split split, const ModelInput& model, bool online);

  const Dataset& dataset() const { return *dataset_; }
  /// Decodes the first n images, where that is to be done before.
  void prepare(int64_t n);
  ImageSource source() const;
  double map_seconds() const { return map_seconds_; }        ///< to open the data set
  double decode_seconds() const { return decode_seconds_; }  ///< of prepare()

 private:
  std::unique_ptr<Dataset> dataset_;
  bool online_;
  std::vector<uint8_t> decoded_;
  double map_seconds_ = 0, decode_seconds_ = 0;
};

/// What --reference needs: the other run's images and options are this run's.
struct ReferenceRequest {
  std::string spec;  ///< a model, or a predictions file
  std::string data;
  Split split;
  PixelFlags pixels;
  ExecFlags exec;  ///< of these, --isa and the numbers of threads count
  bool online;
  int64_t batch;
};

/// Input error where a file of the model or the predictions is not there: to be called before long work.
void check_reference(const std::string& spec);

/// Predictions for the first labels.size() images, read or made by a run of the model. `outputs` is the
/// number of classes of the model evaluated.
std::vector<int64_t> reference_predictions(const ReferenceRequest& request, std::span<const int64_t> labels,
                                           int64_t outputs);

}  // namespace xdn::cli
