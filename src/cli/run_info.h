#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace xdn::cli {

/// Puts before everything else in a verb's JSON how it came about: "command", the words as typed, quoted for
/// a shell where they need it and "xdn" for the program's path; "verb"; "environment".
void put_run_info(nlohmann::ordered_json& json, const std::string& verb);

/// "cpu", "isa_best", "threads_allowed", "ram_bytes", "kernel", "xdn_version", "date_utc": of this machine,
/// now.
nlohmann::ordered_json environment_json();

/// This process's words behind the program's name; failure where /proc does not tell.
std::vector<std::string> command_words();

/// The words with blanks between them; those that a POSIX shell would read otherwise stand in single quotes.
std::string shell_line(std::span<const std::string> words);

}  // namespace xdn::cli
