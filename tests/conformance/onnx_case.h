#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

namespace xdn::testing {

/// One of ONNX's own tests: a folder with model.onnx and test_data_set_N/{input,output}_M.pb.
struct OnnxCase {
  std::string name;
  std::filesystem::path folder;
  std::set<std::string> ops;
  int64_t opset = 0;
};
inline void PrintTo(const OnnxCase& test, std::ostream* out) { *out << test.name; }

/// The operators of ONNX that XDN reads.
const std::set<std::string>& listed_ops();

/// The tests below `root` whose model uses listed operators only, by name; none where there is no such
/// folder.
std::vector<OnnxCase> find_onnx_cases(const std::filesystem::path& root);

/// Imports the model, runs it on the reference executor and compares every output with the expected one.
/// Returns what went wrong, or an empty string.
std::string run_onnx_case(const OnnxCase& test);

/// Lines "name: reason"; empty ones and those that start with # are left out. Throws where a line is neither.
std::map<std::string, std::string> read_skip_list(const std::filesystem::path& path);

}  // namespace xdn::testing
