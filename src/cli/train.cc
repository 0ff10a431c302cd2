#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "base/error.h"
#include "cli/child.h"
#include "cli/train_flags.h"
#include "cli/verbs.h"

namespace xdn::cli {
namespace {

/// What stands behind "train" on this process's command line, word by word.
std::vector<std::string> words_behind_verb() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string line(std::istreambuf_iterator<char>(file), {});
  std::vector<std::string> words;
  for (size_t at = 0; at < line.size();) {
    const size_t end = std::min(line.find('\0', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  if (words.size() < 2 || words[1] != "train") throw failure("cannot read the command line from /proc");
  words.erase(words.begin(), words.begin() + 2);
  return words;
}

/// Training brings libtorch, which nothing else needs: it is a program of its own, beside this one.
int run(const TrainFlags& flags) {
  flags.check();
  become_program(program_beside("xdn-train"), words_behind_verb());
}

}  // namespace

Action add_train(CLI::App& app) {
  const auto flags = std::make_shared<TrainFlags>();
  flags->add_options(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli
