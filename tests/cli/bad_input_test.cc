#include "cli/bad_input.h"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>

#include "cli/run_xdn.h"

namespace xdn::testing {
namespace {

namespace fs = std::filesystem;

std::vector<BadCase> all_cases() {
  std::vector<BadCase> all;
  for (auto* cases : {bad_onnx_cases, bad_caffe_cases, bad_data_cases, bad_usage_cases}) {
    for (BadCase& one : cases()) all.push_back(std::move(one));
  }
  return all;
}

/// Every path beneath dir, with what files hold and where links point.
std::map<std::string, std::string> snapshot(const fs::path& dir) {
  std::map<std::string, std::string> all;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(dir)) {
    std::string content = "?";
    if (entry.is_symlink()) {
      content = "-> " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_directory()) {
      content = "folder";
    } else if (entry.is_regular_file()) {
      content = read_text(entry.path().string());
    }
    all[entry.path().string()] = content;
  }
  return all;
}

class BadInput : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadInput, GetsOneLineAndLeavesNothing) {
  const TempDir dir;
  const std::vector<std::string> arguments = GetParam().setup(dir);
  const std::map<std::string, std::string> before = snapshot(dir.path());
  const Finished finished = run_xdn(arguments, {.cwd = dir.path().string()});
  EXPECT_EQ(finished.code, 2) << "signal " << finished.signal;
  EXPECT_EQ(finished.out, "");
  const std::vector<std::string> lines = lines_of(finished.err);
  ASSERT_EQ(lines.size(), 1u) << finished.err;
  EXPECT_TRUE(lines[0].starts_with("xdn: ")) << lines[0];
  EXPECT_TRUE(finished.err.ends_with('\n'));
  EXPECT_TRUE(std::regex_search(lines[0], std::regex(GetParam().expected)))
      << "line:     " << lines[0] << "\nexpected: " << GetParam().expected;
  const std::map<std::string, std::string> after = snapshot(dir.path());
  for (const auto& [path, content] : after) {
    const auto found = before.find(path);
    EXPECT_TRUE(found != before.end()) << path << " was left behind";
    EXPECT_TRUE(found == before.end() || found->second == content) << path << " was changed";
  }
  EXPECT_EQ(after.size(), before.size()) << "something was removed";
}

INSTANTIATE_TEST_SUITE_P(Table, BadInput, ::testing::ValuesIn(all_cases()),
                         [](const ::testing::TestParamInfo<BadCase>& one) { return one.param.name; });

TEST(BadInputTable, IsLongAndItsNamesAreUnique) {
  std::set<std::string> names;
  for (const BadCase& one : all_cases()) EXPECT_TRUE(names.insert(one.name).second) << one.name;
  EXPECT_GE(names.size(), 50u);
}

}  // namespace
}  // namespace xdn::testing
