#include "formats/caffe_test_support.h"

namespace xdn::testing {
namespace {

const std::string kNet =
    input_layer({1, 2, 4, 4}) +
    layer("Convolution", {"data"}, {"conv"}, "convolution_param { num_output: 3 kernel_size: 3 }");

TEST(CaffeWeights, MatchedByNameNotByOrder) {
  const std::string net =
      input_layer({1, 2}) + layer("Scale", {"data"}, {"a"}) + layer("Scale", {"a"}, {"b"});
  const Graph graph = import_texts(
      net,
      WeightsFile().add("b", {{{2}, {10, 10}}}).add("unused", {{{7}, Floats(7)}}).add("a", {{{2}, {1, 2}}}));
  const auto values = run_all(graph, {Tensor::of<float>({1, 2}, {1, 1})});
  expect_near(values.at("a"), {1, 2}, {1, 2});
  expect_near(values.at("b"), {1, 2}, {10, 20});
}

TEST(CaffeWeights, AbsentOnesAreNamedWithWhatWasExpected) {
  EXPECT_EQ(import_failure(kNet),
            "net.prototxt: layer 'conv': has no weights in net.caffemodel (expected 2 blobs of shapes "
            "[3,2,3,3], [3])");
  EXPECT_EQ(import_failure(input_layer({1, 2}) + layer("Scale", {"data"}, {"s"})),
            "net.prototxt: layer 's': has no weights in net.caffemodel (expected 1 blob of shape [2])");
}

TEST(CaffeWeights, CountAndShape) {
  const auto failure_of = [](const std::vector<Dims>& blobs) {
    return import_failure(kNet, WeightsFile().add_noise("conv", blobs));
  };
  const std::string at = "net.caffemodel: layer 'conv': ";
  EXPECT_EQ(failure_of({{3, 2, 3, 3}}), at + "has 1 blob, expected 2 blobs of shapes [3,2,3,3], [3]");
  EXPECT_EQ(failure_of({{3, 2, 3, 3}, {3}, {3}}),
            at + "has 3 blobs, expected 2 blobs of shapes [3,2,3,3], [3]");
  EXPECT_EQ(failure_of({{3, 2, 3, 2}, {3}}), at + "blob 0 has shape [3,2,3,2], expected [3,2,3,3]");
  EXPECT_EQ(failure_of({{2, 3, 3, 3}, {3}}), at + "blob 0 has shape [2,3,3,3], expected [3,2,3,3]");
  EXPECT_EQ(failure_of({{54}, {3}}), at + "blob 0 has shape [54], expected [3,2,3,3]");
  EXPECT_EQ(failure_of({{3, 2, 3, 3}, {1}}), at + "blob 1 has shape [1], expected [3]");
}

std::string blob_failure(void (*damage)(caffe::BlobProto&)) {
  WeightsFile file;
  file.add_noise("conv", {{3, 2, 3, 3}, {3}});
  damage(*file.net().mutable_layer(1)->mutable_blobs(0));
  return import_failure(kNet, file);
}

TEST(CaffeWeights, DamagedBlobs) {
  const std::string at = "net.caffemodel: layer 'conv': ";
  EXPECT_EQ(blob_failure([](caffe::BlobProto& blob) { blob.mutable_data()->RemoveLast(); }),
            at + "blob 0 holds 53 elements, expected 54 for shape [3,2,3,3]");
  EXPECT_EQ(blob_failure([](caffe::BlobProto& blob) { blob.clear_data(); }),
            at + "blob 0 holds 0 elements, expected 54 for shape [3,2,3,3]");
  EXPECT_EQ(blob_failure([](caffe::BlobProto& blob) { blob.add_data(1); }),
            at + "blob 0 holds 55 elements, expected 54 for shape [3,2,3,3]");
  EXPECT_EQ(blob_failure([](caffe::BlobProto& blob) { blob.clear_shape(); }),
            at + "blob 0 has no shape, expected [3,2,3,3]");
  EXPECT_EQ(blob_failure([](caffe::BlobProto& blob) { blob.mutable_shape()->set_dim(0, -3); }),
            at + "blob 0 has a negative extent, expected [3,2,3,3]");
  EXPECT_EQ(blob_failure([](caffe::BlobProto& blob) { blob.mutable_shape()->set_dim(0, INT64_MAX); }),
            at + "blob 0 has shape [9223372036854775807,2,3,3], expected [3,2,3,3]");
  EXPECT_EQ(blob_failure([](caffe::BlobProto& blob) {
              for (int i = 0; i < 40; ++i) blob.mutable_shape()->add_dim(1);
            }),
            at + "blob 0 has 44 axes, expected [3,2,3,3]");
  EXPECT_EQ(blob_failure([](caffe::BlobProto& blob) {
              blob.clear_shape();
              blob.set_num(-1);
            }),
            at + "blob 0 has a negative extent, expected [3,2,3,3]");
}

TEST(CaffeWeights, DoublesBecomeFloats) {
  WeightsFile file;
  auto* scale = file.net().add_layer();
  scale->set_name("s");
  auto* blob = scale->add_blobs();
  blob->mutable_shape()->add_dim(2);
  blob->add_double_data(0.1);
  blob->add_double_data(-3);
  const Graph graph = import_texts(input_layer({1, 2}) + layer("Scale", {"data"}, {"s"}), file);
  expect_near(run_one(graph, {Tensor::of<float>({1, 2}, {10, 10})}), {1, 2}, {1, -30});
}

TEST(CaffeWeights, UnpackedDataAndExtraDiffs) {
  WeightsFile file;
  file.add("s", {{{2}, {2, 3}}});
  file.net().mutable_layer(1)->mutable_blobs(0)->add_diff(1);
  // A packed field may also come as single elements: field 5 as fixed32.
  std::string bytes = file.bytes();
  const Graph graph = import_texts(input_layer({1, 2}) + layer("Scale", {"data"}, {"s"}), bytes);
  expect_near(run_one(graph, {Tensor::of<float>({1, 2}, {1, 1})}), {1, 2}, {2, 3});
  const std::string blob("\x3A\x03\x0A\x01\x02\x2D\x00\x00\x00\x40\x2D\x00\x00\x40\x40", 15);
  const std::string with_name = std::string("\x0A\x01s\x3A", 4) + static_cast<char>(blob.size()) + blob;
  const std::string unpacked = std::string("\xA2\x06", 2) + static_cast<char>(with_name.size()) + with_name;
  const Graph same = import_texts(input_layer({1, 2}) + layer("Scale", {"data"}, {"s"}), unpacked);
  expect_near(run_one(same, {Tensor::of<float>({1, 2}, {1, 1})}), {1, 2}, {2, 3});
}

TEST(CaffeWeights, DuplicateNames) {
  const std::string net = input_layer({1, 2}) + layer("Scale", {"data"}, {"a"}, "", "same") +
                          layer("Scale", {"a"}, {"b"}, "", "same");
  EXPECT_EQ(import_failure(net, WeightsFile().add("same", {{{2}, {1, 2}}})),
            "net.prototxt: layer 'same': is a name that two layers with weights have; expected unique names");
  const std::string once = input_layer({1, 2}) + layer("Scale", {"data"}, {"a"}, "", "same");
  EXPECT_EQ(import_failure(once, WeightsFile().add("same", {{{2}, {1, 2}}}).add("same", {{{2}, {3, 4}}})),
            "net.caffemodel: layer 'same': stands twice in the file, with weights both times");
  // Without weights a name may repeat, as TRAIN and TEST data layers do.
  const Graph graph = import_texts(input_layer({1, 2}) + layer("ReLU", {"data"}, {"a"}, "", "same") +
                                   layer("ReLU", {"a"}, {"b"}, "", "same"));
  EXPECT_EQ(graph.order().size(), 2u);
}

TEST(CaffeWeights, LargeBlobsOfEitherType) {
  for (const bool doubles : {false, true}) {
    const Floats values = noise(300);
    WeightsFile file;
    auto* scale = file.net().add_layer();
    scale->set_name("s");
    auto* blob = scale->add_blobs();
    blob->mutable_shape()->add_dim(300);
    for (const float value : values) {
      if (doubles) {
        blob->add_double_data(static_cast<double>(value));
      } else {
        blob->add_data(value);
      }
      blob->add_diff(1);
    }
    const std::string net = input_layer({1, 300}) + layer("Scale", {"data"}, {"s"});
    const Graph graph = import_texts(net, file);
    expect_near(run_one(graph, {Tensor::of({1, 300}, Floats(300, 1))}), {1, 300}, values, 0);
    if (doubles) {
      blob->mutable_double_data()->RemoveLast();
    } else {
      blob->mutable_data()->RemoveLast();
    }
    EXPECT_EQ(import_failure(net, file),
              "net.caffemodel: layer 's': blob 0 holds 299 elements, expected 300 for shape [300]");
  }
}

TEST(CaffeWeights, TensorsOutliveTheFile) {
  // Writing one leaves the others alone.
  const Graph graph = import_texts(kNet, WeightsFile().add_noise("conv", {{3, 2, 3, 3}, {3}}));
  Tensor weight = graph.constant(node_named(graph, "conv").input(1));
  const float before = weight.data<float>()[0];
  weight.mutable_data<float>()[0] = before + 1;
  EXPECT_EQ(graph.constant(node_named(graph, "conv").input(1)).data<float>()[0], before);
}

}  // namespace
}  // namespace xdn::testing
