#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/elements.h"
#include "kernels/kernel_table.h"
#include "support/guarded.h"

namespace xdn::testing {

/// What stands in the operands: anything; small whole numbers whose sums, halved, lie between two neighbours
/// as often as not; or, for i8, 255 times -128 and 127.
enum class Fill { kRandom, kTies, kExtremes };

struct GemmProblem {
  Arith arith = Arith::kF32;
  int64_t rows = 1;
  int64_t columns = 16, stored = 16;
  std::vector<int64_t> words;  ///< each pair's k
  Fill fill = Fill::kRandom;
  Elem c = Elem::kF32;
  kernels::GemmAct act = kernels::GemmAct::kNone;
  std::optional<Elem> residual;
  bool residual_factor = false;  ///< other than 1
  bool middle = false;
  bool start = false;
};
std::string describe(const GemmProblem& problem);

/// What the twin met on its way.
struct Tally {
  int64_t ties = 0, middle_ties = 0, below = 0, above = 0;
};

/// What gemm.h says of v between the sums and the store; the store rounds.
float epilogue(const kernels::GemmArgs& args, Arith arith, float v, int64_t row, int64_t j, Tally& tally);

/// The operands of a problem, each ending at a guard page, and its output among bytes that must stay as they
/// are.
class GemmData {
 public:
  GemmData(const GemmProblem& problem, uint64_t seed);

  const kernels::GemmArgs& args() const { return args_; }

  /// Compares the output with the twin's: to the bit, or, where the order of the sums' operations and their
  /// internal precision are the processor's own, with what sums off by their rounding errors give. Returns ""
  /// or the first difference.
  std::string difference(bool to_the_bit);
  const Tally& tally() const { return tally_; }

 private:
  struct Bounds {
    float low, high;
  };
  void fill_operands(Uniform& uniform);
  void set_epilogue(Uniform& uniform);
  void set_output(Uniform& uniform);
  Bounds value_before_epilogue(int64_t row, int64_t j, bool to_the_bit) const;

  GemmProblem problem_;
  kernels::GemmArgs args_{};
  std::vector<std::unique_ptr<GuardedBytes>> a_, b_;
  std::vector<kernels::GemmPair> pairs_;
  GuardedFloats bias_, scale_;
  Guarded<int32_t> start_;
  std::unique_ptr<GuardedBytes> residual_, c_;
  Tally tally_;
};

}  // namespace xdn::testing
