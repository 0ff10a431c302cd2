"use strict";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** Four significant digits, thousands grouped; very large and very small numbers by power of ten. */
function formatNumber(x) {
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return grouped.format(x);
  const size = Math.abs(x);
  if (size === 0) return "0";
  if (size >= 1e12 || size < 1e-4) return x.toExponential(2).replace("e+", "e");
  if (size >= 1e9) return `${(x / 1e9).toPrecision(4)} G`;
  if (size >= 1e6) return `${(x / 1e6).toPrecision(4)} M`;
  if (size >= 1000) return grouped.format(x);
  return String(Number(x.toPrecision(4)));
}

function formatBytes(x) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; x >= 1024 && unit + 1 < units.length; ++unit) x /= 1024;
  return `${x >= 100 || unit === 0 ? x.toFixed(0) : x.toPrecision(3)} ${units[unit]}`;
}

function formatValue(value, label = "") {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  if (/bytes$/.test(label)) return formatBytes(value);
  if (/accuracy$/.test(label) && value >= 0 && value <= 1) return formatPercent(value);
  if (/seconds(_total)?$/.test(label)) return formatSeconds(value);
  return formatNumber(value);
}

function formatPercent(share, digits = 2) {
  return `${(share * 100).toFixed(digits)}\u00a0%`;
}

function formatSeconds(seconds) {
  if (seconds >= 1) return `${formatNumber(Number(seconds.toPrecision(4)))} s`;
  if (seconds >= 1e-3) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  return `${Number((seconds * 1e6).toPrecision(3))} µs`;
}

/** For an axis: the shortest form. */
function formatTick(x) {
  return x !== 0 && Math.abs(x) < 1e-3 ? x.toExponential(0) : formatNumber(Number(x.toPrecision(3)));
}

/** "data_parallel" -> "data parallel" */
function labelOf(key) {
  return key.replaceAll("_", " ");
}

/** The text in at most `length` characters, the middle left out. */
function shorten(text, length) {
  if (text.length <= length) return text;
  const head = Math.ceil((length - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (length - 1 - head))}`;
}

function sumOf(values) {
  return values.reduce((a, b) => a + b, 0);
}

/** Unlike Math.max(...values), of any number of values. */
function largestOf(values) {
  return values.reduce((a, b) => Math.max(a, b), -Infinity);
}

function smallestOf(values) {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}
