#include "cli/bad_input.h"
#include "cli/models.h"

namespace xdn::testing {
namespace {

using Command = std::vector<std::string>;

BadCase edited_text(const std::string& name, const std::string& from, const std::string& to,
                    const std::string& expected) {
  return {name,
          [=](const TempDir& dir) -> Command {
            return {"info", write_caffe(dir.path().string(), [&](std::string& text) {
                              replace(text, from, to);
                            }).spec()};
          },
          expected};
}

BadCase edited_weights(const std::string& name, const std::function<void(caffe::NetParameter&)>& edit,
                       const std::string& expected) {
  return {name,
          [=](const TempDir& dir) -> Command {
            return {"info", write_caffe(dir.path().string(), {}, edit).spec()};
          },
          expected};
}

BadCase damaged(const std::string& name, const std::function<void(const CaffeFiles&)>& damage,
                const std::string& expected) {
  return {name,
          [=](const TempDir& dir) -> Command {
            const CaffeFiles files = write_caffe(dir.path().string());
            damage(files);
            return {"info", files.spec()};
          },
          expected};
}

caffe::BlobProto& blob(caffe::NetParameter& net, int layer, int index) {
  return *net.mutable_layer(layer)->mutable_blobs(index);
}

std::vector<BadCase> files() {
  return {
      damaged(
          "caffemodel_truncated", [](const CaffeFiles& f) { truncate_file(f.caffemodel, 100); },
          "net\\.caffemodel: .*caffemodel"),
      damaged(
          "caffemodel_cut_by_one",
          [](const CaffeFiles& f) { truncate_file(f.caffemodel, read_text(f.caffemodel).size() - 1); },
          "net\\.caffemodel: .*caffemodel"),
      damaged(
          "caffemodel_first_bit_flipped", [](const CaffeFiles& f) { flip_bit(f.caffemodel, 0, 2); },
          "net\\.caffemodel: |net\\.prototxt: "),
      damaged(
          "caffemodel_length_flipped", [](const CaffeFiles& f) { flip_bit(f.caffemodel, 9, 6); },
          "net\\.caffemodel: |layer '"),
      damaged(
          "caffemodel_empty", [](const CaffeFiles& f) { truncate_file(f.caffemodel, 0); },
          "net\\.(caffemodel|prototxt): "),
      damaged(
          "caffemodel_is_text", [](const CaffeFiles& f) { write_text(f.caffemodel, "layer { }"); },
          "net\\.caffemodel: "),
      damaged(
          "caffemodel_missing", [](const CaffeFiles& f) { std::filesystem::remove(f.caffemodel); },
          "net\\.caffemodel: .*No such file"),
      damaged(
          "prototxt_missing", [](const CaffeFiles& f) { std::filesystem::remove(f.prototxt); },
          "net\\.prototxt: .*No such file"),
      damaged(
          "prototxt_empty", [](const CaffeFiles& f) { truncate_file(f.prototxt, 0); }, "net\\.prototxt: "),
      damaged(
          "prototxt_is_binary",
          [](const CaffeFiles& f) { write_text(f.prototxt, std::string("\x00\x01\xFF{{{", 6)); },
          "net\\.prototxt: "),
      damaged(
          "prototxt_nested_too_deep",
          [](const CaffeFiles& f) {
            std::string text;
            for (int i = 0; i < 100000; ++i) text += "layer {";
            write_text(f.prototxt, text);
          },
          "net\\.prototxt: "),
      {"caffe_files_swapped",
       [](const TempDir& dir) -> Command {
         const CaffeFiles f = write_caffe(dir.path().string());
         std::filesystem::rename(f.prototxt, dir / "x");
         std::filesystem::rename(f.caffemodel, f.prototxt);
         std::filesystem::rename(dir / "x", f.caffemodel);
         return {"info", f.spec()};
       },
       "net\\.prototxt: "},
      {"caffe_without_weights_file",
       [](const TempDir& dir) -> Command {
         return {"info", write_caffe(dir.path().string()).prototxt};
       },
       "net\\.prototxt: .*net\\.prototxt:weights\\.caffemodel"},
      {"caffe_empty_weights_name",
       [](const TempDir& dir) -> Command {
         return {"info", write_caffe(dir.path().string()).prototxt + ":"};
       },
       "net\\.prototxt:: .*after the colon"},
  };
}

std::vector<BadCase> layers() {
  return {
      edited_text("prototxt_syntax_error", "layer { name: \"relu\"", "layer { name \"relu\"",
                  "net\\.prototxt: "),
      edited_text("prototxt_unbalanced_brace",
                  "name: \"prob\" type: \"Softmax\" bottom: \"fc\" top: \"prob\" }", "name: \"prob\"",
                  "net\\.prototxt: "),
      edited_text("caffe_unknown_layer_type", "\"ReLU\"", "\"Frobnicate\"",
                  "net\\.prototxt: layer 'relu': .*Frobnicate"),
      edited_text("caffe_layer_without_weights", "name: \"conv\"", "name: \"conv9\"",
                  "net\\.(prototxt|caffemodel): layer 'conv9': .*no weights"),
      edited_text("caffe_dangling_bottom", "bottom: \"pool\"", "bottom: \"nobody\"",
                  "net\\.prototxt: layer 'fc': .*nobody"),
      edited_text("caffe_weights_for_other_outputs", "num_output: 3 bias_term", "num_output: 4 bias_term",
                  "layer 'conv': .*4,3,3,3"),
      edited_text("caffe_missing_bias", "num_output: 3 bias_term: false", "num_output: 3 bias_term: true",
                  "layer 'conv': "),
      edited_text("caffe_zero_stride", "stride: 1", "stride: 0", "net\\.prototxt: layer 'conv': .*stride"),
      edited_text("caffe_zero_kernel", "kernel_size: 3", "kernel_size: 0", "layer 'conv': .*kernel"),
      edited_text("caffe_huge_kernel", "kernel_size: 3", "kernel_size: 4294967295", "layer 'conv': "),
      edited_text("caffe_huge_pad", "pad: 1", "pad: 4294967295", "layer 'conv': "),
      edited_text("caffe_group_does_not_divide", "stride: 1", "stride: 1 group: 2", "layer 'conv': .*group"),
      edited_text("caffe_group_zero", "stride: 1", "stride: 1 group: 0", "layer 'conv': .*group"),
      edited_text("caffe_negative_input_dim", "dim: 8", "dim: -8", "net\\.prototxt: "),
      edited_text("caffe_zero_input_dim", "dim: 8", "dim: 0", "net\\.prototxt: "),
      edited_text("caffe_huge_input_dims", "dim: 8 dim: 8",
                  "dim: 4611686018427387904 dim: 4611686018427387904", "net\\.prototxt: "),
      edited_text("caffe_duplicate_weight_layer", "layer { name: \"prob\"",
                  "layer { name: \"conv\" type: \"InnerProduct\" bottom: \"fc\" top: \"fc2\"\n"
                  " inner_product_param { num_output: 3 } }\nlayer { name: \"prob\"",
                  "layer 'conv': "),
      edited_text("caffe_negative_num_output", "num_output: 3 bias_term", "num_output: -3 bias_term",
                  "net\\.prototxt: "),
      edited_text("caffe_zero_num_output", "num_output: 3 bias_term", "num_output: 0 bias_term",
                  "layer 'conv': "),
  };
}

std::vector<BadCase> blobs() {
  return {
      edited_weights(
          "caffe_blob_of_the_wrong_shape",
          [](caffe::NetParameter& net) {
            blob(net, 0, 0).mutable_shape()->set_dim(0, 9);
            blob(net, 0, 0).mutable_shape()->set_dim(1, 1);
          },
          "net\\.caffemodel: layer 'conv': "),
      edited_weights(
          "caffe_blob_too_short",
          [](caffe::NetParameter& net) { blob(net, 0, 0).mutable_data()->Truncate(80); },
          "net\\.caffemodel: layer 'conv': "),
      edited_weights(
          "caffe_blob_with_negative_dims",
          [](caffe::NetParameter& net) {
            blob(net, 0, 0).mutable_shape()->set_dim(0, -3);
            blob(net, 0, 0).mutable_shape()->set_dim(1, -3);
          },
          "net\\.caffemodel: layer 'conv': "),
      edited_weights(
          "caffe_blob_with_huge_dims",
          [](caffe::NetParameter& net) {
            for (int i = 0; i < 4; ++i) blob(net, 0, 0).mutable_shape()->set_dim(i, int64_t{1} << 62);
          },
          "net\\.caffemodel: layer 'conv': "),
      edited_weights(
          "caffe_blob_missing",
          [](caffe::NetParameter& net) { net.mutable_layer(1)->mutable_blobs()->RemoveLast(); },
          "net\\.caffemodel: layer 'fc': "),
      edited_weights(
          "caffe_blob_too_many",
          [](caffe::NetParameter& net) { *net.mutable_layer(0)->add_blobs() = net.layer(1).blobs(0); },
          "net\\.caffemodel: layer 'conv': "),
      edited_weights(
          "caffe_no_layers_at_all", [](caffe::NetParameter& net) { net.clear_layer(); },
          "net\\.caffemodel: "),
  };
}

}  // namespace

std::vector<BadCase> bad_caffe_cases() {
  std::vector<BadCase> all;
  for (const auto& part : {files(), layers(), blobs()}) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace xdn::testing
