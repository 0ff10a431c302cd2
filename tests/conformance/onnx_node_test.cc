// ONNX's own tests, as Debian's libonnx-testdata ships them, on the reference executor.

#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "onnx_case.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

const std::vector<OnnxCase>& cases() {
  static const std::vector<OnnxCase> found = find_onnx_cases(XDN_ONNX_TESTDATA);
  return found;
}

const std::map<std::string, std::string>& skip_list() {
  static const auto list = read_skip_list(source_dir() / "tests" / "conformance" / "onnx_skip.txt");
  return list;
}

/// Without the data gtest would complain about a suite of no tests.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(OnnxNode);

class OnnxNode : public ::testing::TestWithParam<OnnxCase> {};

TEST_P(OnnxNode, Conforms) {
  const std::string wrong = run_onnx_case(GetParam());
  const auto skip = skip_list().find(GetParam().name);
  if (skip == skip_list().end()) {
    EXPECT_EQ(wrong, "");
    return;
  }
  EXPECT_NE(wrong, "") << "passes: take it off onnx_skip.txt";
  if (!wrong.empty()) GTEST_SKIP() << "skipped: " << skip->second << " (" << wrong << ")";
}

std::string case_name(const ::testing::TestParamInfo<OnnxCase>& test) { return test.param.name; }
INSTANTIATE_TEST_SUITE_P(Debian, OnnxNode, ::testing::ValuesIn(cases()), case_name);

TEST(OnnxSkipList, NamesTestsThatExistAndStaysShort) {
  if (cases().empty()) GTEST_SKIP() << "skipped: no libonnx-testdata";
  std::set<std::string> names;
  for (const OnnxCase& test : cases()) names.insert(test.name);
  for (const auto& [name, reason] : skip_list()) {
    EXPECT_TRUE(names.contains(name)) << name << " is no test of listed operators";
  }
  EXPECT_LT(skip_list().size() * 10, cases().size());
}

TEST(OnnxCoverage, EveryListedOperator) {
  if (cases().empty()) GTEST_SKIP() << "skipped: no libonnx-testdata";
  std::printf("%zu tests use listed operators only, %zu of them skipped\n", cases().size(),
              skip_list().size());
  std::printf("%-20s %6s  tests that are not skipped, by opset\n", "operator", "tests");
  for (const std::string& op : listed_ops()) {
    std::map<int64_t, int> by_opset;
    int total = 0;
    for (const OnnxCase& test : cases()) {
      if (!test.ops.contains(op) || skip_list().contains(test.name)) continue;
      ++by_opset[test.opset];
      ++total;
    }
    std::printf("%-20s %6d ", op.c_str(), total);
    for (const auto& [opset, count] : by_opset) std::printf(" %d:%d", static_cast<int>(opset), count);
    std::printf("\n");
    EXPECT_GT(total, 0) << op;
  }
}

}  // namespace
}  // namespace xdn::testing
