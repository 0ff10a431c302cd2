"use strict";

/** Those points that no other beats in both numbers, the most accurate first. */
function frontOf(points) {
  const front = [];
  for (const p of [...points].sort((a, b) => b.accuracy - a.accuracy || b.images_per_second - a.images_per_second)) {
    if (front.length === 0 || p.images_per_second > front[front.length - 1].images_per_second) front.push(p);
  }
  return front;
}

function paretoSection(data) {
  const { points } = data;
  if (points.length === 0) return [];
  const front = frontOf(points);
  const group = { xdn: ["XDN", "var(--blue)", "circle"], peer: ["other engines", "var(--orange)", "square"] };
  const rates = points.map((p) => p.images_per_second), log = spread(rates) > 10;
  const domain = log ? [smallestOf(rates) / 1.6, largestOf(rates) * 1.6] : [0, largestOf(rates) * 1.1];
  const table = tableOf(
    [{ label: "name" }, { label: "accuracy", number: true, format: formatPercent }, { label: "images/s", number: true },
      { label: "MACs", number: true }, { label: "engine" }, { label: "on the front" }],
    points.map((p) => [p.name, p.accuracy, p.images_per_second, p.macs, group[p.group][0], front.includes(p)]));
  const draw = (width) => {
    const height = Math.max(320, Math.min(460, width * 0.6));
    const labelled = [...points].sort((a, b) => front.includes(b) - front.includes(a));
    const svg = plot({
      width, height, marginLeft: 48, marginRight: 24, marginTop: 24, marginBottom: 40,
      x: { type: log ? "log" : "linear", domain, label: "images per second →", grid: true, ticks: log ? 5 : Math.max(3, width / 110), tickFormat: formatNumber },
      y: { label: "↑ accuracy, %", grid: true, nice: true, inset: 12 },
      symbol: { domain: ["peer", "xdn"], range: ["square", "circle"] },
      marks: [
        named("front", Plot.line(front, { x: "images_per_second", y: (p) => p.accuracy * 100, stroke: "var(--green)", strokeWidth: 1.5, strokeDasharray: "5 4" })),
        named("points", Plot.dot(points, {
          x: "images_per_second", y: (p) => p.accuracy * 100, r: 5.5, symbol: "group", fill: (p) => group[p.group][1], stroke: "var(--card)",
        })),
        Plot.tip(points, Plot.pointer({
          x: "images_per_second", y: (p) => p.accuracy * 100,
          title: (p) => `${p.name}\n${formatPercent(p.accuracy)}\n${formatNumber(p.images_per_second)} images/s`,
        })),
      ],
    });
    labelPoints(svg, labelled.map((p) => ({ x: p.images_per_second, y: p.accuracy * 100, label: p.name })), svg.scale("x"), svg.scale("y"), { width, height });
    return svg;
  };
  const used = ["xdn", "peer"].filter((name) => points.some((p) => p.group === name));
  return [chart({
    id: "pareto", title: "Accuracy and throughput",
    summary: `${points.length} points; on the front: ${front.map((p) => p.name).join(", ")}.`,
    keys: [...used.map((name) => group[name].slice(0, 2)), ["best of both", "var(--green)"]],
    draw, table,
  })];
}
