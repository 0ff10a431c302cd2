// The inner loops of the microkernels must keep their accumulators in registers: no vector goes to or comes
// from the stack between a loop's target and its backward jump.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

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

bool multiplies(const std::string& text) {
  return contains(text, "vfmadd") || contains(text, "vpdpbusd") || contains(text, "vdpbf16ps") ||
         contains(text, "vpmaddwd");
}

/// Optimised code has no frame pointer: locals are relative to the stack pointer, %rbp is a register like
/// others.
bool touches_stack(const std::string& text) {
  return contains(text, "(%rsp") && (contains(text, "%zmm") || contains(text, "%ymm"));
}

TEST(Disassembly, InnerLoopsKeepAccumulatorsInRegisters) {
#if !defined(NDEBUG) || !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "skipped: not an optimised build";
#endif
  const std::string text = output_of("objdump -d --no-show-raw-insn '" XDN_KERNELS_LIBRARY "'");
  if (text.empty()) GTEST_SKIP() << "skipped: no objdump";
  int loops = 0;
  for (const Function& function : parse(text)) {
    if (!contains(function.name, "gemm_")) continue;
    for (const Loop& loop : innermost_loops(function)) {
      int products = 0, vectors = 0;
      std::string spills;
      for (size_t i = loop.first; i <= loop.last; ++i) {
        const std::string& line = function.body[i].text;
        products += multiplies(line) ? 1 : 0;
        vectors += contains(line, "%zmm") || contains(line, "%ymm") ? 1 : 0;
        if (touches_stack(line)) spills += "\n    " + line;
      }
      if (products == 0 || vectors == 0) continue;
      ++loops;
      EXPECT_TRUE(spills.empty()) << function.name << spills;
    }
  }
  EXPECT_GE(loops, 50) << "the loops were not found: the test sees nothing";
}

}  // namespace
