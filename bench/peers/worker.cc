#include "peers/worker.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>

#include "base/error.h"
#include "base/tensor.h"

namespace xdn::bench {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

WorkerData map_data(const json& request) {
  WorkerData data;
  const std::string path = request.at("file");
  const Dims dims = request.at("dims");
  const std::string type = request.at("type");
  data.images = request.at("images");
  if (dims.size() != 3 || (type != "u8" && type != "f32")) throw input_error("expected u8 or f32, [c, h, w]");
  data.channels = dims[0], data.height = dims[1], data.width = dims[2];
  data.bytes = type == "u8";
  data.offset = request.value("offset", size_t{0});
  const size_t element = data.bytes ? 1 : sizeof(float);
  const Dims all{data.images, data.channels, data.height, data.width};
  const size_t needed = static_cast<size_t>(element_count(all, element)) * element;
  data.file = MappedFile(path);
  if (data.offset > data.file.size() || data.file.size() - data.offset < needed ||
      data.offset % element != 0) {
    throw input_error("holds fewer images than announced").in_file(path);
  }
  return data;
}

json time_batches(Engine& engine, const WorkerData& data, const json& request) {
  const int64_t batch = request.at("batch");
  const double wanted = request.at("seconds");
  if (batch < 1 || batch > data.images) throw input_error("batch is larger than the images at hand");
  std::vector<float> out;
  int64_t first = 0, done = 0;
  double elapsed = 0;
  const auto start = Clock::now();
  do {
    if (first + batch > data.images) first = 0;
    engine.run(data, first, batch, out);
    first += batch;
    done += batch;
    elapsed = seconds_since(start);
  } while (elapsed < wanted);
  return {{"images", done}, {"seconds", elapsed}};
}

json pass_over(Engine& engine, const WorkerData& data, const json& request) {
  const int64_t asked = request.at("batch");
  const int64_t batch = asked > 0 ? asked : data.images;
  std::vector<float> out, all;
  const auto start = Clock::now();
  for (int64_t first = 0; first < data.images; first += batch) {
    engine.run(data, first, std::min(batch, data.images - first), out);
    all.insert(all.end(), out.begin(), out.end());
  }
  const double elapsed = seconds_since(start);
  const std::string path = request.value("file", std::string());
  if (!path.empty()) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(all.data()),
               static_cast<std::streamsize>(all.size() * sizeof(float)));
    if (!file.flush()) throw failure("cannot write").in_file(path);
  }
  return {{"images", data.images},
          {"seconds", elapsed},
          {"outputs", static_cast<int64_t>(all.size()) / data.images}};
}

}  // namespace

json Engine::decode(const json&) { throw input_error("decodes no images"); }

int serve(Engine& engine) {
  WorkerData data;
  std::string line;
  while (std::getline(std::cin, line)) {
    json answer;
    try {
      const json request = json::parse(line);
      const std::string verb = request.at("do");
      if (verb == "load") {
        const auto start = Clock::now();
        answer = engine.load(request);
        answer["seconds"] = seconds_since(start);
      } else if (verb == "decode") {
        answer = engine.decode(request);
      } else if (verb == "data") {
        data = map_data(request);
      } else if (data.images < 1) {
        throw input_error("no data yet");
      } else if (verb == "time") {
        answer = time_batches(engine, data, request);
      } else if (verb == "pass") {
        answer = pass_over(engine, data, request);
      } else {
        throw input_error("unknown request '" + printable(verb) + "'");
      }
      answer["ok"] = true;
    } catch (const std::exception& error) {
      answer = {{"ok", false}, {"error", error.what()}};
    }
    std::cout << answer.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
  }
  return 0;
}

}  // namespace xdn::bench
