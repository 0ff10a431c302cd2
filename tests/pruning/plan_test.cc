#include "pruning/plan.h"

#include <cstring>
#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "pruning/blocks.h"
#include "pruning/importance.h"
#include "pruning/support.h"
#include "support/nets.h"
#include "support/shared_data.h"

namespace xdn::testing {
namespace {

using pruning::apply_plan;
using pruning::find_groups;
using pruning::Groups;
using pruning::parse_plan;
using pruning::Plan;
using pruning::PlanStep;
using pruning::Removal;

/// Constants included.
void expect_identical(const Graph& a, const Graph& b) {
  EXPECT_EQ(print(a), print(b));
  for (const NodeId id : a.order()) {
    for (size_t i = 0; i < a.node(id).inputs.size(); ++i) {
      const ValueId x = a.node(id).inputs[i];
      if (!a.is_constant(x)) continue;
      const Tensor &s = a.constant(x), &t = b.constant(*b.find_value(a.value(x).name));
      ASSERT_EQ(s.bytes(), t.bytes());
      EXPECT_EQ(std::memcmp(s.raw(), t.raw(), s.bytes()), 0) << a.value(x).name;
    }
  }
}

Graph small_net(int64_t stem = 8, int64_t inner = 6) {
  NetBuilder net(3);
  ValueId x = net.input(3, 8, 8);
  x = net.conv(x, 3, stem, {3, 1, 1});
  for (int i = 0; i < 2; ++i) x = net.bottleneck(x, stem, inner, stem, 1);
  return net.finish(net.classifier(x, stem, 5));
}

/// A step that removes a block and, at random, channels; and what it leaves.
std::pair<PlanStep, Graph> some_step(const Graph& graph) {
  const std::vector<std::string> blocks{pruning::find_blocks(graph)[0].name};
  const Graph shallow = pruning::remove_named_blocks(graph, blocks);
  const Groups groups = find_groups(shallow, {"conv1"});
  const Removal removed = random_removal(shallow, groups, 50, 1);
  PlanStep step = plan_step(shallow, groups, removed, importance(shallow, groups, {}));
  step.method = "l2";
  step.seed = 1;
  step.keep = {"conv1"};
  step.blocks = blocks;
  return {step, pruning::remove_channels(shallow, groups, removed)};
}

TEST(Plan, ReplaysToTheSameModel) {
  const Graph graph = small_net();
  const auto [step, expected] = some_step(graph);
  const TempDir dir;
  pruning::write_plan({{step}}, dir / "plan.json");
  const Plan plan = pruning::read_plan(dir / "plan.json");
  expect_identical(apply_plan(graph, plan), expected);
  EXPECT_EQ(pruning::to_json(plan), read_file(dir / "plan.json"));
}

TEST(Plan, OfSeveralSteps) {
  const Graph graph = make_resnet50(32, 10);
  Plan plan;
  Graph at = graph;
  for (uint64_t seed = 0; seed < 2; ++seed) {
    const Groups groups = find_groups(at);
    const Removal removed = random_removal(at, groups, 30, seed, 8);
    plan.steps.push_back(plan_step(at, groups, removed));
    at = pruning::remove_channels(at, groups, removed);
  }
  expect_identical(apply_plan(graph, parse_plan(pruning::to_json(plan))), at);
}

TEST(Plan, IsReadable) {
  NetBuilder net(1);
  const ValueId a = net.conv(net.input(3, 4, 4), 3, 8, {});
  const Graph graph = net.finish(net.conv(a, 8, 2, {}));
  const Groups groups = find_groups(graph);
  Removal removed(8, false);
  removed[1] = removed[7] = true;
  PlanStep step = plan_step(graph, groups, removed, {1, 0.5, 1, 2, 3, 4, 5, 0.75});
  step.method = "by hand";
  step.seed = 7;
  EXPECT_EQ(pruning::to_json({{step}}), R"({"version": 1,
 "steps": [
  {"method": "by hand",
   "seed": 7,
   "keep": [],
   "blocks": [],
   "groups": [
    {"layers":["conv1"],"filters":[[0,7]],"kept":[0,[2,6]],"reason":"removed are worth 0.75 at most, kept 1 at least"}],
   "unprunable": [
    {"layers":[],"channels":3,"at":"","reason":"graph input 'data'"},
    {"layers":["conv2"],"channels":2,"at":"","reason":"graph output 'conv2'"}]}]}
)");
}

void expect_refused(const Graph& graph, const Plan& plan, const std::string& message) {
  try {
    apply_plan(graph, plan);
    FAIL() << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_EQ(error.what(), message);
  }
}

TEST(Plan, ForAnotherModel) {
  const auto [step, left] = some_step(small_net());
  (void)left;
  Plan plan{{step}};
  plan.steps[0].blocks.clear();
  expect_refused(small_net(), plan,
                 "layer 'conv5': the plan is for another model: it couples this layer otherwise");
  plan.steps[0].blocks = {"conv9"};
  expect_refused(small_net(), plan, "layer 'conv9': is not the sum at the end of a residual block");
  plan.steps[0] = step;
  expect_refused(
      small_net(8, 5), plan,
      "layer 'conv5': the plan is for another model: it knows 6 filters of this layer, the model has 5 "
      "filters there, or others");
  plan.steps[0] = step;
  plan.steps[0].groups.pop_back();
  expect_refused(small_net(), plan,
                 "layer 'conv6': the plan is for another model: it does not know this layer");
  plan.steps[0] = step;
  plan.steps[0].groups.push_back(step.groups[0]);
  plan.steps[0].groups.back().layers = {"more"};
  expect_refused(
      small_net(), plan,
      "layer 'more': the plan is for another model: it prunes this layer, the model has no more to prune");
  plan.steps[0] = step;
  plan.steps[0].groups[0].kept.clear();
  expect_refused(small_net(), plan, "layer 'conv5': all its channels would be removed");
}

TEST(Plan, BadFiles) {
  const std::string good = R"({"version": 1, "steps": [{"method": "", "seed": 1, "keep": [], "blocks": [],
    "groups": [{"layers": ["a"], "filters": [0, [1, 3]], "kept": [2], "reason": ""}], "unprunable": []}]})";
  EXPECT_EQ(parse_plan(good).steps[0].groups[0].filters, (std::vector<int32_t>{0, 1, 2, 3}));
  const struct {
    std::string from, to, message;
  } cases[] = {
      {good, "", "is not valid JSON: error at byte 1"},
      {good, "[]", "a pruning plan must be an object"},
      {good, "[[[[[[[[[[]]]]]]]]]]", "JSON is nested too deeply"},
      {"\"version\": 1", "\"version\": 2", "is a pruning plan of a version that this program does not know"},
      {"\"seed\": 1", "\"seed\": 1, \"seed\": 1", "holds 'seed' twice"},
      {"\"version\": 1,", "", "a pruning plan, field 'version', is missing"},
      {"\"seed\": 1", "\"seed\": -1",
       "step 1, field 'seed', must be an integer from 0 to 18446744073709551615"},
      {"\"method\": \"\"", "\"method\": 3", "step 1, field 'method', must be a string"},
      {"\"blocks\": []", "\"blocks\": [3]", "an entry of step 1, field 'blocks', must be a string"},
      {"\"keep\": []", "\"keep\": \"a\"", "step 1, field 'keep', must be an array"},
      {"[\"a\"]", "[]", "step 1, group 1, field 'layers', is empty"},
      {"[0, [1, 3]]", "[0, [1, 3, 4]]",
       "an entry of step 1, group 1, field 'filters', must be an integer from 0 to 1048575"},
      {"[0, [1, 3]]", "[0, [3, 1]]", "step 1, group 1, field 'filters', must ascend"},
      {"[0, [1, 3]]", "[1, [1, 3]]", "step 1, group 1, field 'filters', must ascend"},
      {"[0, [1, 3]]", "[0, 99999999999]",
       "an entry of step 1, group 1, field 'filters', must be an integer from 0 to 1048575"},
      {"[2]", "[4]", "layer 'a': step 1, group 1, field 'kept', holds what is no filter of the group"},
      {"[2]", "[1.5]", "an entry of step 1, group 1, field 'kept', must be an integer from 0 to 1048575"},
  };
  const TempDir dir;
  for (const auto& c : cases) {
    std::string text = good;
    text.replace(text.find(c.from), c.from.size(), c.to);
    std::ofstream(dir / "plan.json") << text;
    try {
      pruning::read_plan(dir / "plan.json");
      FAIL() << c.message;
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), dir / "plan.json" + ": " + c.message);
    }
  }
}

TEST(Plan, ALongListInFewBytes) {
  std::string groups;
  for (int i = 0; i < 20; ++i) {
    groups += std::string(i == 0 ? "" : ",") +
              R"({"layers": ["a"], "filters": [[0, 1048575]], "kept": [], "reason": ""})";
  }
  try {
    parse_plan(R"({"version": 1, "steps": [{"method": "", "seed": 1, "keep": [], "blocks": [], "groups": [)" +
               groups + R"(], "unprunable": []}]})");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "step 1, group 17, field 'filters', makes the plan too large");
  }
}

TEST(Plan, AFolderThatIsNotThere) {
  EXPECT_THROW(pruning::write_plan({}, "/nonexistent/plan.json"), Error);
  EXPECT_THROW(pruning::read_plan("/nonexistent/plan.json"), Error);
}

}  // namespace
}  // namespace xdn::testing
