#include "kernels/gemm_problem.h"

#include <algorithm>
#include <cfloat>
#include <utility>

namespace xdn::testing {

using kernels::elem_bytes;
using kernels::GemmAct;

namespace {

constexpr uint8_t kUntouched = 0xA5;
constexpr int64_t kLead = 64;  ///< bytes before the output

std::unique_ptr<GuardedBytes> guarded(int64_t bytes) {
  return std::make_unique<GuardedBytes>(static_cast<size_t>(bytes));
}

float a_value(const GemmProblem& p, Uniform& uniform) {
  const bool i8 = p.arith == Arith::kI8;
  if (p.fill == Fill::kExtremes) return 255;
  if (p.fill == Fill::kTies) return static_cast<float>(i8 ? uniform.between(0, 3) : uniform.between(-3, 3));
  return i8 ? static_cast<float>(uniform.between(0, 255)) : uniform();
}

float b_value(const GemmProblem& p, Uniform& uniform, int64_t index, int64_t column) {
  if (p.fill == Fill::kExtremes) {
    const bool low = column % 3 == 0 || (column % 3 == 1 && index % 2 == 0);
    return low ? -128 : 127;
  }
  if (p.fill == Fill::kTies) return static_cast<float>(uniform.between(-40, 60));
  return p.arith == Arith::kI8 ? static_cast<float>(uniform.between(-128, 127)) : uniform();
}

}  // namespace

std::string describe(const GemmProblem& p) {
  std::string text = name(p.arith);
  text += ", rows " + std::to_string(p.rows) + ", columns " + std::to_string(p.stored) + " of " +
          std::to_string(p.columns) + ", words";
  for (const int64_t k : p.words) text += " " + std::to_string(k);
  text += ", fill " + std::to_string(static_cast<int>(p.fill)) + ", c " + name(p.c) + ", act " +
          std::to_string(static_cast<int>(p.act)) + ", residual ";
  text += p.residual ? name(*p.residual) : "none";
  if (p.residual_factor) text += " with a factor";
  if (p.middle) text += ", middle";
  if (p.start) text += ", start";
  return text;
}

float epilogue(const kernels::GemmArgs& args, Arith arith, float v, int64_t row, int64_t j, Tally& tally) {
  if (args.has_middle) {
    const float raised = v > args.middle_lo ? v : args.middle_lo;
    const auto kept = static_cast<double>(raised < args.middle_hi ? raised : args.middle_hi);
    tally.middle_ties += is_tie(kept);
    v = std::fma(static_cast<float>(round_half_even(kept)), args.middle_scale, args.middle_shift);
  }
  if (args.residual != nullptr) {
    const char* residual = static_cast<const char*>(args.residual) + row * args.ldr;
    v = std::fma(load_elem(args.residual_elem, residual, j), args.residual_scale, v);
  }
  if (args.act == GemmAct::kRelu) v = v > 0 ? v : 0;
  if (args.act == GemmAct::kLeakyRelu && v < 0) v *= args.lo;
  if (args.act == GemmAct::kClip) {
    v = v > args.lo ? v : args.lo;
    v = v < args.hi ? v : args.hi;
  }
  if (args.c_elem == Elem::kU8) {
    if (arith != Arith::kI8) v = std::fma(v, args.c_scale, args.c_shift);
    tally.below += v < 0;
    tally.above += v > 255;
    tally.ties += v > 0 && v < 255 && is_tie(static_cast<double>(v));
  } else if (args.c_elem == Elem::kBf16) {
    uint32_t bits;
    std::memcpy(&bits, &v, sizeof(bits));
    tally.ties += (bits & 0xFFFFu) == 0x8000u;
  }
  return v;
}

GemmData::GemmData(const GemmProblem& problem, uint64_t seed)
    : problem_(problem),
      bias_(static_cast<size_t>(problem.columns)),
      scale_(static_cast<size_t>(problem.columns)),
      start_(static_cast<size_t>(problem.columns)) {
  Uniform uniform(seed);
  fill_operands(uniform);
  set_epilogue(uniform);
  set_output(uniform);
}

void GemmData::fill_operands(Uniform& uniform) {
  const Elem elem = elem_of(problem_.arith);
  const int64_t per_word = 4 / elem_bytes(elem);
  for (const int64_t k : problem_.words) {
    const int64_t lda = k * 4 + uniform.between(0, 5) * elem_bytes(elem);
    auto a = guarded((problem_.rows - 1) * lda + k * 4), b = guarded(k * 4 * problem_.columns);
    for (int64_t r = 0; r < problem_.rows; ++r) {
      for (int64_t i = 0; i < k * per_word; ++i) {
        store_elem(elem, a->data() + r * lda, i, a_value(problem_, uniform));
      }
    }
    for (int64_t word = 0; word < k; ++word) {
      for (int64_t j = 0; j < problem_.columns; ++j) {
        for (int64_t i = 0; i < per_word; ++i) {
          const float value = b_value(problem_, uniform, word * per_word + i, j);
          const int64_t at = (word * problem_.columns + j) * per_word + i;
          if (elem == Elem::kU8) {
            b->data()[at] = static_cast<uint8_t>(static_cast<int8_t>(value));
          } else {
            store_elem(elem, b->data(), at, value);
          }
        }
      }
    }
    pairs_.push_back({a->data(), b->data(), k, lda});
    a_.push_back(std::move(a));
    b_.push_back(std::move(b));
  }
  args_.pairs = pairs_.data();
  args_.n_pairs = static_cast<int64_t>(pairs_.size());
  args_.panel_columns = problem_.columns;
  args_.store_columns = problem_.stored;
}

void GemmData::set_epilogue(Uniform& uniform) {
  const bool i8 = problem_.arith == Arith::kI8, random = problem_.fill == Fill::kRandom;
  int64_t products = 1;
  for (const int64_t k : problem_.words) products += 4 * k;
  // Random sums spread over and beyond the bytes.
  const float spread = 300 / (9000 * std::sqrt(static_cast<float>(products)));
  for (size_t j = 0; j < bias_.size(); ++j) {
    if (problem_.fill == Fill::kTies) {
      bias_[j] = static_cast<float>(uniform.between(-40, 40)) * 0.5f;
      scale_[j] = 0.5f;
    } else if (problem_.fill == Fill::kExtremes) {
      scale_[j] = 1;
    } else {
      bias_[j] = i8 ? 100 + 150 * uniform() : uniform();
      scale_[j] = spread * (1 + 0.5f * uniform());
    }
    start_[j] = static_cast<int32_t>(uniform.between(-9999, 9999)) / (random ? 1 : 99);
  }
  args_.bias = bias_.data();
  if (i8) args_.scale = scale_.data();
  if (i8 && problem_.start) args_.start = start_.data();

  args_.act = problem_.act;
  if (problem_.act == GemmAct::kLeakyRelu) args_.lo = random ? 0.3f : 0.5f;
  if (problem_.act == GemmAct::kClip) {
    constexpr std::pair<float, float> kByteBounds[] = {{20.25f, 200.75f}, {-30, 90.5f}, {10, 400}, {0, 255}};
    const bool bytes = i8 || !random;
    const auto bounds = bytes ? kByteBounds[uniform.between(0, 3)] : std::pair<float, float>(-0.5f, 0.75f);
    args_.lo = bounds.first;
    args_.hi = bounds.second;
  }
  args_.in_range = i8 && problem_.fill != Fill::kExtremes && uniform.between(0, 1) == 1;
  args_.has_middle = problem_.middle;
  if (problem_.middle) {
    args_.middle_lo = i8 || !random ? 3 : -1;
    args_.middle_hi = i8 || !random ? 240 : 2.75f;
    args_.middle_scale = random ? 0.7f : 0.5f;
    args_.middle_shift = random ? -0.9f : -8;
  }
  if (!i8) {
    args_.c_scale = random ? 111.1f : 0.5f;
    args_.c_shift = random ? 90.3f : 17;
  }
}

void GemmData::set_output(Uniform& uniform) {
  const int64_t c_bytes = elem_bytes(problem_.c);
  args_.c_elem = problem_.c;
  args_.ldc = (problem_.stored + uniform.between(1, 4)) * c_bytes;
  c_ = guarded(kLead + (problem_.rows - 1) * args_.ldc + problem_.stored * c_bytes);
  std::fill(c_->begin(), c_->end(), kUntouched);
  args_.c = c_->data() + kLead;

  args_.residual_scale = 1;
  if (!problem_.residual) return;
  const bool i8 = problem_.arith == Arith::kI8, random = problem_.fill == Fill::kRandom;
  const Elem elem = *problem_.residual;
  const int64_t bytes = elem_bytes(elem);
  args_.residual_elem = elem;
  args_.ldr = (problem_.stored + uniform.between(0, 3)) * bytes;
  residual_ = guarded((problem_.rows - 1) * args_.ldr + problem_.stored * bytes);
  for (int64_t r = 0; r < problem_.rows; ++r) {
    for (int64_t j = 0; j < problem_.stored; ++j) {
      const float value = elem == Elem::kU8 ? static_cast<float>(uniform.between(0, 255)) : uniform();
      const float whole = static_cast<float>(uniform.between(0, 9));
      store_elem(elem, residual_->data() + r * args_.ldr, j, random ? value : whole);
    }
  }
  args_.residual = residual_->data();
  if (!problem_.residual_factor) return;
  args_.residual_scale = !random ? 0.5f : elem == Elem::kU8 ? (i8 ? 0.6f : 1 / 77.0f) : (i8 ? 50.5f : 0.6f);
}

GemmData::Bounds GemmData::value_before_epilogue(int64_t row, int64_t j, bool to_the_bit) const {
  const Elem elem = elem_of(problem_.arith);
  const int64_t per_word = 4 / elem_bytes(elem);
  int64_t whole = args_.start == nullptr ? 0 : args_.start[j];
  float in_turn = args_.bias[j];
  double sum = static_cast<double>(in_turn), absolute = std::fabs(sum), products = 1;
  for (const kernels::GemmPair& pair : pairs_) {
    const char* a = static_cast<const char*>(pair.a) + row * pair.lda;
    for (int64_t i = 0; i < pair.k * per_word; ++i) {
      const int64_t at = (i / per_word * args_.panel_columns + j) * per_word + i % per_word;
      if (elem == Elem::kU8) {
        whole += int64_t{reinterpret_cast<const uint8_t*>(a)[i]} * static_cast<const int8_t*>(pair.b)[at];
        continue;
      }
      const float x = load_elem(elem, a, i), y = load_elem(elem, pair.b, at);
      if (to_the_bit) {
        in_turn = std::fma(x, y, in_turn);
      } else {
        const double product = static_cast<double>(x) * static_cast<double>(y);
        sum += product;
        absolute += std::fabs(product);
        products += 1;
      }
    }
  }
  if (elem == Elem::kU8) {
    const float v = std::fma(static_cast<float>(static_cast<int32_t>(whole)), args_.scale[j], args_.bias[j]);
    return {v, v};
  }
  if (to_the_bit) return {in_turn, in_turn};
  // One rounding per product of sums no larger than `absolute`, and denormals flushed.
  const double error = products * (absolute * 1.01 * 0x1p-24 + 0x1p-125);
  return {std::nextafter(static_cast<float>(sum - error), -FLT_MAX),
          std::nextafter(static_cast<float>(sum + error), FLT_MAX)};
}

std::string GemmData::difference(bool to_the_bit) {
  std::vector<uint8_t> low(c_->size(), kUntouched), high(low);
  const int64_t bytes = elem_bytes(args_.c_elem);
  for (int64_t r = 0; r < problem_.rows; ++r) {
    for (int64_t j = 0; j < problem_.stored; ++j) {
      // Every step of the epilogue is monotone, its rounding too.
      const Bounds v = value_before_epilogue(r, j, to_the_bit);
      const int64_t row = kLead + r * args_.ldc;
      store_elem(args_.c_elem, low.data() + row, j, epilogue(args_, problem_.arith, v.low, r, j, tally_));
      if (!to_the_bit)
        store_elem(args_.c_elem, high.data() + row, j, epilogue(args_, problem_.arith, v.high, r, j, tally_));
    }
  }
  const auto at = [&](int64_t r, int64_t j) {
    return " at row " + std::to_string(r) + ", column " + std::to_string(j) + ": " + describe(problem_);
  };
  for (int64_t r = 0; r < problem_.rows; ++r) {
    const int64_t row = kLead + r * args_.ldc;
    for (int64_t j = 0; j < problem_.stored; ++j) {
      const float got = load_elem(args_.c_elem, c_->data() + row, j);
      const float least = load_elem(args_.c_elem, low.data() + row, j);
      const float most = to_the_bit ? least : load_elem(args_.c_elem, high.data() + row, j);
      bool good = got >= least && got <= most;
      if (to_the_bit) {
        good = std::memcmp(c_->data() + row + j * bytes, low.data() + row + j * bytes,
                           static_cast<size_t>(bytes)) == 0;
      } else if (got == 0) {
        good = least < FLT_MIN && most > -FLT_MIN;
      }
      if (!good) {
        return "got " + std::to_string(got) + ", expected " + std::to_string(least) +
               (to_the_bit ? "" : " ... " + std::to_string(most)) + at(r, j);
      }
      std::memset(c_->data() + row + j * bytes, kUntouched, static_cast<size_t>(bytes));
    }
  }
  const auto touched = std::find_if(c_->begin(), c_->end(), [](uint8_t byte) { return byte != kUntouched; });
  if (touched == c_->end()) return "";
  const int64_t where = touched - c_->begin() - kLead;
  return "wrote outside its columns" + at(where / args_.ldc, where % args_.ldc / bytes);
}

}  // namespace xdn::testing
