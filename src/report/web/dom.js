"use strict";

/** An element. Texts become text nodes, so that nothing in the data is ever markup. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** A table of columns [{label, number, format}] and rows of as many values, in a box that scrolls by itself. */
function tableOf(columns, rows, caption) {
  const side = (column) => (column.number ? { class: "number" } : {});
  const show = (column, value) => (value === null || value === undefined ? "" : (column.format ?? formatValue)(value));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption ?? "Table" },
    el("table", {},
      caption ? el("caption", {}, caption) : null,
      el("thead", {}, el("tr", {}, columns.map((c) => el("th", { ...side(c), scope: "col" }, c.label)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, columns.map((c, i) => el("td", side(c), show(c, row[i]))))))));
}

/** A table whose columns are numeric where all their values are. */
function plainTable(table) {
  const numeric = (i) => table.rows.some((row) => row[i] !== null && row[i] !== "") &&
    table.rows.every((row) => row[i] === null || typeof row[i] === "number" || /^([-+−]?[\d.,]+(–[\d.,]+)? ?(%|x|×|ms|s)?)?$/.test(row[i]));
  const columns = table.columns.map((label, i) => ({ label, number: numeric(i) }));
  return el("div", { class: table.columns.length > 5 ? "card wide" : "card" }, tableOf(columns, table.rows, table.title));
}

/** Facts [{label, value}] as a list of definitions. */
function factList(facts) {
  return el("dl", { class: "facts" },
    facts.map((fact) => el("div", {}, el("dt", {}, labelOf(fact.label)), el("dd", {}, formatValue(fact.value, fact.label)))));
}

/** What the colours of a chart mean: [[name, colour]]. */
function legend(entries) {
  return el("ul", { class: "legend" }, entries.map(([name, colour]) => {
    const swatch = el("i", { "aria-hidden": "true" });
    swatch.style.background = colour;
    return el("li", {}, swatch, name);
  }));
}
