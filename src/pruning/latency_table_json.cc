// {"version": 1, "model": "resnet50", "structure": "<sha-256>",
//  "precision": "bf16", "isa": "avx512bf16", "fusion": "traditional", "cpu": "...",
//  "data_parallel": 2, "model_parallel": 1, "batch_tile": 0, "batch": 512,
//  "fixed": 3.9e-6,
//  "shapes": [
//   {"shape": "Conv 3x3 64x32x32 -> 64x32x32", "dense": true, "layers": ["a", "b"],
//    "points": [[16, 16, 1.2e-6], [in, out, seconds], ...]}, ...]}
#include "base/atomic_file.h"
#include "base/error.h"
#include "pruning/json_fields.h"
#include "pruning/latency_table.h"

namespace xdn::pruning {
namespace {

constexpr size_t kMostBytes = size_t{1} << 26;
constexpr uint64_t kVersion = 1, kMostWidth = uint64_t{1} << 40, kMostThreads = 4096;
constexpr uint64_t kMostBatch = uint64_t{1} << 31;

std::string shape_json(const LatencyShape& shape) {
  Json points = Json::array();
  for (const LatencyShape::Point& point : shape.points)
    points.push_back({point.in, point.out, point.seconds});
  Json row;
  row["shape"] = shape.shape;
  row["dense"] = shape.dense;
  row["layers"] = shape.layers;
  row["points"] = std::move(points);
  return line(row);
}

int64_t at_least_one(const Fields& fields, const char* name, uint64_t most) {
  const uint64_t value = fields.natural(name, most);
  if (value == 0) throw input_error(fields.at(name) + " must be at least 1");
  return static_cast<int64_t>(value);
}

LatencyShape parse_shape(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  LatencyShape shape{fields.string("shape"), fields.boolean("dense"), fields.strings("layers"), {}};
  for (const Json& entry : fields.array("points")) {
    const std::string at = "an entry of " + fields.at("points");
    if (!entry.is_array() || entry.size() != 3) throw input_error(at + " must be [in, out, seconds]");
    const auto width = [&](size_t i) {
      return static_cast<int64_t>(Fields::as_natural(entry[i], kMostWidth, at));
    };
    shape.points.push_back({width(0), width(1), Fields::as_amount(entry[2], at)});
  }
  return shape;
}

}  // namespace

std::string to_json(const LatencyTable& table) {
  const LatencyData& data = table.data();
  Json header;
  header["version"] = kVersion;
  header["model"] = data.model;
  header["structure"] = data.structure;
  header["precision"] = data.precision;
  header["isa"] = data.isa;
  header["fusion"] = data.fusion;
  header["cpu"] = data.cpu;
  header["data_parallel"] = data.data_parallel;
  header["model_parallel"] = data.model_parallel;
  header["batch_tile"] = data.batch_tile;
  header["batch"] = data.batch;
  header["fixed"] = data.fixed;
  std::string out = line(header);
  out.back() = ',';
  out += "\n \"shapes\": [";
  for (size_t i = 0; i < data.shapes.size(); ++i)
    out += (i == 0 ? "\n  " : ",\n  ") + shape_json(data.shapes[i]);
  return out + "]}\n";
}

LatencyTable parse_latency_table(const std::string& text) {
  const Json json = parse_json(text);
  const Fields fields(json, "a latency table");
  if (fields.natural("version", 1 << 20) != kVersion)
    throw input_error("is a latency table of a version that this program does not know");
  LatencyData data;
  data.model = fields.string("model");
  data.structure = fields.string("structure");
  data.precision = fields.string("precision");
  data.isa = fields.string("isa");
  data.fusion = fields.string("fusion");
  data.cpu = fields.string("cpu");
  data.data_parallel = at_least_one(fields, "data_parallel", kMostThreads);
  data.model_parallel = at_least_one(fields, "model_parallel", kMostThreads);
  data.batch_tile = static_cast<int64_t>(fields.natural("batch_tile", kMostBatch));
  data.batch = at_least_one(fields, "batch", kMostBatch);
  data.fixed = fields.amount("fixed");
  for (const Json& shape : fields.array("shapes"))
    data.shapes.push_back(parse_shape(shape, "shape " + std::to_string(data.shapes.size() + 1)));
  return LatencyTable(std::move(data));
}

void write_latency_table(const LatencyTable& table, const std::string& path) {
  AtomicFile file(path);
  file.write(to_json(table));
  file.commit();
}

LatencyTable read_latency_table(const std::string& path) {
  try {
    return parse_latency_table(read_file(path, kMostBytes));
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

}  // namespace xdn::pruning
