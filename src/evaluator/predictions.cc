#include "evaluator/predictions.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "evaluator/accuracy.h"

namespace xdn {
namespace {

constexpr std::string_view kHead = "index,label,prediction";
constexpr size_t kMostBytes = size_t{1} << 30;

/// Cuts the first line off, without its end; a carriage return before it goes too.
std::string_view cut_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

struct Row {
  int64_t index = 0, label = 0, prediction = 0;
};

std::optional<Row> parse_row(std::string_view line) {
  Row row;
  const char* at = line.data();
  const char* const end = at + line.size();
  for (int64_t* field : {&row.index, &row.label, &row.prediction}) {
    const auto [next, error] = std::from_chars(at, end, *field);
    if (error != std::errc()) return std::nullopt;
    at = next;
    if (field == &row.prediction) break;
    if (at == end || *at != ',') return std::nullopt;
    ++at;
  }
  if (at != end) return std::nullopt;
  return row;
}

Error bad_line(int64_t number, const std::string& expected) {
  return input_error("line " + std::to_string(number) + ": expected " + expected);
}

std::vector<Row> parse_rows(std::string_view text) {
  if (cut_line(text) != kHead) throw bad_line(1, std::string(kHead));
  std::vector<Row> rows;
  while (!text.empty()) {
    const int64_t number = std::ssize(rows) + 2;
    const std::optional<Row> row = parse_row(cut_line(text));
    if (!row) throw bad_line(number, "three whole numbers, " + std::string(kHead));
    if (row->index != std::ssize(rows)) throw bad_line(number, "the index " + std::to_string(rows.size()));
    rows.push_back(*row);
  }
  return rows;
}

}  // namespace

void write_predictions(const std::string& path, std::span<const int64_t> labels,
                       std::span<const int64_t> predictions) {
  XDN_CHECK(labels.size() == predictions.size());
  std::string text = std::string(kHead) + '\n';
  for (size_t i = 0; i < predictions.size(); ++i) {
    text += std::to_string(i) + ',' + std::to_string(labels[i]) + ',' + std::to_string(predictions[i]) + '\n';
  }
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

bool is_predictions_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;  // opening a FIFO would wait
  std::ifstream file(path, std::ios::binary);
  std::string head(kHead.size(), '\0');
  return file.read(head.data(), std::ssize(head)) && head == kHead;
}

std::vector<int64_t> read_predictions(const std::string& path, std::span<const int64_t> labels,
                                      int64_t outputs) {
  try {
    const std::vector<Row> rows = parse_rows(read_file(path, kMostBytes));
    if (rows.size() != labels.size()) {
      throw input_error("holds predictions of " + std::to_string(rows.size()) + " images, but " +
                        std::to_string(labels.size()) + " are evaluated");
    }
    std::vector<int64_t> predictions;
    predictions.reserve(rows.size());
    for (const Row& row : rows) {
      const int64_t label = labels[predictions.size()];
      const std::string image = "image " + std::to_string(row.index);
      if (row.label != label) {
        throw input_error(image + " has the label " + std::to_string(row.label) + ", but " +
                          std::to_string(label) + " in the data: these are predictions of other images");
      }
      if (row.prediction < -1 || row.prediction >= outputs) {
        throw input_error(image + " has the prediction " + std::to_string(row.prediction) +
                          ", expected -1 or one of the model's " + std::to_string(outputs) + " outputs");
      }
      predictions.push_back(row.prediction);
    }
    return predictions;
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

PairedPredictions pair_predictions(std::span<const int64_t> labels, std::span<const int64_t> a,
                                   std::span<const int64_t> b) {
  XDN_CHECK(labels.size() == a.size() && labels.size() == b.size());
  PairedPredictions pair{.images = std::ssize(labels)};
  for (size_t i = 0; i < labels.size(); ++i) {
    const bool right_a = a[i] == labels[i], right_b = b[i] == labels[i];
    pair.correct_a += right_a;
    pair.correct_b += right_b;
    pair.flips += a[i] != b[i];
    pair.right_to_wrong += right_a && !right_b;
    pair.wrong_to_right += !right_a && right_b;
  }
  return pair;
}

std::vector<WrongImage> confident_mistakes(std::span<const int64_t> labels,
                                           std::span<const int64_t> predictions,
                                           std::span<const float> logits, int64_t outputs, size_t most) {
  const auto width = static_cast<size_t>(outputs);
  XDN_CHECK(labels.size() == predictions.size() && logits.size() == labels.size() * width);
  std::vector<WrongImage> wrong;
  for (size_t i = 0; i < labels.size(); ++i) {
    const int64_t predicted = predictions[i];
    if (predicted < 0 || predicted == labels[i]) continue;
    const std::vector<double> probabilities = softmax(logits.subspan(i * width, width));
    wrong.push_back(
        {static_cast<int64_t>(i), labels[i], predicted, probabilities[static_cast<size_t>(predicted)]});
  }
  const auto kept = static_cast<std::ptrdiff_t>(std::min(most, wrong.size()));
  std::partial_sort(wrong.begin(), wrong.begin() + kept, wrong.end(),
                    [](const WrongImage& a, const WrongImage& b) {
                      return std::pair(-a.probability, a.index) < std::pair(-b.probability, b.index);
                    });
  wrong.resize(static_cast<size_t>(kept));
  return wrong;
}

}  // namespace xdn
