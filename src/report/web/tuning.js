"use strict";

const mostPanels = 24;  // more combinations of other settings are drawn as one, each cell the best of them

const settingOf = (settings, key) => settings.find((s) => s.label === key)?.value;

/** Relative speed of every trial over its tile and its division of the threads; a matrix per combination of the other settings. */
function surfaceChart(tuning, index) {
  const ok = (t) => t.status === "ok" && t.score > 0;
  const trials = tuning.surface.filter((t) => settingOf(t.settings, "batch_tile") !== undefined && settingOf(t.settings, "data_parallel") !== undefined);
  if (trials.length === 0 || !trials.some(ok)) return null;
  const best = smallestOf(trials.filter(ok).map((t) => t.score));
  const own = ["batch_tile", "data_parallel", "model_parallel"];
  const measured = /seconds|_ms|per_second|accuracy|runs/, varies = new Set();
  for (const { settings } of trials) {
    for (const { label, value } of settings) {
      if (!own.includes(label) && !measured.test(label) && settingOf(trials[0].settings, label) !== value) varies.add(label);
    }
  }
  const describe = (t) => [...varies].map((key) => `${labelOf(key)} ${formatValue(settingOf(t.settings, key))}`).join(", ");
  const tooMany = new Set(trials.map(describe)).size > mostPanels;
  const cells = new Map();
  for (const t of trials) {
    const others = tooMany ? "" : describe(t);
    const cell = {
      tile: settingOf(t.settings, "batch_tile"), others, status: t.status, score: ok(t) ? t.score : null, speed: ok(t) ? best / t.score : 0,
      split: `${settingOf(t.settings, "data_parallel")} × ${settingOf(t.settings, "model_parallel") ?? 1}`,
    };
    const key = JSON.stringify([cell.tile, cell.split, others]), old = cells.get(key);
    if (!old || cell.speed > old.speed) cells.set(key, cell);
  }
  const all = [...cells.values()];
  const panels = [...new Set(all.map((c) => c.others))].sort();
  const tiles = [...new Set(all.map((c) => c.tile))].sort((a, b) => a - b);
  const splits = [...new Set(all.map((c) => c.split))].sort();
  const slowest = smallestOf(all.filter((c) => c.speed > 0).map((c) => c.speed));
  // The slowest is pale whatever it is: what matters is where the ridge lies.
  const opacity = (c) => 0.12 + 0.88 * (slowest < 1 ? (c.speed - slowest) / (1 - slowest) : 1) ** 1.5;
  const draw = (width) => {
    const left = 52, cell = (width - left - 4) / tiles.length, row = Math.max(24, Math.min(34, cell));
    const panelHeight = splits.length * row + (panels.length > 1 ? 30 : 0);
    return plot({
      width, height: panels.length * panelHeight + 48, marginLeft: left, marginRight: 4, marginTop: panels.length > 1 ? 20 : 4, marginBottom: 42,
      x: { type: "band", domain: tiles, label: "images per tile →", padding: 0.05, tickSize: 0, tickFormat: String },
      y: { type: "band", domain: splits, label: panels.length > 1 ? null : "data × model", labelArrow: "none", labelAnchor: "top", padding: 0.08, tickSize: 0 },
      fy: { domain: panels, axis: null, padding: panels.length > 1 ? 0.2 : 0 },
      opacity: { type: "identity" },
      marks: [
        panels.length > 1 ? named("panels", Plot.text(panels, { fy: (d) => d, frameAnchor: "top-left", dy: -13, text: (d) => shorten(d, Math.floor(width / 7.2)), fontSize: 11 })) : null,
        named("cells", Plot.cell(all.filter((c) => c.speed > 0), { x: "tile", y: "split", fy: "others", fill: "var(--blue)", fillOpacity: opacity, rx: 2 })),
        named("best", Plot.cell(all.filter((c) => c.speed > 0 && c.speed === 1), { x: "tile", y: "split", fy: "others", fill: "none", stroke: "var(--orange)", strokeWidth: 2.5, rx: 2 })),
        named("failed", Plot.text(all.filter((c) => c.speed === 0), { x: "tile", y: "split", fy: "others", text: () => "×", fontSize: 16, fill: "var(--orange)" })),
        cell < 26 ? null : named("speeds", Plot.text(all.filter((c) => c.speed > 0), { x: "tile", y: "split", fy: "others", text: (c) => (c.speed * 100).toFixed(0), fontSize: 11,
          fill: (c) => (opacity(c) > 0.75 ? "var(--on-fill)" : "var(--text)") })),
        Plot.tip(all, Plot.pointer({ x: "tile", y: "split", fy: "others",
          title: (c) => `${c.split} threads, tile ${c.tile}\n${c.others}\n${c.speed > 0 ? `${formatPercent(c.speed, 1)} of the best` : c.status}` })),
      ],
    });
  };
  return chart({
    id: `tuning-${index}`, title: `Speed over the settings: ${tuning.title}`, draw, tall: panels.length > 4,
    keys: [["speed, % of the best", "var(--blue)"], ["best", "var(--orange)"], ...(all.some((c) => c.speed === 0) ? [["×: failed", "transparent"]] : [])],
    summary: `${all.length} settings tried; the slowest reaches ${formatPercent(slowest, 0)} of the best.`,
    note: panels.length > 1 ? "Rows: data-parallel workers × threads in each." : "",
    table: tableOf([{ label: "data × model" }, { label: "tile", number: true }, { label: "other settings" }, { label: "score", number: true },
      { label: "of the best", number: true, format: (v) => formatPercent(v, 1) }, { label: "status" }],
      all.map((c) => [c.split, c.tile, c.others, c.score, c.speed > 0 ? c.speed : null, c.status])),
  });
}

function tuningSection(data) {
  return data.tunings.flatMap((tuning, index) => {
    const keys = [...new Set([...tuning.best, ...tuning.defaults].map((s) => s.label))];
    const rows = keys.map((key) => [labelOf(key), formatValue(settingOf(tuning.best, key), key), formatValue(settingOf(tuning.defaults, key), key)]);
    const card = el("div", { class: "card" }, el("h3", {}, `Tuning: ${tuning.title}`), factList(tuning.facts),
      rows.length > 0 ? [el("p", {}), tableOf([{ label: "setting" }, { label: "chosen" }, { label: "default" }], rows)] : []);
    return [card, surfaceChart(tuning, index)].filter(Boolean);
  });
}
