"use strict";

function barSection(data) {
  return data.bars.map((bars, index) => {
    const { rows, unit } = bars;
    const log = bars.log && rows.every((r) => r.value > 0);
    const range = rows.map((r) => r.value);
    const low = log ? Math.min(...range) / 2 : Math.min(0, ...range);
    const draw = (width) => {
      const left = Math.min(170, width * 0.4), letters = Math.floor(left / 6.4);
      return plot({
        width, height: rows.length * 17 + 54, marginLeft: left, marginRight: 56, marginTop: 40, marginBottom: 4,
        x: { type: log ? "log" : "linear", axis: "top", domain: [low, Math.max(...range, log ? low * 2 : 0)], label: unit ? `${unit} →` : null, grid: true, nice: !log, ticks: log ? 3 : Math.max(3, width / 120), tickFormat: formatTick },
        y: { type: "band", domain: d3.range(rows.length), label: null, tickSize: 0, padding: 0.18, tickFormat: (i) => shorten(rows[i].name, letters) },
        marks: [
          named("bars", Plot.barX(rows, { y: (_, i) => i, x1: () => (log ? low : 0), x2: "value", fill: "var(--blue)" })),
          named("values", Plot.text(rows, { y: (_, i) => i, x: (r) => Math.max(r.value, log ? low : 0), dx: 4, textAnchor: "start", fontSize: 10.5,
            text: (r) => formatNumber(Number(r.value.toPrecision(3))) })),
        ],
      });
    };
    const largest = rows.reduce((a, b) => (b.value > a.value ? b : a), rows[0]);
    return chart({
      id: `bars-${index}`, title: bars.title, note: bars.note, tall: true, draw,
      summary: `${rows.length} bars; the longest is ${largest.name}, ${formatNumber(largest.value)} ${unit}.`,
      table: tableOf([{ label: "name" }, { label: unit || "value", number: true }], rows.map((r) => [r.name, r.value])),
    });
  });
}

/** Accuracy lost by group of channels and share of them removed. */
function sensitivitySection(data) {
  return data.sensitivities.map((part, index) => {
    const groups = [...new Set(part.cuts.map((c) => c.group))], ratios = [...new Set(part.cuts.map((c) => c.ratio))].sort((a, b) => a - b);
    const worst = Math.max(1e-9, ...part.cuts.map((c) => c.drop));
    const opacity = (c) => 0.06 + 0.94 * Math.sqrt(Math.max(0, c.drop) / worst);
    const draw = (width) => {
      const left = Math.min(190, width * 0.42), letters = Math.floor(left / 6.4);
      return plot({
        width, height: groups.length * 20 + 54, marginLeft: left, marginRight: 4, marginTop: 26, marginBottom: 8,
        x: { type: "band", domain: ratios, axis: "top", label: null, tickSize: 0, padding: 0.03, tickFormat: (r) => `${formatNumber(r * 100)} % removed` },
        y: { type: "band", domain: groups, label: null, tickSize: 0, padding: 0.06, tickFormat: (g) => shorten(g, letters) },
        opacity: { type: "identity" },
        marks: [
          named("cells", Plot.cell(part.cuts, { x: "ratio", y: "group", fill: "var(--orange)", fillOpacity: opacity, rx: 2 })),
          named("drops", Plot.text(part.cuts, { x: "ratio", y: "group", text: (c) => c.drop.toFixed(1), fontSize: 10.5, fill: (c) => (opacity(c) > 0.75 ? "var(--on-fill)" : "var(--text)") })),
        ],
      });
    };
    const most = part.cuts.reduce((a, b) => (b.drop > a.drop ? b : a));
    return chart({
      id: `sensitivity-${index}`, title: `Accuracy lost by channels removed, in points: ${part.title}`, tall: true, draw,
      summary: `${groups.length} groups; ${most.group} loses most, ${formatNumber(most.drop)} points.`,
      table: tableOf([{ label: "group" }, { label: "removed", number: true, format: (v) => formatPercent(v, 0) }, { label: "points lost", number: true }],
        part.cuts.map((c) => [c.group, c.ratio, c.drop])),
    });
  });
}
