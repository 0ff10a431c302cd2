#include "report/browser.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <sstream>
#include <stdexcept>

namespace xdn::testing {
namespace {

constexpr int kPatience = 60'000;  // milliseconds, for one message

std::vector<uint8_t> from_base64(const std::string& text) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<uint8_t> bytes;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const size_t value = digits.find(c);
    if (value == std::string::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes.push_back(static_cast<uint8_t>(bits >> held));
    }
  }
  return bytes;
}

/// In the child: descriptor 3 to read commands from, 4 to write answers to, as --remote-debugging-pipe wants.
[[noreturn]] void become_browser(const std::string& program, const std::string& profile, int commands,
                                 int answers) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Both are above 9, so neither dup2 closes the other.
  if (dup2(commands, 3) < 0 || dup2(answers, 4) < 0) _exit(127);
  const int nothing = ::open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) dup2(nothing, fd);
  const std::string data = "--user-data-dir=" + profile;
  execl(program.c_str(), program.c_str(), "--headless=new", "--no-sandbox", "--disable-gpu",
        "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run",
        "--force-color-profile=srgb", "--remote-debugging-pipe", data.c_str(), "about:blank",
        static_cast<char*>(nullptr));
  _exit(127);
}

int above_nine(int fd) {
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
  close(fd);
  return moved;
}

}  // namespace

std::optional<std::string> find_chromium() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
      const std::string program = folder + "/" + name;
      if (access(program.c_str(), X_OK) == 0) return program;
    }
  }
  return std::nullopt;
}

Browser::Browser(const std::string& program) {
  std::array<int, 2> commands{}, answers{};
  if (pipe(commands.data()) != 0 || pipe(answers.data()) != 0) throw std::runtime_error("no pipe");
  for (int* fd : {&commands[0], &commands[1], &answers[0], &answers[1]}) *fd = above_nine(*fd);
  signal(SIGPIPE, SIG_IGN);
  child_ = fork();
  if (child_ < 0) throw std::runtime_error("cannot fork");
  if (child_ == 0) become_browser(program, profile_.path().string(), commands[0], answers[1]);
  close(commands[0]);
  close(answers[1]);
  to_ = commands[1];
  from_ = answers[0];
  const std::string target = call("Target.createTarget", {{"url", "about:blank"}})["targetId"];
  session_ = call("Target.attachToTarget", {{"targetId", target}, {"flatten", true}})["sessionId"];
  for (const char* domain : {"Page", "Runtime", "Log", "Network"}) call(std::string(domain) + ".enable");
}

Browser::~Browser() {
  close(to_);
  close(from_);
  kill(child_, SIGTERM);  // it takes its own children with it
  for (int tries = 0; tries < 50; ++tries) {
    if (waitpid(child_, nullptr, WNOHANG) == child_) return;
    usleep(100'000);
  }
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

void Browser::open(const std::string& path, const View& view) {
  call("Emulation.setDeviceMetricsOverride",
       {{"width", view.width}, {"height", 900}, {"deviceScaleFactor", 1}, {"mobile", view.width < 600}});
  const Json scheme{{"name", "prefers-color-scheme"}, {"value", view.dark ? "dark" : "light"}};
  call("Emulation.setEmulatedMedia",
       {{"media", view.print ? "print" : "screen"}, {"features", Json::array({scheme})}});
  problems_.clear();
  requests_.clear();
  loaded_ = false;
  call("Page.navigate", {{"url", "file://" + path}});
  while (!loaded_) take(receive());
  // Two frames later the charts have their final width.
  evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))");
}

Browser::Json Browser::evaluate(const std::string& expression) {
  const Json answer =
      call("Runtime.evaluate", {{"expression", expression}, {"returnByValue", true}, {"awaitPromise", true}});
  if (answer.contains("exceptionDetails")) throw std::runtime_error(answer["exceptionDetails"].dump());
  return answer["result"].value("value", Json());
}

Image Browser::screenshot(const Rect& rect) {
  const Json clip{{"x", rect.x}, {"y", rect.y}, {"width", rect.width}, {"height", rect.height}, {"scale", 1}};
  const Json answer =
      call("Page.captureScreenshot", {{"format", "png"}, {"captureBeyondViewport", true}, {"clip", clip}});
  return decode_image(from_base64(answer["data"]));
}

std::string Browser::print_to_pdf() {
  const std::vector<uint8_t> bytes = from_base64(call("Page.printToPDF")["data"]);
  return {bytes.begin(), bytes.end()};
}

Browser::Json Browser::call(const std::string& method, Json parameters) {
  Json command{{"id", ++calls_}, {"method", method}, {"params", std::move(parameters)}};
  if (!session_.empty()) command["sessionId"] = session_;
  const std::string text = command.dump() + '\0';
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t some = write(to_, text.data() + sent, text.size() - sent);
    if (some <= 0) throw std::runtime_error("the browser is gone");
    sent += static_cast<size_t>(some);
  }
  for (;;) {
    Json message = receive();
    if (message.value("id", 0) != calls_) {
      take(message);
    } else if (message.contains("error")) {
      throw std::runtime_error(method + ": " + message["error"].dump());
    } else {
      return message["result"];
    }
  }
}

Browser::Json Browser::receive() {
  for (;;) {
    if (const size_t end = buffer_.find('\0'); end != std::string::npos) {
      Json message = Json::parse(buffer_.substr(0, end));
      buffer_.erase(0, end + 1);
      return message;
    }
    pollfd waiting{from_, POLLIN, 0};
    if (poll(&waiting, 1, kPatience) <= 0) throw std::runtime_error("the browser does not answer");
    std::array<char, 65536> bytes;
    const ssize_t some = read(from_, bytes.data(), bytes.size());
    if (some <= 0) throw std::runtime_error("the browser is gone");
    buffer_.append(bytes.data(), static_cast<size_t>(some));
  }
}

void Browser::take(const Json& event) {
  const std::string method = event.value("method", "");
  const Json parameters = event.value("params", Json::object());
  if (method == "Page.loadEventFired") loaded_ = true;
  if (method == "Runtime.exceptionThrown" || method == "Log.entryAdded")
    problems_.push_back(parameters.dump());
  if (method == "Runtime.consoleAPICalled") problems_.push_back(parameters.dump());
  if (method == "Network.requestWillBeSent") requests_.push_back(parameters["request"]["url"]);
}

}  // namespace xdn::testing
