#include "report/document.h"

#include <algorithm>

namespace xdn::report {
namespace {

Json json_of(const Maybe& number) { return number ? Json(*number) : Json(nullptr); }

bool same_machine(const Environment& a, const Environment& b) {
  const auto same = [](const Fact& x, const Fact& y) {
    return x.label == y.label && (x.value == y.value || x.label == "date_utc");
  };
  return std::equal(a.facts.begin(), a.facts.end(), b.facts.begin(), b.facts.end(), same);
}

}  // namespace

// nlohmann's library finds these by argument-dependent lookup, so lists of them convert, too.
static void to_json(Json& json, const Fact& f) { json = {{"label", f.label}, {"value", f.value}}; }

static void to_json(Json& json, const Headline& h) { json = {{"value", h.value}, {"label", h.label}}; }

static void to_json(Json& json, const Table& t) {
  json = {{"title", t.title}, {"columns", t.columns}, {"rows", t.rows}};
}

static void to_json(Json& json, const Waterfall::Step& s) {
  json = {{"name", s.name}, {"from", s.from}, {"value", s.value}, {"accuracy", json_of(s.accuracy)}};
}

static void to_json(Json& json, const Point& p) {
  json = {{"name", p.name},
          {"group", p.group},
          {"accuracy", p.accuracy},
          {"images_per_second", p.images_per_second},
          {"macs", json_of(p.macs)}};
}

static void to_json(Json& json, const Bars::Row& r) { json = {{"name", r.name}, {"value", r.value}}; }

static void to_json(Json& json, const Profile::Layer& l) {
  json = {{"layer", l.layer},
          {"kernel", l.kernel},
          {"arith", l.arith},
          {"bound", l.bound},
          {"seconds", l.seconds},
          {"macs", json_of(l.macs)},
          {"gmacs_per_second", json_of(l.gmacs_per_second)},
          {"peak_share", json_of(l.peak_share)},
          {"macs_per_byte", json_of(l.macs_per_byte)}};
}

static void to_json(Json& json, const Profile::Peak& p) {
  json = {{"arith", p.arith}, {"gmacs_per_second", p.gmacs_per_second}};
}

static void to_json(Json& json, const Sample& s) {
  json = {{"label", s.label},
          {"predicted", s.predicted},
          {"probability", json_of(s.probability)},
          {"png", s.png}};
}

static void to_json(Json& json, const Tuning::Trial& t) {
  json = {{"settings", t.settings}, {"score", json_of(t.score)}, {"status", t.status}};
}

static void to_json(Json& json, const Training::Epoch& e) {
  json = {{"epoch", e.epoch},
          {"lr", json_of(e.lr)},
          {"train_loss", json_of(e.train_loss)},
          {"train_accuracy", json_of(e.train_accuracy)},
          {"val_accuracy", json_of(e.val_accuracy)}};
}

static void to_json(Json& json, const Sensitivity::Cut& c) {
  json = {{"group", c.group}, {"ratio", c.ratio}, {"drop", c.drop}};
}

static void to_json(Json& json, const Waterfall& w) {
  json = {{"title", w.title}, {"unit", w.unit}, {"steps", w.steps}};
}

static void to_json(Json& json, const Bars& b) {
  json = {{"title", b.title}, {"unit", b.unit}, {"note", b.note}, {"log", b.log}, {"rows", b.rows}};
}

static void to_json(Json& json, const Profile& p) {
  json = {{"title", p.title}, {"layers", p.layers}, {"peaks", p.peaks}, {"bandwidth", json_of(p.bandwidth)}};
}

static void to_json(Json& json, const Eval& e) {
  json = {{"title", e.title},
          {"facts", e.facts},
          {"classes", e.classes},
          {"confusion", e.confusion},
          {"samples", e.samples}};
}

static void to_json(Json& json, const Tuning& t) {
  json = {{"title", t.title},
          {"facts", t.facts},
          {"best", t.best},
          {"defaults", t.defaults},
          {"surface", t.surface}};
}

static void to_json(Json& json, const Training& t) {
  json = {{"title", t.title}, {"facts", t.facts}, {"epochs", t.epochs}};
}

static void to_json(Json& json, const Sensitivity& s) { json = {{"title", s.title}, {"cuts", s.cuts}}; }

static void to_json(Json& json, const Settings& s) { json = {{"name", s.name}, {"settings", s.settings}}; }

static void to_json(Json& json, const AaCheck& a) {
  json = {{"ratio", a.ratio}, {"low", a.low}, {"high", a.high}, {"runs", a.runs}};
}

static void to_json(Json& json, const Environment& e) { json = {{"source", e.source}, {"facts", e.facts}}; }

void add_point(Document& document, Point point) {
  const auto same = [&](const Point& other) {
    return other.name == point.name && other.group == point.group && other.accuracy == point.accuracy &&
           other.images_per_second == point.images_per_second;
  };
  if (std::none_of(document.points.begin(), document.points.end(), same)) {
    document.points.push_back(std::move(point));
  }
}

void add_command(Document& document, std::string command) {
  auto& commands = document.commands;
  if (std::find(commands.begin(), commands.end(), command) == commands.end()) {
    commands.push_back(std::move(command));
  }
}

void add_environment(Document& document, Environment environment) {
  const auto same = [&](const Environment& other) { return same_machine(environment, other); };
  auto& all = document.environments;
  if (!environment.facts.empty() && std::none_of(all.begin(), all.end(), same)) {
    all.push_back(std::move(environment));
  }
}

Json document_json(const Document& d) {
  return {{"title", d.title},
          {"sources", d.sources},
          {"headlines", d.headlines},
          {"waterfalls", d.waterfalls},
          {"points", d.points},
          {"aa", d.aa},
          {"tables", d.tables},
          {"evals", d.evals},
          {"profiles", d.profiles},
          {"tunings", d.tunings},
          {"trainings", d.trainings},
          {"sensitivities", d.sensitivities},
          {"bars", d.bars},
          {"settings", d.settings},
          {"environments", d.environments},
          {"commands", d.commands},
          {"notes", d.notes}};
}

}  // namespace xdn::report
