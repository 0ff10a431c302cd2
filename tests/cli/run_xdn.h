#pragma once

#include <string>
#include <vector>

namespace xdn::testing {

struct Finished {
  int code = -1;  ///< exit code, or -1 where a signal ended it
  int signal = 0;
  std::string out, err;
  double cpu_seconds = 0, seconds = 0;  ///< of all its threads; by the clock
  int most_threads = 0;                 ///< at once, as far as looks from time to time show
};

struct RunOptions {
  std::string cwd = {};          ///< empty: here
  bool close_stdout = false;     ///< start without descriptor 1
  bool reader_gone = false;      ///< stdout is a pipe that nobody reads any more
  std::string stdout_path = {};  ///< stdout goes to this file instead
  bool one_cpu = false;          ///< may run on one processor only
  double kill_after = 0;         ///< seconds until it gets SIGKILL, unless it has ended; 0: never
  double interrupt_after = 0;    ///< the same with SIGINT, after which it may go on
};

/// Runs the built xdn and waits for it; after two minutes it is killed.
Finished run_xdn(const std::vector<std::string>& arguments, const RunOptions& options = {});

/// Lines of text, without their ends.
std::vector<std::string> lines_of(const std::string& text);

}  // namespace xdn::testing
