"use strict";

const arithColour = { f32: "var(--blue)", bf16: "var(--green)", i8: "var(--orange)" };
const colourOf = (arith) => (Object.hasOwn(arithColour, arith) ? arithColour[arith] : "var(--purple)");

function arithKeys(layers) {
  return [...new Set(layers.map((l) => l.arith))].map((arith) => [arith || "other", colourOf(arith)]);
}

function layerTimes(profile, index) {
  const { layers } = profile;
  const total = sumOf(layers.map((l) => l.seconds));
  const draw = (width) => {
    const left = Math.min(150, width * 0.36), letters = Math.floor(left / 6.4);
    return plot({
      width, height: layers.length * 17 + 54, marginLeft: left, marginRight: 46, marginTop: 40, marginBottom: 4,
      x: { axis: "top", label: "µs per image →", grid: true, ticks: Math.max(3, width / 110), nice: true },
      y: { type: "band", domain: layers.map((_, i) => i), label: null, tickSize: 0, padding: 0.18, tickFormat: (i) => shorten(layers[i].layer, letters) },
      marks: [
        named("bars", Plot.barX(layers, { y: (_, i) => i, x: (l) => l.seconds * 1e6, fill: (l) => colourOf(l.arith) })),
        named("shares", Plot.text(layers, { y: (_, i) => i, x: (l) => l.seconds * 1e6, dx: 4, textAnchor: "start", fontSize: 10.5,
          text: (l) => (total > 0 ? formatPercent(l.seconds / total, 1) : "") })),
        Plot.tip(layers, Plot.pointerY({ y: (_, i) => i, x: (l) => l.seconds * 1e6,
          title: (l) => `${l.layer}\n${l.kernel}\n${formatSeconds(l.seconds)}${l.peak_share === null ? "" : `, ${formatPercent(l.peak_share, 0)} of peak`}` })),
      ],
    });
  };
  const slowest = layers.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  return chart({
    id: `layers-${index}`, title: `Time by layer: ${profile.title}`, tall: true, keys: arithKeys(layers), draw,
    summary: `${layers.length} layers, ${formatSeconds(total)} per image in all; the slowest is ${slowest.layer}.`,
    table: tableOf(
      [{ label: "layer" }, { label: "kernel" }, { label: "arithmetic" }, { label: "time", number: true, format: formatSeconds }, { label: "MACs", number: true },
        { label: "GMAC/s", number: true }, { label: "of peak", number: true, format: (v) => formatPercent(v, 0) }, { label: "MACs/byte", number: true }, { label: "bound by" }],
      layers.map((l) => [l.layer, l.kernel, l.arith, l.seconds, l.macs, l.gmacs_per_second, l.peak_share, l.macs_per_byte, l.bound])),
  });
}

function roofline(profile, index) {
  const layers = profile.layers.filter((l) => l.macs_per_byte > 0 && l.gmacs_per_second > 0);
  if (layers.length === 0) return null;
  const { bandwidth } = profile;
  const used = new Set(layers.map((l) => l.arith));
  const peaks = profile.peaks.filter((p) => used.has(p.arith));
  const xs = layers.map((l) => l.macs_per_byte);
  const ridge = bandwidth ? peaks.map((p) => p.gmacs_per_second / bandwidth) : [];
  const xRange = [Math.min(...xs, ...ridge) / 2, Math.max(...xs, ...ridge) * 2];
  const roofs = peaks.flatMap(({ arith, gmacs_per_second: peak }) => {
    const bend = bandwidth ? peak / bandwidth : xRange[0];
    const corners = bandwidth ? [[xRange[0], xRange[0] * bandwidth], [bend, peak], [xRange[1], peak]] : [[xRange[0], peak], [xRange[1], peak]];
    return corners.map(([x, y]) => ({ arith, x, y }));
  });
  const longest = Math.max(...layers.map((l) => l.seconds));
  const draw = (width) => plot({
    width, height: Math.max(320, Math.min(440, width * 0.8)), marginLeft: 54, marginRight: 16, marginTop: 26, marginBottom: 40,
    x: { type: "log", domain: xRange, label: "MACs per byte →", grid: true, ticks: 5, tickFormat: formatNumber },
    y: { type: "log", label: "↑ GMAC/s", grid: true, nice: true, ticks: 5, tickFormat: formatNumber },
    marks: [
      named("roofs", Plot.line(roofs, { x: "x", y: "y", z: "arith", stroke: (p) => colourOf(p.arith), strokeWidth: 1.75 })),
      named("peaks", Plot.text(peaks, { x: () => xRange[1], y: "gmacs_per_second", text: (p) => `${p.arith} peak ${formatNumber(Number(p.gmacs_per_second.toPrecision(3)))}`,
        textAnchor: "end", dx: -4, dy: -8, fontSize: 11, fill: "var(--text)", stroke: "var(--card)", strokeWidth: 4 })),
      named("layers", Plot.dot(layers, { x: "macs_per_byte", y: "gmacs_per_second", r: (l) => Math.max(2.5, 11 * Math.sqrt(l.seconds / longest)), fill: (l) => colourOf(l.arith),
        fillOpacity: 0.55, stroke: (l) => colourOf(l.arith), strokeWidth: 0.75 })),
      Plot.tip(layers, Plot.pointer({ x: "macs_per_byte", y: "gmacs_per_second",
        title: (l) => `${l.layer}\n${formatNumber(l.gmacs_per_second)} GMAC/s at ${formatNumber(l.macs_per_byte)} MACs/byte\n${l.bound ? `bound by ${l.bound}` : ""}` })),
    ],
    r: { type: "identity" },
  });
  const memory = layers.filter((l) => l.bound === "memory").length;
  return chart({
    id: `roofline-${index}`, title: `Roofline: ${profile.title}`, keys: arithKeys(layers), draw,
    summary: `${layers.length} layers under the machine's roofs; ${memory} of them are bound by memory.`,
    note: `A dot's area is its layer's time. The slope is the memory's bandwidth${bandwidth ? `, ${formatNumber(bandwidth)} GB/s` : ""}; level roofs are what the arithmetic can do.`,
    table: tableOf(
      [{ label: "layer" }, { label: "arithmetic" }, { label: "MACs/byte", number: true }, { label: "GMAC/s", number: true }, { label: "bound by" }],
      layers.map((l) => [l.layer, l.arith, l.macs_per_byte, l.gmacs_per_second, l.bound])),
  });
}

function profileSection(data) {
  return data.profiles.flatMap((profile, index) => [layerTimes(profile, index), roofline(profile, index)]).filter(Boolean);
}
