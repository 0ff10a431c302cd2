#include "formats/caffe/unknown_text.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <map>

namespace xdn {
namespace {

namespace pb = google::protobuf;
using Token = pb::io::Tokenizer;

class Silent : public pb::io::ErrorCollector {
 public:
  void AddError(int /*line*/, int /*column*/, const std::string& /*message*/) override { failed = true; }
  bool failed = false;
};

/// Deeper than the parser goes.
constexpr int kMaxDepth = 64;

class Search {
 public:
  explicit Search(const std::string& text)
      : stream_(text.data(), static_cast<int>(text.size())), tokens_(&stream_, &errors_) {
    tokens_.set_allow_f_after_float(true);
    tokens_.set_comment_style(Token::SH_COMMENT_STYLE);
    tokens_.set_require_space_after_number(false);
    tokens_.set_allow_multiline_strings(true);
    tokens_.Next();
  }

  /// Fields up to the closing bracket or the end. schema: null inside of unknown messages.
  UnknownText fields(const pb::Descriptor* schema, int depth) {
    UnknownText out;
    while (!at_end() && !at("}") && !at(">")) {
      std::string name = take();
      if (name == "[") {
        while (!at_end() && !at("]")) name += take();
        name += take();
      }
      const pb::FieldDescriptor* field = schema == nullptr ? nullptr : schema->FindFieldByName(name);
      const bool colon = at(":");
      if (colon) take();
      if (field != nullptr && field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
        known_messages(*field, depth, out);
      } else {
        const std::string text = value(depth);
        if (field == nullptr) out.own.append(name).append(colon ? ": " : " ").append(text).append("\n");
      }
      if (at(";") || at(",")) take();
    }
    return out;
  }

 private:
  bool at_end() { return errors_.failed || tokens_.current().type == Token::TYPE_END; }
  bool at(const char* text) { return tokens_.current().text == text; }
  std::string take() {
    std::string text = tokens_.current().text;
    tokens_.Next();
    return text;
  }

  void known_messages(const pb::FieldDescriptor& field, int depth, UnknownText& out) {
    const bool list = at("[");
    if (list) take();
    while (!at_end() && !at("]")) {
      if (depth >= kMaxDepth || !(at("{") || at("<"))) {
        errors_.failed = true;
        return;
      }
      take();
      out.messages.emplace_back(field.name(), fields(field.message_type(), depth + 1));
      take();
      if (!list) return;
      if (at(",")) take();
    }
    if (list) take();
  }

  /// A value as one line of text.
  std::string value(int depth) {
    if (depth >= kMaxDepth) {
      errors_.failed = true;
      return {};
    }
    std::string out;
    if (at("{") || at("<")) {
      take();
      out = "{ ";
      out += fields(nullptr, depth + 1).own;
      std::replace(out.begin(), out.end(), '\n', ' ');
      out += "}";
      take();
    } else if (at("[")) {
      out = take();
      while (!at_end() && !at("]")) {
        out += value(depth + 1);
        if (at(",")) out.append(take()).append(" ");
      }
      out += take();
    } else {
      if (at("-")) out = take();
      const bool string = tokens_.current().type == Token::TYPE_STRING;
      out += take();
      while (string && !at_end() && tokens_.current().type == Token::TYPE_STRING)
        out.append(" ").append(take());
    }
    return out;
  }

  Silent errors_;
  pb::io::ArrayInputStream stream_;
  Token tokens_;
};

std::string indented(const std::string& lines, size_t indent) {
  std::string out;
  for (size_t at = 0; at < lines.size();) {
    const size_t end = std::min(lines.find('\n', at), lines.size());
    out.append(indent, ' ').append(lines, at, end - at).append("\n");
    at = end + 1;
  }
  return out;
}

}  // namespace

bool UnknownText::empty() const {
  return own.empty() && std::all_of(messages.begin(), messages.end(),
                                    [](const auto& entry) { return entry.second.empty(); });
}

UnknownText find_unknown_text(const std::string& text, const pb::Descriptor& schema) {
  return Search(text).fields(&schema, 0);
}

std::string with_unknown_text(const std::string& printed, const UnknownText& unknown, size_t indent) {
  std::string out = printed;
  std::map<std::string, size_t> after;  // message name -> where to look for the next of that name
  for (const auto& [name, inside] : unknown.messages) {
    const std::string head = std::string(indent, ' ').append(name).append(" {\n");
    const std::string tail = std::string("\n").append(indent, ' ').append("}\n");
    size_t begin = out.find(head, after[name]);
    while (begin != std::string::npos && begin != 0 && out[begin - 1] != '\n')
      begin = out.find(head, begin + 1);
    if (begin == std::string::npos) {
      if (!inside.empty()) {
        out += head + with_unknown_text("", inside, indent + 2);
        out.append(indent, ' ').append("}\n");
      }
      after[name] = out.size();
      continue;
    }
    begin += head.size();
    // An empty message closes on the next line.
    const size_t end = std::min(out.find(tail, begin - 1), out.size() - 1) + 1;
    const std::string body = with_unknown_text(out.substr(begin, end - begin), inside, indent + 2);
    out.replace(begin, end - begin, body);
    after[name] = begin + body.size();
  }
  return out + indented(unknown.own, indent);
}

}  // namespace xdn
