#include <fmt/format.h>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {

void add_train(const Fields& json, const std::string& name, Document& document) {
  Training training;
  training.title = json.has("out") ? model_name(json.text("out")) : name;
  training.facts = json.facts({"model", "data", "epochs", "best_epoch", "train_loss", "val_accuracy",
                               "test_accuracy", "images_per_second", "seconds_total", "precision", "device"});
  for (const char* half : {"test_accuracy", "val_accuracy"}) {
    if (!json.has(half)) continue;
    document.headlines.push_back(
        {percent(json.share(half)),
         fmt::format("{} accuracy of {}", half[0] == 't' ? "test" : "validation", training.title)});
    break;
  }
  document.trainings.push_back(std::move(training));
}

}  // namespace xdn::report
