#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/child.h"
#include "cli/run_info.h"
#include "cli/train_flags.h"
#include "cli/verbs.h"

namespace xdn::cli {
namespace {

/// Training brings libtorch, which nothing else needs: it is a program of its own, beside this one.
int run(const TrainFlags& flags) {
  flags.check();
  std::vector<std::string> words = command_words();
  XDN_CHECK(!words.empty() && words[0] == "train");  // main() takes no word before the verb
  words.erase(words.begin());
  become_program(program_beside("xdn-train"), words);
}

}  // namespace

Action add_train(CLI::App& app) {
  const auto flags = std::make_shared<TrainFlags>();
  flags->add_options(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli
