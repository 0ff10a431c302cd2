#include "training/sparsity.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "pruning/importance.h"
#include "pruning/surgery.h"
#include "support/shared_data.h"
#include "training/training_support.h"

namespace xdn::testing {
namespace {

using pruning::find_groups;
using pruning::Groups;
using pruning::Plan;
using pruning::Removal;
using training::Module;
using training::SparsityKind;
using training::SparsityOptions;
using training::TrainData;
using training::TrainObserver;
using training::TrainOptions;
using training::TrainResult;

/// BatchNorms of both kinds, a residual sum, a convolution with a bias.
constexpr const char* kNet = R"(graph "g" {
 input %x f32[N,3,8,8]
 const %w1 f32[8,3,3,3] random(1)
 const %g1 f32[8] fill(1)
 const %b1 f32[8] fill(0.1)
 const %m1 f32[8] fill(0)
 const %v1 f32[8] fill(1)
 const %w2 f32[6,8,3,3] random(2)
 const %one f32[6] fill(1)
 const %zero f32[6] fill(0)
 const %m2 f32[6] fill(0)
 const %v2 f32[6] fill(1)
 const %s2 f32[6,1,1] fill(1)
 const %t2 f32[6,1,1] fill(0.1)
 const %w3 f32[8,6,1,1] random(3)
 const %b3 f32[8] random(4)
 const %fc f32[8,3] random(5)
 const %bias f32[3] fill(0)
 %conv1 = Conv(%x, %w1) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
 %bn1 = BatchNorm(%conv1, %g1, %b1, %m1, %v1)
 %relu1 = Relu(%bn1)
 %conv2 = Conv(%relu1, %w2) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
 %bn2 = BatchNorm(%conv2, %one, %zero, %m2, %v2)
 %mul2 = Mul(%bn2, %s2)
 %add2 = Add(%mul2, %t2)
 %relu2 = Relu(%add2)
 %conv3 = Conv(%relu2, %w3, %b3) kernel=[1,1]
 %sum = Add(%conv3, %relu1)
 %relu3 = Relu(%sum)
 %pool = GlobalAveragePool(%relu3)
 %flat = Flatten(%pool) axis=1
 %logits = Gemm(%flat, %fc, %bias)
 output %logits
})";

Graph small_net() { return parse_graph(kNet); }

/// Three of the trunk's eight and two of the inner six.
Plan some_plan(const Graph& graph) {
  const Groups groups = find_groups(graph);
  Removal removed(static_cast<size_t>(groups.unit_count()), false);
  for (const pruning::Group& group : groups.groups) {
    for (int32_t u = 0; u < (group.trunk ? 3 : 2); ++u)
      removed[static_cast<size_t>(group.first_unit + 2 * u)] = true;
  }
  return {{plan_step(graph, groups, removed)}};
}

std::vector<float> logits_of(const Graph& graph, const Colors& colors) {
  const at::NoGradGuard no_grad;
  const training::PixelTransform transform(some_preprocess(), 8);
  const auto set = colors.set();
  at::Tensor x = at::empty({set.size(), 8, 8, 3});
  for (int64_t i = 0; i < set.size(); ++i)
    transform.apply(set, i, x.data_ptr<float>() + i * set.image_bytes());
  const at::Tensor logits = Module(graph).forward(x.permute({0, 3, 1, 2})).logits.contiguous();
  return {logits.data_ptr<float>(), logits.data_ptr<float>() + logits.numel()};
}

void expect_close(const std::vector<float>& a, const std::vector<float>& b, float tolerance) {
  ASSERT_EQ(a.size(), b.size());
  float spread = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], tolerance) << i;
    spread = std::max(spread, std::abs(a[i] - a[0]));
  }
  EXPECT_GT(spread, 100 * tolerance) << "all outputs are alike";
}

std::vector<double> norms_of(const Graph& graph) {
  return pruning::importance(graph, find_groups(graph),
                             {.normalize = pruning::Normalize::kNone, .given = {}});
}

class SparsityTraining : public ::testing::Test {
 protected:
  SparsityTraining() { data_.val = val_.set(); }
  TrainOptions options(SparsityKind kind, double strength, const std::string& run) {
    TrainOptions o = tiny_options(dir_ / run);
    o.ema = 0;
    o.warmup = 0;
    o.rate = 0.02;
    o.sparsity = SparsityOptions{.kind = kind, .strength = strength};
    if (kind != SparsityKind::kGroupLasso) o.sparsity->plan = some_plan(small_net());
    return o;
  }
  TrainResult run(const TrainOptions& o, const TrainObserver& observer = {}) {
    return train(small_net(), some_preprocess(), data_, std::nullopt, o, observer);
  }
  /// The plan replays, and without the units that it names the model says the same.
  Removal expect_removable(const TrainResult& result, float tolerance = 1e-4f) {
    const Plan plan = pruning::read_plan(result.plan_file);
    const Groups groups = find_groups(result.graph);
    const Removal removed = removal_of(result.graph, groups, plan.steps.at(0));
    EXPECT_EQ(result.units, groups.unit_count());
    EXPECT_EQ(result.units_to_go, std::count(removed.begin(), removed.end(), true));
    expect_close(logits_of(apply_plan(result.graph, plan), val_), logits_of(result.graph, val_), tolerance);
    return removed;
  }
  void expect_resumes(const TrainOptions& straight_options) {
    const TrainResult straight = run(straight_options);
    TrainObserver stop;
    stop.on_epoch = [](const training::EpochReport& report) {
      if (report.epoch == 2) throw Stopped();
    };
    TrainOptions parts = straight_options;
    parts.run_folder = dir_ / "parts";
    EXPECT_THROW(run(parts, stop), Stopped);
    parts.resume = true;
    const TrainResult resumed = run(parts);
    EXPECT_EQ(resumed.resumed_from, 2);
    EXPECT_EQ(print(resumed.graph, 1 << 20), print(straight.graph, 1 << 20));
    EXPECT_EQ(read_file(resumed.plan_file), read_file(straight.plan_file));
    const auto a = log_of(straight_options.run_folder), b = log_of(parts.run_folder);
    for (size_t i = 1; i <= 4; ++i) EXPECT_EQ(a.at(i).at("sparsity"), b.at(i).at("sparsity"));
    // Nothing is left to do: the same choice again.
    const TrainResult again = run(parts);
    EXPECT_EQ(print(again.graph, 1 << 20), print(straight.graph, 1 << 20));
    EXPECT_EQ(read_file(again.plan_file), read_file(straight.plan_file));
  }
  TempDir dir_;
  Colors train_{192, 1}, val_{48, 2};
  TrainData data_{train_.set(), std::nullopt, std::nullopt};
};

TEST_F(SparsityTraining, GroupLassoMakesUnitsZero) {
  const TrainOptions o = options(SparsityKind::kGroupLasso, 1.2, "run");
  const TrainResult result = run(o);
  const Removal removed = expect_removable(result);
  EXPECT_GT(result.units_to_go, 0);
  EXPECT_LT(result.units_to_go, result.units);
  const auto log = log_of(o.run_folder);
  EXPECT_EQ(log.at(0).at("settings").at("sparsity"), "group-lasso");
  EXPECT_NEAR(log.at(4).at("sparsity").get<double>(),
              static_cast<double>(result.units_to_go) / static_cast<double>(result.units), 0.08);
  const std::vector<double> norms = norms_of(result.graph);
  for (size_t u = 0; u < removed.size(); ++u) {
    if (removed[u]) {
      EXPECT_EQ(norms[u], 0) << u;
    }
  }
  EXPECT_EQ(result.best_epoch, 4) << "not the last epoch's weights";

  // Without strength, nothing happens.
  EXPECT_EQ(run(options(SparsityKind::kGroupLasso, 0, "none")).units_to_go, 0);
  TrainOptions plain = options(SparsityKind::kGroupLasso, 0, "plain");
  data_.val.reset();
  const std::string weights = print(run(plain).graph, 1 << 20);
  plain.sparsity.reset();
  plain.run_folder = dir_ / "without";
  EXPECT_EQ(print(run(plain).graph, 1 << 20), weights);
}

TEST_F(SparsityTraining, AGroupThatIsZeroKeepsAUnitInThePlan) {
  const TrainResult result = run(options(SparsityKind::kGroupLasso, 1e4, "run"));
  EXPECT_EQ(log_of(dir_ / "run").at(4).at("sparsity"), 1.0);
  const Plan plan = pruning::read_plan(result.plan_file);
  for (const auto& group : plan.steps.at(0).groups) EXPECT_EQ(group.kept.size(), 1u);
  verify(apply_plan(result.graph, plan));
}

TEST_F(SparsityTraining, GroupLassoOfAPlanSparesTheRest) {
  TrainOptions o = options(SparsityKind::kGroupLasso, 10, "run");
  o.sparsity->plan = some_plan(small_net());
  const TrainResult result = run(o);
  const Removal removed = expect_removable(result);
  EXPECT_EQ(removed, removal_of(small_net(), find_groups(small_net()), o.sparsity->plan->steps[0]));
  const std::vector<double> norms = norms_of(result.graph);
  for (size_t u = 0; u < removed.size(); ++u) EXPECT_EQ(norms[u] == 0, removed[u]) << u;
}

TEST_F(SparsityTraining, GrowingMakesThePlannedUnitsVanish) {
  const TrainOptions o = options(SparsityKind::kGrowing, 100, "run");
  (void)run(o);
  const Removal removed = expect_removable(run(options(SparsityKind::kGrowing, 1000, "strong")), 2e-3f);
  EXPECT_EQ(removed, removal_of(small_net(), find_groups(small_net()), o.sparsity->plan->steps[0]));
  const auto log = log_of(o.run_folder);
  EXPECT_GT(log.at(1).at("sparsity").get<double>(), 2 * log.at(4).at("sparsity").get<double>());
  EXPECT_LT(log.at(4).at("sparsity").get<double>(), 0.02);
  (void)run(options(SparsityKind::kGrowing, 0.1, "gentle"));
  EXPECT_GT(log_of(dir_ / "gentle").at(4).at("sparsity").get<double>(), 0.2);
}

TEST_F(SparsityTraining, SoftChoosesAnewAndEndsAtZero) {
  const TrainOptions o = options(SparsityKind::kSoft, 0, "run");
  const TrainResult result = run(o);
  const Removal removed = expect_removable(result);
  const Groups groups = find_groups(small_net());
  const std::vector<double> norms = norms_of(result.graph);
  for (const pruning::Group& group : groups.groups) {
    int64_t gone = 0;
    for (auto u = static_cast<size_t>(group.first_unit); u < static_cast<size_t>(group.end_unit()); ++u) {
      gone += removed[u] ? 1 : 0;
      EXPECT_EQ(norms[u] == 0, removed[u]) << u;
    }
    EXPECT_EQ(gone, group.trunk ? 3 : 2);
  }
  EXPECT_NE(removed, removal_of(small_net(), groups, o.sparsity->plan->steps[0]))
      << "the plan's own units: nothing was chosen";
  for (size_t i = 1; i <= 4; ++i) {
    const double held = log_of(o.run_folder).at(i).at("sparsity").get<double>();
    EXPECT_GT(held, 0) << "filters did not grow again before epoch " << i;
    EXPECT_LT(held, 0.7);
  }
  // Filters that were zeroed are small, and so are chosen again: those to go hold less and less.
  const auto held_at = [&](size_t epoch) {
    return log_of(o.run_folder).at(epoch).at("sparsity").get<double>();
  };
  EXPECT_LT(held_at(4), 0.8 * held_at(1));
}

/// By the filters' own l2, whatever a BatchNorm makes of them.
TEST(Sparsity, SoftChoosesByFiltersThatAreNotFolded) {
  Graph graph = small_net();
  const auto scale = [&](const char* name, size_t first, size_t count, float factor) {
    const ValueId id = *graph.find_value(name);
    Tensor tensor = graph.constant(id);
    for (size_t i = 0; i < count; ++i) tensor.mutable_data<float>()[first + i] *= factor;
    graph.value(id).constant = std::move(tensor);
  };
  for (const size_t filter : {size_t{1}, size_t{5}}) {
    scale("w2", filter * 72, 72, 0.01f);
    scale("s2", filter, 1, 1e4f);
  }
  const Module module(graph);
  const training::Sparsity sparsity(module, {.kind = SparsityKind::kSoft, .plan = some_plan(graph)});
  const Removal removed = sparsity.removal();
  const Groups groups = find_groups(graph);
  const auto inner = std::find_if(groups.groups.begin(), groups.groups.end(),
                                  [](const pruning::Group& group) { return !group.trunk; });
  for (int32_t f = 0; f < 6; ++f)
    EXPECT_EQ(removed[static_cast<size_t>(inner->first_unit + f)], f == 1 || f == 5) << f;
}

TEST_F(SparsityTraining, ResumesToTheSameBits) {
  expect_resumes(options(SparsityKind::kGroupLasso, 1.2, "run"));
}
TEST_F(SparsityTraining, GrowingResumesToTheSameBits) {
  expect_resumes(options(SparsityKind::kGrowing, 10, "run"));
}
TEST_F(SparsityTraining, SoftResumesToTheSameBits) { expect_resumes(options(SparsityKind::kSoft, 0, "run")); }

TEST_F(SparsityTraining, OtherStrengthsAreOtherRuns) {
  TrainOptions o = options(SparsityKind::kGrowing, 1, "run");
  o.epochs = 1;
  (void)run(o);
  o.resume = true;
  o.sparsity->strength = 2;
  EXPECT_EQ(error_of([&] { run(o); }),
            "is of a run with sparsity-strength 1.0, not 2.0: --resume continues it with its own settings");
  o.sparsity->strength = 1;
  o.sparsity->plan->steps[0].groups[0].kept.pop_back();
  EXPECT_NE(error_of([&] { run(o); }).find("is of a run with prune-plan"), std::string::npos);
}

/// The proximal step and the growing penalty, by their equations.
TEST(Sparsity, StepsAreWhatTheySay) {
  const Graph graph = small_net();
  const Plan plan = some_plan(graph);
  const Groups groups = find_groups(graph);
  const Removal removed = removal_of(graph, groups, plan.steps[0]);
  const auto weight = [](const Module& module, const std::string& name) {
    for (const training::Parameter& p : module.parameters()) {
      if (p.name == name) return p.value.detach().clone();
    }
    return at::Tensor();
  };
  const auto inner = std::find_if(groups.groups.begin(), groups.groups.end(),
                                  [](const pruning::Group& group) { return !group.trunk; });
  for (const SparsityKind kind : {SparsityKind::kGroupLasso, SparsityKind::kGrowing}) {
    const Module module(graph);
    training::Sparsity sparsity(module, {.kind = kind, .strength = 0.5, .plan = plan});
    const at::Tensor w = weight(module, "w2"), s = weight(module, "s2"), t = weight(module, "t2");
    const at::Tensor before = weight(module, "w3");
    sparsity.after_step(0.2, 2, 4);
    for (int64_t f = 0; f < 6; ++f) {
      const double norm = std::sqrt(w[f].square().sum().item<double>() + s[f].square().sum().item<double>() +
                                    t[f].square().sum().item<double>());
      double factor = kind == SparsityKind::kGrowing ? 1 - 0.2 * 0.5 * 3 / 4
                                                     : std::max(0.0, 1 - 0.2 * 0.5 * std::sqrt(74.0) / norm);
      if (!removed[static_cast<size_t>(inner->first_unit + f)]) factor = 1;
      EXPECT_TRUE(at::allclose(weight(module, "w2")[f], w[f] * factor)) << f;
      EXPECT_TRUE(at::allclose(weight(module, "s2")[f], s[f] * factor)) << f;
      EXPECT_TRUE(at::allclose(weight(module, "t2")[f], t[f] * factor)) << f;
    }
    // The trunk's filters shrink, the slices of them that read the inner units do not.
    EXPECT_TRUE(at::equal(weight(module, "w3")[1], before[1]));
    EXPECT_FALSE(at::equal(weight(module, "w3")[0], before[0]));
  }
}

/// It is the model that is wrong, not the plan.
TEST(Sparsity, QuantizedModelsAreRefused) {
  const Module module(parse_graph(R"(graph "g" {
 input %x f32[N,4]
 const %s f32[] [0.1]
 const %w i8[2,4] fill(1)
 %q = QuantizeLinear(%x, %s) dtype=i8
 %d = DequantizeLinear(%q, %s)
 %v = DequantizeLinear(%w, %s) dtype=i8
 %y = Gemm(%d, %v) trans_b=true
 output %y
})"));
  try {
    training::Sparsity(
        module, {.kind = SparsityKind::kSoft, .plan = some_plan(small_net()), .plan_file = "plan.json"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "is quantized: --sparsity expects the float model");
  }
}

TEST(Sparsity, PlansThatDoNotFitAreRefused) {
  const Graph graph = small_net();
  const Module module(graph);
  const auto refused = [&](const Plan& plan, const Module& of) {
    try {
      training::Sparsity(of, {.kind = SparsityKind::kSoft, .plan = plan, .plan_file = "plan.json"});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const Plan good = some_plan(graph);
  EXPECT_EQ(refused(good, module), "no error");
  EXPECT_EQ(refused({}, module), "plan.json: has 0 steps, expected one");
  EXPECT_EQ(refused({{good.steps[0], good.steps[0]}}, module), "plan.json: has 2 steps, expected one");
  Plan bad = good;
  bad.steps[0].blocks = {"sum"};
  EXPECT_EQ(refused(bad, module),
            "plan.json: layer 'sum': removes this block, which no sparsity does: expected a plan of channels "
            "alone");
  bad = good;
  for (auto& group : bad.steps[0].groups) group.kept = group.filters;
  EXPECT_EQ(refused(bad, module), "plan.json: removes nothing");
  EXPECT_NE(refused(some_plan(tiny_net()), module).find("the plan is for another model"), std::string::npos);

  // A constant behind a ReLU does not train: what is added there stays.
  std::string text = kNet;
  text.replace(text.find("%conv3 = Conv(%relu2"), 20, "%more = Add(%relu2, %t2x)\n %conv3 = Conv(%more");
  text.replace(text.find(" const %w3"), 0, " const %t2x f32[1,6,1,1] fill(0.5)\n");
  const Graph odd = parse_graph(text);
  const Module odd_module(odd);
  EXPECT_EQ(refused(some_plan(odd), odd_module),
            "plan.json: layer 'conv2': cannot become zero: the constant 't2x' behind it does not train");
  // Group lasso of everything leaves that group alone.
  training::Sparsity lasso(odd_module, {.kind = SparsityKind::kGroupLasso, .strength = 1e6});
  lasso.after_step(1, 0, 1);
  for (const training::Parameter& p : odd_module.parameters()) {
    const at::Tensor sizes = p.value.detach().abs();
    if (p.name == "w2") {
      EXPECT_GT(sizes.min().item<float>(), 0);
    } else if (p.name == "w1") {
      EXPECT_EQ(sizes.max().item<float>(), 0);
    }
  }
}

}  // namespace
}  // namespace xdn::testing
