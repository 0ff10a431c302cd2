"use strict";

function waterfallSection(data) {
  return data.waterfalls.map((waterfall, index) => {
    const { steps, unit } = waterfall;
    const isRate = unit.includes("/s");
    const first = steps[0], last = steps[steps.length - 1];
    const ratio = (a, b) => (isRate ? b / a : a / b);
    // The latest before it: names may come twice.
    const before = (step) => steps.slice(0, steps.indexOf(step)).reverse().find((other) => other.name === step.from);
    const rows = steps.map((step) => {
      const from = before(step);
      const gain = from ? ` · ${formatNumber(Number(ratio(from.value, step.value).toPrecision(3)))}×` : "";
      const accuracy = step.accuracy === null ? "" : ` · ${formatPercent(step.accuracy)}`;
      return {
        name: step.name, value: step.value, ghost: from?.value,
        short: `${formatNumber(step.value)} ${unit}`, text: `${formatNumber(step.value)} ${unit}${gain}${accuracy}`,
      };
    });
    return chart({
      id: `waterfall-${index}`,
      title: `Step by step: ${waterfall.title}`,
      summary: `From ${formatNumber(first.value)} ${unit} (${first.name}) to ${formatNumber(last.value)} ${unit} (${last.name}).`,
      keys: [[isRate ? `${unit} reached` : "time left", "var(--blue)"], ["saved by the step", "color-mix(in srgb, var(--orange) 28%, transparent)"]],
      draw: (width) => rowBars(width, width < 480 ? rows.map((r) => ({ ...r, text: r.short })) : rows, { label: unit }),
      table: tableOf(
        [{ label: "step" }, { label: "after" }, { label: unit, number: true }, { label: "step's gain", number: true, format: (v) => `${formatNumber(v)}×` },
          { label: "gain in all", number: true, format: (v) => `${formatNumber(v)}×` }, { label: "accuracy", number: true, format: formatPercent }],
        steps.map((s) => [s.name, s.from, s.value, before(s) ? ratio(before(s).value, s.value) : null, ratio(first.value, s.value), s.accuracy])),
    });
  });
}
