#include "formats/caffe/preserved.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <sstream>

#include "base/error.h"
#include "base/log.h"
#include "formats/caffe/net.h"

namespace xdn {
namespace {

namespace pb = google::protobuf;

/// Far above what forks add; beyond it, it is weights of their own.
constexpr size_t kMaxWireBytes = size_t{1} << 20;

/// FNV-1a over the elements as they will be written.
std::string checksum(const Tensor& tensor) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
  for (size_t i = 0; i < tensor.bytes(); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return fmt::format("{:016x}", hash);
}

std::string to_hex(const std::string& bytes) {
  std::string out;
  for (const char byte : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return out;
}

std::string from_hex(const std::string& text) {
  const auto digit = [](char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; };
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    out += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
  return out;
}

/// Removes what a Graph holds and what is said anew on writing.
void keep_the_rest(caffe::LayerParameter& layer) {
  layer.clear_bottom();
  layer.clear_top();
  layer.clear_blobs();
  layer.clear_phase();
  layer.clear_include();
  layer.clear_exclude();
  layer.clear_input_param();
  // Which layers share weights is over once they are rewritten one by one.
  for (auto& param : *layer.mutable_param()) {
    param.clear_name();
    param.clear_share_mode();
  }
  const auto keep = [](auto& from, auto copy) {
    std::decay_t<decltype(from)> kept;
    copy(from, kept);
    from = std::move(kept);
  };
#define XDN_KEEP(field) \
  if (from.has_##field()) *kept.mutable_##field() = from.field();
#define XDN_KEEP_VALUE(field) \
  if (from.has_##field()) kept.set_##field(from.field());
  keep(*layer.mutable_convolution_param(), [](const auto& from, auto& kept) {
    XDN_KEEP(weight_filler)
    XDN_KEEP(bias_filler)
    XDN_KEEP_VALUE(engine)
    XDN_KEEP_VALUE(force_nd_im2col)
    XDN_KEEP_VALUE(input_format)
  });
  keep(*layer.mutable_inner_product_param(), [](const auto& from, auto& kept) {
    XDN_KEEP(weight_filler)
    XDN_KEEP(bias_filler)
  });
  keep(*layer.mutable_scale_param(), [](const auto& from, auto& kept) {
    XDN_KEEP(filler)
    XDN_KEEP(bias_filler)
  });
  keep(*layer.mutable_bias_param(), [](const auto& from, auto& kept) { XDN_KEEP(filler) });
  keep(*layer.mutable_prelu_param(), [](const auto& from, auto& kept) { XDN_KEEP(filler) });
  keep(*layer.mutable_batch_norm_param(),
       [](const auto& from, auto& kept) { XDN_KEEP_VALUE(moving_average_fraction) });
  keep(*layer.mutable_eltwise_param(), [](const auto& from, auto& kept) { XDN_KEEP_VALUE(stable_prod_grad) });
  const auto keep_engine = [](const auto& from, auto& kept) { XDN_KEEP_VALUE(engine) };
  keep(*layer.mutable_lrn_param(), keep_engine);
  keep(*layer.mutable_pooling_param(), keep_engine);
  keep(*layer.mutable_relu_param(), keep_engine);
  keep(*layer.mutable_sigmoid_param(), keep_engine);
  keep(*layer.mutable_softmax_param(), keep_engine);
#undef XDN_KEEP
#undef XDN_KEEP_VALUE
  for (const char* name :
       {"clip_param", "concat_param", "crop_param", "dropout_param", "flatten_param", "power_param",
        "reshape_param", "slice_param", "swish_param", "transform_param", "argmax_param"}) {
    layer.GetReflection()->ClearField(&layer, layer.GetDescriptor()->FindFieldByName(name));
  }
  // mutable_ made messages that the file has not.
  std::vector<const pb::FieldDescriptor*> fields;
  layer.GetReflection()->ListFields(layer, &fields);
  for (const auto* field : fields) {
    const bool message = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated();
    if (message && layer.GetReflection()->GetMessage(layer, field).ByteSizeLong() == 0)
      layer.GetReflection()->ClearField(&layer, field);
  }
}

/// Drops all fields but the unknown ones; returns whether there are any.
bool keep_unknown(pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  bool any = !reflection.GetUnknownFields(message).empty();
  for (const auto* field : fields) {
    const bool single = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated();
    if (single && keep_unknown(*reflection.MutableMessage(&message, field))) {
      any = true;
    } else {
      reflection.ClearField(&message, field);
    }
  }
  return any;
}

std::string printed_form(const pb::Message& message) {
  std::string text;
  pb::TextFormat::PrintToString(message, &text);
  return text;
}

const std::string* lookup(const Graph& graph, const char* key) {
  const auto found = graph.metadata.find(key);
  return found == graph.metadata.end() ? nullptr : &found->second;
}

/// The unknown fields of layer i of a network, be it of the old form or the new.
const UnknownText& unknown_of_layer(const UnknownText& net, size_t i) {
  static const UnknownText kNone;
  for (const auto& [name, unknown] : net.messages) {
    if ((name == "layer" || name == "layers") && i-- == 0) return unknown;
  }
  return kNone;
}

}  // namespace

Preserver::Preserver(const std::string& text, const caffe::NetParameter& parsed) {
  const UnknownText unknown = find_unknown_text(text, *caffe::NetParameter::descriptor());
  preserved_ = unknown.own;
  if (parsed.has_opt_level()) preserved_ += "opt_level: " + std::to_string(parsed.opt_level()) + "\n";
  const bool v1 = parsed.layers_size() > 0;
  for (int i = 0; i < (v1 ? parsed.layers_size() : parsed.layer_size()); ++i) {
    if (v1 && parsed.layers(i).has_layer()) continue;  // V0, which reading refuses
    caffe::LayerParameter layer = v1 ? upgrade_v1_layer(parsed.layers(i)) : parsed.layer(i);
    const std::string name = layer.name(), type = layer.type();
    if (name.empty() || type == "Input") continue;
    keep_the_rest(layer);
    layer.clear_name();
    layer.clear_type();
    const UnknownText& more = unknown_of_layer(unknown, static_cast<size_t>(i));
    if (layer.ByteSizeLong() == 0 && more.empty()) continue;
    layer.set_name(name);
    layer.set_type(type);
    preserved_ += "layer {\n" + with_unknown_text(printed_form(layer), more) + "}\n";
  }
}

void Preserver::add_wire(const caffe::LayerParameter& layer) {
  caffe::LayerParameter kept = layer;
  kept.clear_blobs();
  if (!keep_unknown(kept)) return;
  kept.set_name(layer.name());
  kept.set_type(layer.type());
  *wire_.add_layer() = std::move(kept);
}

void Preserver::add_weights(const std::string& layer, const Tensor& weights) {
  weights_ += checksum(weights) + " " + layer + "\n";
}

void Preserver::add_feature(const std::string& name) {
  if ((" " + features_ + " ").find(" " + name + " ") != std::string::npos) return;
  features_ += (features_.empty() ? "" : " ") + name;
}

void Preserver::store(std::map<std::string, std::string>& metadata) const {
  const auto put = [&](const char* key, const std::string& value) {
    if (!value.empty()) metadata[key] = value;
  };
  put("caffe.preserved", preserved_);
  put("caffe.weights", weights_);
  put("caffe.features", features_);
  const std::string wire = wire_.SerializeAsString();
  if (wire.size() <= kMaxWireBytes) {
    put("caffe.unknown", to_hex(wire));
  } else {
    log_warning(fmt::format("{} bytes of unknown fields in the caffemodel are not kept", wire.size()));
  }
}

PreservedFields::PreservedFields(const Graph& graph) {
  const pb::LogSilencer silence;
  if (const std::string* text = lookup(graph, "caffe.preserved")) {
    pb::TextFormat::Parser parser;
    parser.AllowUnknownField(true);
    caffe::NetParameter net;
    if (parser.ParseFromString(*text, &net)) {
      const UnknownText unknown = find_unknown_text(*text, *caffe::NetParameter::descriptor());
      network_ = unknown.own;
      if (net.has_opt_level()) network_ += "opt_level: " + std::to_string(net.opt_level()) + "\n";
      for (int i = 0; i < net.layer_size(); ++i) {
        layers_[net.layer(i).name()] = {net.layer(i), unknown_of_layer(unknown, static_cast<size_t>(i))};
      }
    }
  }
  caffe::NetParameter wire;
  const std::string* hex = lookup(graph, "caffe.unknown");
  if (hex != nullptr && wire.ParseFromString(from_hex(*hex))) {
    for (const auto& layer : wire.layer()) wire_[layer.name()] = layer.SerializeAsString();
  }
  if (const std::string* lines = lookup(graph, "caffe.weights")) {
    std::istringstream in(*lines);
    for (std::string hash, name; in >> hash && in.get() && std::getline(in, name);) weights_[name] = hash;
  }
}

const PreservedFields::Layer* PreservedFields::find_layer(const std::string& layer,
                                                          const std::string& type) const {
  const auto found = layers_.find(layer);
  return found != layers_.end() && found->second.known.type() == type ? &found->second : nullptr;
}

const caffe::LayerParameter* PreservedFields::find(const std::string& layer, const std::string& type) const {
  const Layer* kept = find_layer(layer, type);
  return kept == nullptr ? nullptr : &kept->known;
}

bool PreservedFields::same_weights(const std::string& layer, const Tensor& weights) const {
  const auto before = weights_.find(layer);
  return before != weights_.end() && checksum(weights) == before->second;
}

void PreservedFields::restore(caffe::LayerParameter& layer, const Tensor* weights) const {
  const Layer* kept = find_layer(layer.name(), layer.type());
  if (kept == nullptr) return;
  caffe::LayerParameter known = kept->known;
  if (layer.bottom_mlu_dtype_size() > 0) {
    known.clear_bottom_mlu_dtype();
    known.clear_blobs_dtype();
  }
  if (known.blobs_dtype_size() > 0 && (weights == nullptr || !same_weights(layer.name(), *weights))) {
    log_warning(
        fmt::format("layer '{}': its weights have changed, their quantization (blobs_dtype) is left out",
                    printable(layer.name())));
    known.clear_blobs_dtype();
  }
  layer.MergeFrom(known);
}

std::string PreservedFields::restore_text(const caffe::LayerParameter& layer,
                                          const std::string& printed) const {
  const Layer* kept = find_layer(layer.name(), layer.type());
  return kept == nullptr ? printed : with_unknown_text(printed, kept->unknown);
}

void PreservedFields::restore_wire(caffe::LayerParameter& layer) const {
  const auto found = wire_.find(layer.name());
  caffe::LayerParameter unknown;
  if (found == wire_.end() || !unknown.ParseFromString(found->second) || unknown.type() != layer.type())
    return;
  layer.MergeFrom(unknown);
}

}  // namespace xdn
