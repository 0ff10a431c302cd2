#pragma once

#include <optional>

namespace xdn::optimize {

/// Which shares of the model's time to prune to, one after the other, in search of the least that stays
/// accurate enough. Stronger by a fixed factor while all do; from the first that does not, the geometric
/// middle between the least good one and the most that failed. The sequence follows from what was added
/// alone.
class Ladder {
 public:
  /// `least`: the share that widths and blocks allow. `rungs`: how many may be tried.
  Ladder(double first, double least, int rungs);

  /// The next share; nothing where all tries are used up or the bracket is narrow.
  std::optional<double> next() const;
  void add(double share, bool good);
  int left() const { return rungs_; }

 private:
  double first_, least_;
  int rungs_;
  double good_ = 1, failed_ = 0;  ///< the model itself counts as good until proven otherwise
};

}  // namespace xdn::optimize
