"use strict";

const mostHeatCells = 60;  // classes; more are told by the pairs most often confused

function confusedPairs(classes, confusion, count) {
  const pairs = [];
  confusion.forEach((row, t) => row.forEach((n, p) => { if (t !== p && n > 0) pairs.push([classes[t], classes[p], n]); }));
  return pairs.sort((a, b) => b[2] - a[2]).slice(0, count);
}

function confusionChart(part, index) {
  const { classes, confusion } = part;
  const n = classes.length;
  const totals = confusion.map((row) => sumOf(row));
  const cells = confusion.flatMap((row, t) => row.map((count, p) => ({ t, p, count, share: totals[t] > 0 ? count / totals[t] : 0 })));
  const worst = Math.max(1e-9, ...cells.filter((c) => c.t !== c.p).map((c) => c.share));
  // Hits and errors each have the full range of a colour: errors are rare, and they are what one looks for.
  const opacity = (c) => (c.share === 0 ? 0.03 : c.t === c.p ? 0.15 + 0.85 * c.share : 0.08 + 0.82 * Math.sqrt(c.share / worst));
  const draw = (width) => {
    const left = Math.min(116, Math.max(34, 7.6 * Math.max(...classes.map((c) => Math.min(c.length, 14)))));
    const side = Math.min(width - left - 4, 720), cell = side / n, bottom = 28 + Math.min(90, left);
    const letters = Math.floor(left / 6.6);
    const name = (i) => shorten(classes[i], letters);
    return plot({
      width: left + side + 4, height: side + bottom, marginLeft: left, marginRight: 4, marginTop: 2, marginBottom: bottom - 2, padding: 0,
      x: { type: "band", domain: d3.range(n), label: "predicted", labelAnchor: "center", tickRotate: n > 4 ? -50 : 0, tickSize: 0, tickFormat: name, padding: 0.04 },
      y: { type: "band", domain: d3.range(n), label: null, tickSize: 0, tickFormat: name, padding: 0.04 },
      opacity: { type: "identity" },
      marks: [
        named("cells", Plot.cell(cells, { x: "p", y: "t", fill: (c) => (c.t === c.p ? "var(--blue)" : "var(--orange)"), fillOpacity: opacity, rx: 2 })),
        cell < 20 ? null : named("counts", Plot.text(cells.filter((c) => c.count > 0), { x: "p", y: "t", text: (c) => String(c.count), fontSize: Math.min(12, cell / 2.6),
          fill: (c) => (opacity(c) > 0.75 ? "var(--on-fill)" : "var(--text)") })),
        Plot.tip(cells, Plot.pointer({ x: "p", y: "t", title: (c) => `${classes[c.t]} taken for ${classes[c.p]}\n${formatNumber(c.count)} images, ${formatPercent(c.share, 1)} of the class` })),
      ],
    });
  };
  const [pair] = confusedPairs(classes, confusion, 1);
  return chart({
    id: `confusion-${index}`, title: "Confusion matrix",
    summary: pair ? `Most often confused: ${pair[0]}, taken for ${pair[1]} ${pair[2]} times.` : "No image is classified wrongly.",
    keys: [["right", "var(--blue)"], ["wrong", "var(--orange)"]], draw,
    note: "Rows are true classes, columns predictions. Right and wrong have a scale of colour each.",
    table: tableOf([{ label: "true \\ predicted" }, ...classes.map((label) => ({ label, number: true }))], confusion.map((row, t) => [classes[t], ...row])),
  });
}

function classTable(part) {
  const { classes, confusion } = part;
  const rows = confusion.map((row, t) => {
    const images = sumOf(row), predicted = sumOf(confusion.map((r) => r[t]));
    return [classes[t], images, images > 0 ? row[t] / images : null, predicted > 0 ? row[t] / predicted : null];
  });
  const share = (label) => ({ label, number: true, format: (v) => formatPercent(v, 1) });
  const pairs = confusedPairs(classes, confusion, 8);
  return el("div", { class: "card" },
    tableOf([{ label: "class" }, { label: "images", number: true }, share("found (recall)"), share("right when said (precision)")], rows, "Per class"),
    el("p", {}),
    pairs.length === 0 ? null
      : tableOf([{ label: "true" }, { label: "predicted" }, { label: "images", number: true }], pairs, "Most often confused"));
}

function sampleGrid(part) {
  return el("div", { class: "card wide" }, el("h3", {}, "Wrongly classified"),
    el("ul", { class: "samples" }, part.samples.map((s) => {
      const sure = s.probability === null ? "" : ` (${formatPercent(s.probability, 0)})`;
      return el("li", {}, el("img", { src: `data:image/png;base64,${s.png}`, alt: `${s.label}, taken for ${s.predicted}` }),
        el("b", {}, s.label), el("br"), `→ ${s.predicted}${sure}`);
    })));
}

function evalSection(data) {
  return data.evals.map((part, index) => {
    const rest = [];
    if (part.confusion.length > 0) {
      if (part.confusion.length <= mostHeatCells) rest.push(confusionChart(part, index));
      rest.push(classTable(part));
    }
    if (part.samples.length > 0) rest.push(sampleGrid(part));
    return el("div", { class: "cards two eval" },
      el("div", { class: "card wide" }, el("h3", {}, part.title), factList(part.facts)), rest);
  });
}
