// The inner loop of every kernel of kernels.inc must do its products and keep its accumulators in registers:
// no vector goes to or comes from the stack between the loop's target and its backward jump.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/elements.h"
#include "kernels/kernel_rows.h"

namespace {

using xdn::kernels::Arith;
using xdn::testing::KernelRow;
using xdn::testing::kKernelRows;

struct Instruction {
  uint64_t address;
  std::string text;
};

struct Function {
  std::string name;
  std::vector<Instruction> body;
};

std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string text;
  std::array<char, 65536> block;
  while (pipe != nullptr) {
    const size_t got = fread(block.data(), 1, block.size(), pipe.get());
    if (got == 0) break;
    text.append(block.data(), got);
  }
  return text;
}

/// "0000000000000040 <name>:" starts a function, "  4c:\tvmovups ..." is an instruction.
std::vector<Function> parse(const std::string& text) {
  std::vector<Function> functions;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.size() > 18 && line[16] == ' ' && line[17] == '<' && line.back() == ':') {
      functions.push_back({line.substr(18, line.size() - 20), {}});
    } else if (const size_t colon = line.find(":\t"); colon != std::string::npos && !functions.empty()) {
      functions.back().body.push_back(
          {std::stoull(line.substr(0, colon), nullptr, 16), line.substr(colon + 2)});
    }
  }
  return functions;
}

/// Index range of a backward jump's target and the jump itself.
struct Loop {
  size_t first, last;
};

std::vector<Loop> innermost_loops(const Function& function) {
  std::vector<Loop> loops;
  for (size_t i = 0; i < function.body.size(); ++i) {
    const std::string& text = function.body[i].text;
    if (text.empty() || text[0] != 'j') continue;
    std::istringstream words(text);
    std::string mnemonic, target;
    if (!(words >> mnemonic >> target) || target.empty() || target[0] == '*') continue;
    const uint64_t address = std::stoull(target, nullptr, 16);
    if (address > function.body[i].address || address < function.body[0].address) continue;
    size_t first = i;
    while (first > 0 && function.body[first].address != address) --first;
    loops.push_back({first, i});
  }
  std::vector<Loop> inner;
  for (const Loop& a : loops) {
    bool holds_another = false;
    for (const Loop& b : loops) {
      holds_another = holds_another ||
                      (b.first >= a.first && b.last <= a.last && (b.first != a.first || b.last != a.last));
    }
    if (!holds_another) inner.push_back(a);
  }
  return inner;
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// The instruction that multiplies: in i8's kernels floats are multiplied too, after the sums.
bool multiplies(Arith arith, const std::string& text) {
  if (arith == Arith::kI8) return contains(text, "vpdpbusd") || contains(text, "vpmaddwd");
  return contains(text, "vfmadd") || contains(text, "vdpbf16ps");
}

/// A vector to or from the stack. Optimised code has no frame pointer where nothing is aligned, and locals
/// are relative to the stack pointer where something is.
bool touches_stack(const std::string& text) {
  return contains(text, "(%rsp") &&
         (contains(text, "%zmm") || contains(text, "%ymm") || contains(text, "%xmm"));
}

/// How many loops that multiply a function has, the most products in one, and the lines that touch the stack.
struct Found {
  int loops = 0, products = 0;
  std::string spills;
};

Found look(const Function& function, Arith arith) {
  Found found;
  for (const Loop& loop : innermost_loops(function)) {
    int products = 0;
    std::string spills;
    for (size_t i = loop.first; i <= loop.last; ++i) {
      const std::string& line = function.body[i].text;
      products += multiplies(arith, line) ? 1 : 0;
      if (touches_stack(line)) spills += "\n    " + line;
    }
    if (products == 0) continue;
    ++found.loops;
    found.products = std::max(found.products, products);
    found.spills += spills;
  }
  return found;
}

std::string mangled(const std::string& word) { return std::to_string(word.size()) + word; }

/// xdn::kernels::BUNDLE::(anonymous namespace)::KIND<
std::string prefix(const std::string& bundle, const std::string& kind) {
  return "_ZN3xdn7kernels" + mangled(bundle) + "12_GLOBAL__N_1" + mangled(kind) + "I";
}

/// Instructions that multiply, per accumulator and word: split words take two.
int products_per_dot(const KernelRow& row) {
  const bool native = row.arith == Arith::kF32 || std::string_view(row.bundle) == "avx512vnni" ||
                      std::string_view(row.bundle) == "avx512bf16";
  return native ? 1 : 2;
}

class Disassembly : public ::testing::Test {
 protected:
  void SetUp() override {
#if !defined(NDEBUG) || !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "skipped: not an optimised build";
#endif
#if !defined(__x86_64__)
    GTEST_SKIP() << "skipped: not x86-64";
#endif
    const std::string text = output_of("objdump -d --no-show-raw-insn '" XDN_KERNELS_LIBRARY "'");
    if (text.empty()) GTEST_SKIP() << "skipped: no objdump";
    functions_ = parse(text);
  }

  /// Functions of that bundle and kind whose first template argument is an arithmetic's class.
  std::vector<const Function*> find(const std::string& bundle, const std::string& kind, Arith arith) const {
    const std::string words[] = {"3F32E", "4Bf16E", "2I8E"},
                      widened[] = {"-", "11WidenedBf16E", "9WidenedI8E"};
    const auto a = static_cast<size_t>(arith);
    std::vector<const Function*> found;
    for (const Function& function : functions_) {
      if (function.name.rfind(prefix(bundle, kind), 0) != 0 || contains(function.name, ".cold")) continue;
      // What an argument's "E" ends: "NS2_3F32E" of a peak, "NS2_3F32ELi12ELi2E" of a kernel.
      if (contains(function.name, words[a].c_str()) || contains(function.name, widened[a].c_str())) {
        found.push_back(&function);
      }
    }
    return found;
  }

  std::vector<Function> functions_;
};

TEST_F(Disassembly, InnerLoopsKeepAccumulatorsInRegisters) {
  for (const KernelRow& row : kKernelRows) {
    // Of scalars, and the compiler may fold equal functions into one: nothing to count.
    if (std::string_view(row.bundle) == "ref") continue;
    const auto functions = find(row.bundle, "gemm", row.arith);
    for (int rows = 1; rows <= row.most_rows; ++rows) {
      const std::string shape = "ELi" + std::to_string(rows) + "ELi" + std::to_string(row.vectors) + "EE";
      const std::string what = std::string(row.bundle) + " " + xdn::testing::name(row.arith) + ", " +
                               std::to_string(rows) + " x " + std::to_string(row.vectors);
      const auto one = std::find_if(functions.begin(), functions.end(),
                                    [&](const Function* f) { return contains(f->name, shape.c_str()); });
      ASSERT_NE(one, functions.end()) << what;
      const Found found = look(**one, row.arith);
      EXPECT_EQ(found.loops, 1) << what;
      EXPECT_EQ(found.products, rows * row.vectors * products_per_dot(row)) << what;
      EXPECT_EQ(found.spills, "") << what;
    }
  }
}

TEST_F(Disassembly, RefHasKernelsOfEveryArithmetic) {
  for (const Arith arith : {Arith::kF32, Arith::kBf16, Arith::kI8}) {
    EXPECT_FALSE(find("ref", "gemm", arith).empty()) << xdn::testing::name(arith);
  }
}

/// A peak's loop holds its products and nothing from memory.
TEST_F(Disassembly, PeaksMultiplyInRegistersAlone) {
  std::map<std::string, KernelRow> families;
  for (const KernelRow& row : kKernelRows) {
    if (std::string_view(row.bundle) != "ref") {
      families.emplace(std::string(row.bundle) + " " + xdn::testing::name(row.arith), row);
    }
  }
  for (const auto& [what, row] : families) {
    const auto peaks = find(row.bundle, "peak", row.arith);
    ASSERT_EQ(peaks.size(), 1u) << what;
    const bool split = products_per_dot(row) == 2;
    const int sums = std::string_view(row.bundle) == "avx2" ? (split ? 8 : 12) : (split ? 20 : 24);
    const Found found = look(*peaks[0], row.arith);
    EXPECT_EQ(found.loops, 1) << what;
    EXPECT_EQ(found.products, 10 * sums * products_per_dot(row)) << what;
    for (const Loop& loop : innermost_loops(*peaks[0])) {
      for (size_t i = loop.first; i <= loop.last; ++i) {
        const std::string& line = peaks[0]->body[i].text;
        EXPECT_FALSE(contains(line, "(%")) << what << ": " << line;
      }
    }
  }
}

}  // namespace
