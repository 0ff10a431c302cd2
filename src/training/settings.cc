#include "training/settings.h"

#include "base/sha256.h"
#include "training/qdq.h"

namespace xdn::training {

using nlohmann::ordered_json;

std::string digest_of(const ImageSet& images, int64_t stride) {
  Sha256 sum;
  sum.update(images.labels.data(), images.labels.size_bytes());
  for (int64_t i = 0; i < images.size(); i += stride) {
    sum.update(images.image(i), static_cast<size_t>(images.image_bytes()));
  }
  return sum.hex().substr(0, 16);
}

std::string digest_of(const Graph& graph) {
  const std::string text = print(graph);
  return sha256_hex(text.data(), text.size()).substr(0, 16);
}

std::string digest_of(const Preprocess& p) {
  const std::string text =
      ordered_json{{"bgr", p.bgr}, {"scale", p.scale}, {"mean", p.mean}, {"std", p.std}}.dump();
  return sha256_hex(text.data(), text.size()).substr(0, 16);
}

ordered_json settings_of(const Graph& graph, const Preprocess& preprocess, const TrainData& data,
                         const std::optional<Teacher>& teacher, const TrainOptions& o) {
  ordered_json s;
  s["model"] = digest_of(graph);
  s["preprocess"] = digest_of(preprocess);
  s["data"] = digest_of(data.train);
  if (data.val) s["val"] = digest_of(*data.val);
  if (teacher) {
    s["teacher"] = digest_of(teacher->graph);
    s["teacher-preprocess"] = digest_of(teacher->preprocess);
  }
  s["epochs"] = o.epochs;
  s["batch"] = o.batch;
  s["lr"] = o.rate;
  s["schedule"] = o.schedule == ScheduleKind::kCosine ? "cosine" : "one-cycle";
  s["warmup"] = o.warmup;
  s["momentum"] = o.momentum;
  s["weight-decay"] = o.weight_decay;
  s["label-smoothing"] = o.label_smoothing;
  s["ema"] = o.ema;
  s["crop"] = o.augmentation.crop;
  s["flip"] = o.augmentation.flip;
  s["cutout"] = o.augmentation.cutout;
  s["precision"] = o.bf16 ? "bf16" : "fp32";
  if (has_qdq(graph)) s["learn-scales"] = o.learn_scales;
  if (teacher) {
    s["temperature"] = o.temperature;
    s["alpha"] = o.alpha;
    s["features"] = o.feature_weight;
  }
  s["seed"] = o.seed;
  if (o.sparsity) {
    s["sparsity"] = sparsity_name(o.sparsity->kind);
    s["sparsity-strength"] = o.sparsity->strength;
    if (o.sparsity->plan) {
      const std::string plan = pruning::to_json(*o.sparsity->plan);
      s["prune-plan"] = sha256_hex(plan.data(), plan.size()).substr(0, 16);
    }
  }
  if (o.augment_epochs != 0) s["augment-epochs"] = o.augment_epochs;
  if (o.reestimate != 0) s["reestimate-bn"] = o.reestimate;
  return s;
}

}  // namespace xdn::training
