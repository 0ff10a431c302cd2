#include <algorithm>

#include "report/inputs/common.h"
#include "report/inputs/inputs.h"

namespace xdn::report {

void add_train_log(const Fields& json, const std::string& name, Document& document) {
  Training training;
  training.title = name;
  double best = -1;
  for (const Fields& line : json.objects("lines", 200'000)) {
    if (line.has("settings")) training.facts = line.object("settings").facts();
    if (!line.has("epoch")) continue;
    Training::Epoch epoch;
    epoch.epoch = line.number("epoch");
    epoch.lr = line.maybe_number("lr");
    epoch.train_loss = line.maybe_number("train_loss");
    epoch.train_accuracy = line.maybe_share("train_accuracy");
    epoch.val_accuracy = line.maybe_share("val_accuracy");
    best = std::max(best, epoch.val_accuracy.value_or(-1));
    training.epochs.push_back(epoch);
  }
  if (training.epochs.empty()) json.refuse("lines", "has no line with an epoch: not the log of a training");
  if (best >= 0) document.headlines.push_back({percent(best), "best validation accuracy, " + name});
  document.trainings.push_back(std::move(training));
}

}  // namespace xdn::report
