#include "evaluator/confusion.h"

#include <algorithm>

#include "base/error.h"

namespace xdn {

Confusion::Confusion(int64_t classes, std::span<const int64_t> labels, std::span<const int64_t> predictions)
    : images_(static_cast<size_t>(classes)) {
  XDN_CHECK(labels.size() == predictions.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const int64_t label = labels[i], predicted = predictions[i];
    XDN_CHECK(label >= 0 && label < classes && predicted >= -1 && predicted < classes);
    ++images_[static_cast<size_t>(label)];
    if (predicted < 0) {
      ++unpredicted_;
    } else {
      ++counts_[{label, predicted}];
    }
  }
}

int64_t Confusion::count(int64_t label, int64_t predicted) const {
  const auto found = counts_.find({label, predicted});
  return found == counts_.end() ? 0 : found->second;
}

double Confusion::accuracy(int64_t label) const {
  return images(label) == 0 ? 0.0 : static_cast<double>(correct(label)) / static_cast<double>(images(label));
}

std::vector<int64_t> Confusion::worst(size_t most) const {
  std::vector<int64_t> wrong;
  for (int64_t label = 0; label < classes(); ++label) {
    if (correct(label) < images(label)) wrong.push_back(label);
  }
  std::stable_sort(wrong.begin(), wrong.end(),
                   [&](int64_t a, int64_t b) { return accuracy(a) < accuracy(b); });
  wrong.resize(std::min(most, wrong.size()));
  return wrong;
}

std::vector<Confusion::Mistake> Confusion::mistakes(size_t most) const {
  std::vector<Mistake> all;
  for (const auto& [pair, count] : counts_) {
    if (pair.first != pair.second) all.push_back({pair.first, pair.second, count});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Mistake& a, const Mistake& b) { return a.count > b.count; });
  all.resize(std::min(most, all.size()));
  return all;
}

}  // namespace xdn
