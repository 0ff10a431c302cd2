#include "graph/support.h"

namespace xdn {
namespace {

const char* const kImage = "input %x f32[N,3,4,5] ";

TEST(InferReshape, FreeBatch) {
  EXPECT_TYPE("f32[N,60]", kImage, "Reshape(%x) shape=[N,60]");
  EXPECT_TYPE("f32[1,N,4,15]", kImage, "Reshape(%x) shape=[1,N,4,15]");
  EXPECT_TYPE("f32[60,N]", kImage, "Reshape(%x) shape=[60,N]");
  EXPECT_TYPE("f32[6]", "input %x f32[2,3]", "Reshape(%x) shape=[6]");
  EXPECT_TYPE("f32[]", "input %x f32[1,1]", "Reshape(%x) shape=[]");
  EXPECT_TYPE("f32[0,7]", "input %x f32[3,0]", "Reshape(%x) shape=[0,7]");
  EXPECT_REFUSED("number of elements per image from 60 to 59", kImage, "Reshape(%x) shape=[N,59]");
  EXPECT_REFUSED("number of elements from 6 to 5", "input %x f32[2,3]", "Reshape(%x) shape=[5]");
  EXPECT_REFUSED("a reshape from [N,3,4,5] to [2,30] cannot be expressed with a free batch dimension", kImage,
                 "Reshape(%x) shape=[2,30]");
  EXPECT_REFUSED("cannot be expressed", "input %x f32[2,3]", "Reshape(%x) shape=[N,3]");
  EXPECT_REFUSED("more than one free batch dimension", kImage, "Reshape(%x) shape=[N,N,60]");
  EXPECT_REFUSED("larger than", "input %x f32[2,3]", "Reshape(%x) shape=[4294967296,4294967296]");
}

TEST(InferReshape, RefusesUnresolvedExtents) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::kF32, {2, 3});
  graph.set_outputs(
      {graph.output_of(graph.add_node(OpType::kReshape, ReshapeAttrs{{-2, 3}}, "r", {x}, "y"))});
  EXPECT_EQ(testing::error_of([&] { infer_shapes(graph); }), "layer 'r': negative extent in shape [-2,3]");
}

TEST(InferFlatten, FreeBatch) {
  EXPECT_TYPE("f32[N,60]", kImage, "Flatten(%x)");
  EXPECT_TYPE("f32[6,20]", "input %x f32[2,3,4,5]", "Flatten(%x) axis=2");
  EXPECT_TYPE("f32[1,120]", "input %x f32[2,3,4,5]", "Flatten(%x) axis=0");
  EXPECT_TYPE("f32[120,1]", "input %x f32[2,3,4,5]", "Flatten(%x) axis=4");
  EXPECT_TYPE("f32[1,N]", "input %x f32[N,1]", "Flatten(%x) axis=0");
  EXPECT_TYPE("f32[1,1]", "input %x f32[]", "Flatten(%x) axis=0");
  EXPECT_REFUSED("flattening [N,3,4,5] at axis 2 cannot be expressed with a free batch dimension", kImage,
                 "Flatten(%x) axis=2");
  EXPECT_REFUSED("cannot be expressed", kImage, "Flatten(%x) axis=0");
  EXPECT_REFUSED("axis must be between 0 and 4, but is 5", kImage, "Flatten(%x) axis=5");
  EXPECT_REFUSED("axis must be between 0 and 4, but is -1", kImage, "Flatten(%x) axis=-1");
}

TEST(InferTranspose, Permutations) {
  EXPECT_TYPE("f32[N,4,5,3]", kImage, "Transpose(%x) perm=[0,2,3,1]");
  EXPECT_TYPE("f32[3,N,4,5]", kImage, "Transpose(%x) perm=[1,0,2,3]");
  EXPECT_REFUSED("perm [0,1,2,2] is not a permutation of the 4 axes", kImage, "Transpose(%x) perm=[0,1,2,2]");
  EXPECT_REFUSED("not a permutation", kImage, "Transpose(%x) perm=[0,1,2,4]");
  EXPECT_REFUSED("not a permutation", kImage, "Transpose(%x) perm=[0,1,2,-1]");
  EXPECT_REFUSED("not a permutation", kImage, "Transpose(%x) perm=[0,1]");
  EXPECT_REFUSED("not a permutation", kImage, "Transpose(%x)");
}

TEST(InferConcat, Axes) {
  EXPECT_TYPE("f32[N,6,4,5]", kImage, "Concat(%x, %x)");
  EXPECT_TYPE("f32[N,3,4,15]", kImage, "Concat(%x, %x, %x) axis=3");
  EXPECT_TYPE("f32[N,3,4,5]", kImage, "Concat(%x) axis=0");
  EXPECT_REFUSED("concatenating along the batch", kImage, "Concat(%x, %x) axis=0");
  EXPECT_REFUSED("axis 4 is not an axis", kImage, "Concat(%x, %x) axis=4");
  EXPECT_REFUSED("another axis differs", "input %a f32[N,3,4] input %b f32[N,3,5]", "Concat(%a, %b)");
  EXPECT_REFUSED("another axis differs", "input %a f32[N,3] input %b f32[1,3]", "Concat(%a, %b)");
  EXPECT_REFUSED("the ranks differ", "input %a f32[N,3] input %b f32[N,3,1]", "Concat(%a, %b)");
  EXPECT_REFUSED("element types", "input %a f32[N,3] input %b u8[N,3]", "Concat(%a, %b)");
}

TEST(InferSlice, Clamps) {
  const auto slice = [](int64_t start, int64_t end, int64_t step) {
    const auto list = [](int64_t v) { return "[" + std::to_string(v) + "]"; };
    return testing::result_type("input %x f32[N,10]", "Slice(%x) axes=[1] starts=" + list(start) +
                                                          " ends=" + list(end) + " steps=" + list(step));
  };
  const int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(slice(0, 10, 1), "f32[N,10]");
  EXPECT_EQ(slice(2, 5, 1), "f32[N,3]");
  EXPECT_EQ(slice(0, most, 3), "f32[N,4]");
  EXPECT_EQ(slice(1, most, most), "f32[N,1]");
  EXPECT_EQ(slice(5, 2, 1), "f32[N,0]");
  EXPECT_EQ(slice(most, most, 1), "f32[N,0]");
  EXPECT_EQ(slice(9, -1, -1), "f32[N,10]");
  EXPECT_EQ(slice(most, -1, -4), "f32[N,3]");
  EXPECT_EQ(slice(9, 0, -1), "f32[N,9]");
  EXPECT_EQ(slice(9, -1, least), "f32[N,1]");
  EXPECT_EQ(slice(2, 5, -1), "f32[N,0]");
  EXPECT_TRUE(testing::contains(slice(0, 10, 0), "slice 0:10:0 of axis 1: the step must not be 0"));
  EXPECT_TRUE(testing::contains(slice(-3, 10, 1), "counted from the beginning"));
  EXPECT_TRUE(testing::contains(slice(0, -1, 1), "counted from the beginning"));
  EXPECT_TRUE(testing::contains(slice(0, -2, -1), "counted from the beginning"));
}

TEST(InferSlice, Axes) {
  EXPECT_TYPE("f32[N,3,2,2]", kImage, "Slice(%x) axes=[2,3] starts=[0,1] ends=[4,4] steps=[2,2]");
  EXPECT_TYPE("f32[N,3,4,5]", kImage, "Slice(%x)");
  EXPECT_TYPE("f32[N,3,4,5]", kImage, "Slice(%x) axes=[0] starts=[0] ends=[9223372036854775807] steps=[1]");
  EXPECT_TYPE("f32[0]", "input %x f32[0]", "Slice(%x) axes=[0] starts=[5] ends=[-1] steps=[-1]");
  EXPECT_REFUSED("cannot be expressed with a free batch", kImage,
                 "Slice(%x) axes=[0] starts=[0] ends=[1] steps=[1]");
  EXPECT_REFUSED("cannot be expressed", kImage,
                 "Slice(%x) axes=[0] starts=[0] ends=[9223372036854775807] steps=[2]");
  EXPECT_REFUSED("axis 2 is sliced twice", kImage,
                 "Slice(%x) axes=[2,2] starts=[0,0] ends=[1,1] steps=[1,1]");
  EXPECT_REFUSED("sliced axis 4 is not an axis", kImage, "Slice(%x) axes=[4] starts=[0] ends=[1] steps=[1]");
  EXPECT_REFUSED("must have the same length", kImage, "Slice(%x) axes=[2] starts=[0] ends=[1]");
}

TEST(InferPad, Modes) {
  EXPECT_TYPE("f32[N,3,6,6]", kImage, "Pad(%x) begin=[0,0,1,1] end=[0,0,1,0]");
  EXPECT_TYPE("f32[N,3,2,6]", kImage, "Pad(%x) begin=[0,0,-1,1] end=[0,0,-1,0] value=3");
  EXPECT_TYPE("f32[N,3,10,5]", kImage, "Pad(%x) mode=reflect begin=[0,0,3,0] end=[0,0,3,0]");
  EXPECT_TYPE("f32[N,3,104,5]", kImage, "Pad(%x) mode=edge begin=[0,0,100,0] end=[0,0,0,0]");
  EXPECT_REFUSED("must be smaller than its extent, 4, in reflect mode", kImage,
                 "Pad(%x) mode=reflect begin=[0,0,4,0] end=[0,0,0,0]");
  EXPECT_REFUSED("padding the batch", kImage, "Pad(%x) begin=[1,0,0,0] end=[0,0,0,0]");
  EXPECT_REFUSED("crop more than its extent, 4", kImage, "Pad(%x) begin=[0,0,-5,0] end=[0,0,5,0]");
  EXPECT_REFUSED("pads for 2 and 2 axes, but the input has 4", kImage, "Pad(%x) begin=[0,0] end=[0,0]");
  EXPECT_REFUSED("absurd", kImage,
                 "Pad(%x) begin=[0,0,9223372036854775807,0] end=[0,0,9223372036854775807,0]");
  EXPECT_REFUSED("an empty axis has no edge", "input %x f32[0]", "Pad(%x) mode=edge begin=[1] end=[0]");
}

TEST(InferGather, IndicesTakeTheAxis) {
  EXPECT_TYPE("f32[N,2,4,5]", std::string(kImage) + "const %i i64[2] [0,2]", "Gather(%x, %i)");
  EXPECT_TYPE("f32[N,4,5]", std::string(kImage) + "const %i i32[] [-3]", "Gather(%x, %i)");
  EXPECT_TYPE("f32[4,N]", "input %x f32[4,7] input %i i64[N]", "Gather(%x, %i)");
  EXPECT_REFUSED("index 3 is outside of axis 1, whose extent is 3",
                 std::string(kImage) + "const %i i64[2] [0,3]", "Gather(%x, %i)");
  EXPECT_REFUSED("index -4 is outside", std::string(kImage) + "const %i i64[] [-4]", "Gather(%x, %i)");
  EXPECT_REFUSED("gathering along the batch", std::string(kImage) + "const %i i64[] [0]",
                 "Gather(%x, %i) axis=0");
  EXPECT_REFUSED("indices must be i64 or i32, not f32", std::string(kImage) + "const %i f32[] [0]",
                 "Gather(%x, %i)");
  EXPECT_REFUSED("axis 0 is not an axis", "input %x f32[] const %i i64[] [0]", "Gather(%x, %i) axis=0");
}

TEST(InferReduceMean, Axes) {
  EXPECT_TYPE("f32[N,3,1,1]", kImage, "ReduceMean(%x) axes=[2,3]");
  EXPECT_TYPE("f32[N,3]", kImage, "ReduceMean(%x) axes=[2,3] keepdims=false");
  EXPECT_TYPE("f32[N,4]", kImage, "ReduceMean(%x) axes=[1,3] keepdims=false");
  EXPECT_REFUSED("averaging over the batch", kImage, "ReduceMean(%x) axes=[0]");
  EXPECT_REFUSED("axes must not be empty", kImage, "ReduceMean(%x)");
  EXPECT_REFUSED("ascending", kImage, "ReduceMean(%x) axes=[3,2]");
  EXPECT_REFUSED("ascending", kImage, "ReduceMean(%x) axes=[2,2]");
  EXPECT_REFUSED("reduced axis 4 is not an axis", kImage, "ReduceMean(%x) axes=[4]");
  EXPECT_REFUSED("reduced axis -1 is not an axis", kImage, "ReduceMean(%x) axes=[-1]");
}

}  // namespace
}  // namespace xdn
