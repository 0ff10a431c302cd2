"use strict";

const hasCharts = typeof Plot !== "undefined";

/** Every chart on the page, for drawing again in another width. */
const drawn = [];

/**
 * A chart with its title, and its data as a table that is folded up. draw(width) returns the SVG; summary is what it says
 * to those who do not see it. Without the library there is the table alone.
 */
function chart({ id, title, summary, draw, table, keys = [], note = "", tall = false, wide = false }) {
  const figure = el("figure", { class: wide ? "card wide" : "card", id, "data-chart": id.replace(/-\d+$/, "") },
    el("figcaption", {}, title));
  if (hasCharts) {
    if (keys.length > 0) figure.append(legend(keys));
    const box = el("div", { class: tall ? "plot tall" : "plot" });
    figure.append(box);
    drawn.push({ box, draw, title, summary, width: 0 });
  }
  if (note) figure.append(el("p", { class: "note" }, note));
  figure.append(hasCharts ? el("details", {}, el("summary", {}, "Data"), table) : table);
  return figure;
}

function drawOne(entry, width) {
  if (width <= 0 || Math.abs(width - entry.width) < 1) return;
  entry.width = width;
  try {
    const svg = entry.draw(width);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${entry.title}. ${entry.summary}`);
    entry.box.replaceChildren(svg);
  } catch (error) {
    console.error(error);  // the table below has it all
    entry.box.replaceChildren(el("p", { class: "note" }, "This chart could not be drawn."));
  }
}

/** Draws all charts in the width that they have, and again whenever that changes. */
function drawAll() {
  for (const entry of drawn) drawOne(entry, entry.box.clientWidth);
}

function keepDrawn() {
  drawAll();
  // A box that gets narrower because its own chart brings a scroll bar must not be drawn in a circle: the next frame.
  const observer = new ResizeObserver(() => requestAnimationFrame(drawAll));
  for (const entry of drawn) observer.observe(entry.box);
  addEventListener("beforeprint", () => drawn.forEach((entry) => drawOne(entry, 680)));
  addEventListener("afterprint", drawAll);
}

const chartStyle = { fontSize: "12px", fontFamily: "inherit", background: "transparent", color: "var(--text)" };

/** The mark, its group in the SVG labelled with the name. (The library's own option would label each of its parts.) */
function named(name, mark) {
  mark.ariaLabel = name;
  return mark;
}

/** What all charts share. */
function plot(options) {
  return Plot.plot({ style: chartStyle, ...options });
}

function spread(values) {
  const positive = values.filter((v) => v > 0);
  return positive.length === values.length && positive.length > 0 ? Math.max(...positive) / Math.min(...positive) : 0;
}

/** Texts beside points, where there is room: the first places go to the first entries; who finds none has none. */
function labelPoints(svg, points, xScale, yScale, { width, height, radius = 6 }) {
  const size = 11, group = d3.create("svg:g").attr("aria-label", "labels").attr("font-size", size)
    .attr("fill", "currentColor").attr("text-anchor", "start")
    .attr("paint-order", "stroke").attr("stroke", "var(--card)").attr("stroke-width", 3);
  const dots = points.map((p) => ({ x: xScale.apply(p.x), y: yScale.apply(p.y) }));
  const taken = dots.map((d) => ({ x0: d.x - radius, x1: d.x + radius, y0: d.y - radius, y1: d.y + radius }));
  const meet = (a, b) => a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1;
  points.forEach((p, i) => {
    const text = shorten(p.label, 28), w = text.length * size * 0.6, { x, y } = dots[i], gap = radius + 4;
    const places = [[gap, 0], [-gap - w, 0], [-w / 2, -gap - 6], [-w / 2, gap + 7], [gap - 2, -gap - 3], [gap - 2, gap + 4],
      [-gap - w + 2, -gap - 3], [-gap - w + 2, gap + 4], [-w / 2, -gap - 19], [-w / 2, gap + 20]];
    for (const [dx, dy] of places) {
      const box = { x0: x + dx, x1: x + dx + w, y0: y + dy - 7, y1: y + dy + 7 };
      if (box.x0 < 2 || box.x1 > width - 2 || box.y0 < 2 || box.y1 > height - 30) continue;
      if (taken.some((other, k) => k !== i && meet(box, other))) continue;
      taken.push(box);
      group.append("text").attr("x", box.x0).attr("y", y + dy).attr("dy", "0.35em").text(text);
      return;
    }
  });
  (svg.tagName === "svg" ? svg : svg.querySelector("svg")).append(group.node());
}

/**
 * Rows with a name above and a bar below, which fits the narrowest screen: [{name, value, text, fill, ghost}], where ghost is
 * where a lighter bar behind ends.
 */
function rowBars(width, rows, { label, type = "linear", zero = 0, ghostFill = "var(--orange)" }) {
  const height = 46, top = Math.max(...rows.map((r) => Math.max(r.value, r.ghost ?? 0)));
  const letters = Math.max(8, Math.floor((width - 20) / 7) - Math.max(...rows.map((r) => r.text.length)) - 1);
  const y = (r) => rows.indexOf(r);
  return plot({
    width, height: rows.length * height + 40, marginLeft: 4, marginRight: 4, marginTop: 0, marginBottom: 36,
    x: { type, domain: [zero, top], label, grid: true, nice: type === "log" },
    y: { axis: null, type: "band", domain: d3.range(rows.length), padding: 0 },
    marks: [
      named("saved", Plot.barX(rows.filter((r) => r.ghost !== undefined && r.ghost > r.value), {
        y, x1: "value", x2: "ghost", fill: ghostFill, fillOpacity: 0.28, insetTop: 24, insetBottom: 5,
      })),
      named("bars", Plot.barX(rows, { y, x1: () => zero, x2: "value", fill: (r) => r.fill ?? "var(--blue)", insetTop: 24, insetBottom: 5, rx: 2 })),
      named("names", Plot.text(rows, { y, frameAnchor: "left", textAnchor: "start", dy: -9, dx: 2, text: (r) => shorten(r.name, letters), fontWeight: 600 })),
      named("values", Plot.text(rows, { y, frameAnchor: "right", textAnchor: "end", dy: -9, dx: -2, text: "text" })),
    ],
  });
}
