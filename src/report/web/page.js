"use strict";

function header(data) {
  const machine = data.environments[0]?.facts ?? [];
  const told = ["cpu", "isa_best", "date_utc", "xdn_version"].map((key) => settingOf(machine, key)).filter(Boolean);
  return el("header", {}, el("h1", {}, data.title), told.length > 0 ? el("p", { class: "muted" }, told.join(" · ")) : null,
    hasCharts ? null : el("p", { class: "note" }, "built without charts"),
    data.headlines.length === 0 ? null
      : el("div", { class: "headlines" }, data.headlines.slice(0, 8).map((h) => el("div", { class: "headline" }, el("b", {}, h.value.replace(/x$/, "×")), el("span", {}, h.label)))));
}

function checkSection(data) {
  return data.aa.map((aa) => {
    const good = Math.abs(aa.ratio - 1) <= 0.03;
    return el("div", { class: "card", id: "aa" }, el("span", { class: good ? "ok" : "bad" }, good ? "✓ " : "✗ "),
      `XDN against itself: ratio ${aa.ratio.toFixed(3)}, 95 % interval ${aa.low.toFixed(3)} to ${aa.high.toFixed(3)}, ${aa.runs} runs. `,
      good ? "Differences above 3 % between the numbers here are not the harness's." : "The machine was not quiet: differences of this size mean nothing.");
  });
}

function settingsSection(data) {
  if (data.settings.length === 0) return [];
  const keys = [...new Set(data.settings.flatMap((row) => row.settings.map((s) => s.label)))];
  const rows = data.settings.map((row) => [row.name, ...keys.map((key) => settingOf(row.settings, key) ?? null)]);
  return [plainTable({ title: "", columns: ["run", ...keys.map(labelOf)], rows })];
}

function environmentSection(data) {
  return data.environments.map((environment) =>
    el("div", { class: "card" }, data.environments.length > 1 ? el("h3", {}, environment.source) : null, factList(environment.facts)));
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", {}, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const said = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = said; }, 1500);
}

function copyButton(text, label, name) {
  const button = el("button", { type: "button", "aria-label": name }, label);
  button.addEventListener("click", () => copy(text, button));
  return button;
}

function commandSection(data) {
  if (data.commands.length === 0) return [];
  const all = data.commands.length > 1 ? copyButton(data.commands.join("\n"), "Copy all", "Copy all commands") : null;
  return [el("div", { class: "card" },
    data.commands.map((command) => el("div", { class: "command" }, el("code", {}, command), copyButton(command, "Copy", `Copy: ${command}`))), all)];
}

function noteSection(data) {
  return data.notes.length === 0 ? [] : [el("div", { class: "card" }, el("ul", {}, data.notes.map((note) => el("li", {}, note))))];
}

/** The page's parts, in order: [id, title, what makes its cards, whether two may stand side by side]. */
const sections = [
  ["steps", "Steps", waterfallSection, false],
  ["front", "Accuracy and time", paretoSection, false],
  ["check", "Harness check", checkSection, false],
  ["results", "Results", (data) => data.tables.map(plainTable), true],
  ["evaluation", "Evaluation", evalSection, false],
  ["profile", "Where the time goes", profileSection, true],
  ["tuning", "Tuning", tuningSection, true],
  ["training", "Training", trainingSection, true],
  ["sensitivity", "Sensitivity", sensitivitySection, false],
  ["layers", "Layers and classes", barSection, true],
  ["settings", "Settings", settingsSection, false],
  ["environment", "Environment", environmentSection, false],
  ["commands", "To repeat it", commandSection, false],
  ["notes", "Notes", noteSection, false],
];

function makePage() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.getElementById("page"), nav = el("nav", { "aria-label": "Parts of this page" });
  main.replaceChildren(header(data), nav);
  for (const [id, title, make, two] of sections) {
    const cards = make(data);
    if (cards.length === 0) continue;
    nav.append(el("a", { href: `#${id}` }, title));
    main.append(el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title),
      el("div", { class: two && cards.length > 1 ? "cards two" : "cards" }, cards)));
  }
  main.append(el("footer", {}, `Made by xdn report from ${data.sources.join(", ")}.`));
  if (hasCharts) keepDrawn();
}

makePage();
