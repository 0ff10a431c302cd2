"use strict";

const seriesOf = (epochs, key, name) => epochs.filter((e) => e[key] !== null).map((e) => ({ epoch: e.epoch, value: e[key], name }));

function curves(id, title, series, { unit, colours, summary, table }) {
  const points = series.flat();
  if (points.length === 0) return null;
  const last = largestOf(points.map((p) => p.epoch));
  const draw = (width) => plot({
    width, height: Math.max(240, Math.min(320, width * 0.6)), marginLeft: 50, marginRight: 14, marginTop: 26, marginBottom: 38,
    x: { label: "epoch →", ticks: Math.min(last, Math.max(3, Math.floor(width / 70))), tickFormat: (v) => (Number.isInteger(v) ? String(v) : "") },
    y: { label: `↑ ${unit}`, grid: true, nice: true },
    marks: [
      named("curves", Plot.line(points, { x: "epoch", y: "value", z: "name", stroke: (p) => colours[p.name], strokeWidth: 1.75 })),
      named("epochs", Plot.dot(points, { x: "epoch", y: "value", r: points.length > 200 ? 1.2 : 2.6, fill: (p) => colours[p.name] })),
      Plot.tip(points, Plot.pointer({ x: "epoch", y: "value", title: (p) => `epoch ${p.epoch}\n${p.name} ${formatNumber(p.value)}` })),
    ],
  });
  const names = [...new Set(points.map((p) => p.name))];
  return chart({ id, title, summary, draw, table, keys: names.map((name) => [name, colours[name]]) });
}

function trainingSection(data) {
  return data.trainings.flatMap((training, index) => {
    const { epochs } = training;
    const card = el("div", { class: "card wide" }, el("h3", {}, `Training: ${training.title}`), factList(training.facts));
    if (epochs.length === 0) return [card];
    const points = epochs.map((e) => ({ ...e, train: e.train_accuracy === null ? null : e.train_accuracy * 100, val: e.val_accuracy === null ? null : e.val_accuracy * 100 }));
    const table = () => tableOf(
      [{ label: "epoch", number: true }, { label: "learning rate", number: true }, { label: "training loss", number: true },
        { label: "training accuracy", number: true, format: formatPercent }, { label: "validation accuracy", number: true, format: formatPercent }],
      epochs.map((e) => [e.epoch, e.lr, e.train_loss, e.train_accuracy, e.val_accuracy]));
    const best = largestOf(epochs.map((e) => e.val_accuracy ?? -Infinity));
    return [card,
      curves(`loss-${index}`, `Loss: ${training.title}`, [seriesOf(points, "train_loss", "training loss")], {
        unit: "loss", colours: { "training loss": "var(--orange)" }, table: table(), summary: `${epochs.length} epochs.` }),
      curves(`accuracy-${index}`, `Accuracy: ${training.title}`, [seriesOf(points, "train", "training"), seriesOf(points, "val", "validation")], {
        unit: "accuracy, %", colours: { training: "var(--orange)", validation: "var(--blue)" }, table: table(),
        summary: Number.isFinite(best) ? `Best validation accuracy ${formatPercent(best)}.` : `${epochs.length} epochs.` }),
    ].filter(Boolean);
  });
}
