// What came out, as Markdown: how often each scenario was told right, and which cause was said of which.

const percent = (part, all) => (all ? `${((100 * part) / all).toFixed(1)} %` : "none");
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/** How often each comes. */
function counted(items) {
  const counts = {};
  for (const item of items) counts[item] = (counts[item] ?? 0) + 1;
  return counts;
}

/** All runs as one. */
export function together(runs) {
  const ordinary = {};
  for (const [cause, count] of runs.flatMap((run) => Object.entries(run.ordinary))) {
    ordinary[cause] = (ordinary[cause] ?? 0) + count;
  }
  const results = runs.flatMap((run) => run.results);
  const leftOut = new Set(runs.flatMap((run) => run.leftOut));
  for (const { name } of results) leftOut.delete(name);
  return { results, ordinary, leftOut: [...leftOut], runs };
}

function scenarioRow(name, of) {
  const others = Object.entries(counted(of.filter((it) => !it.isRight).map((it) => it.cause)));
  const off = of.flatMap((it) => (it.off === null ? [] : [it.off]));
  const error = off.length ? `${percent(median(off), 1)}, ${percent(Math.max(...off), 1)}` : "";
  const right = of.filter((it) => it.isRight).length;
  const otherwise = others.map((entry) => entry.join(" ")).join(", ");
  return `| ${name} | ${right} of ${of.length} | ${otherwise} | ${error} |`;
}

/** One row for each scenario, in the order of `names`. */
export function scenarioTable({ results, leftOut }, names) {
  const known = new Set([...names, ...results.map(({ name }) => name)]);
  const lines = [
    "| injected | right | said otherwise | off by (median, worst) |",
    "| --- | --- | --- | --- |",
  ];
  for (const name of known) {
    const of = results.filter((result) => result.name === name);
    if (of.length) lines.push(scenarioRow(name, of));
    else if (leftOut.includes(name)) lines.push(`| ${name} | | not possible here | |`);
  }
  return lines.join("\n");
}

/**
 * Which cause was said (columns) where which was right (rows); the right cell is bold. Where two things
 * were done at once either of them may be the main cause, so both cells are right.
 */
export function causeMatrix({ results, ordinary }, order) {
  const rows = new Map();
  const add = (row, right, cause, count) => {
    const known = rows.get(row) ?? { right, said: {} };
    known.said[cause] = (known.said[cause] ?? 0) + count;
    rows.set(row, known);
  };
  for (const { right, cause } of results) add(right.join(" + "), right, cause, 1);
  for (const [cause, count] of Object.entries(ordinary)) {
    add("none (ordinary calls)", ["none"], cause, count);
  }
  const place = (cause) => (order.includes(cause) ? order.indexOf(cause) : order.length);
  const byOrder = (a, b) => place(a) - place(b) || a.localeCompare(b);
  const said = new Set([...rows.values()].flatMap((row) => Object.keys(row.said)));
  const columns = [...said].toSorted(byOrder);
  const cell = ({ right, said: counts }, cause) => {
    if (!counts[cause]) return "";
    return right.includes(cause) ? `**${counts[cause]}**` : String(counts[cause]);
  };
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [
    line(["right \\ said", ...columns]),
    line(["---", ...columns.map(() => "---")]),
    ...[...rows]
      .toSorted(([, a], [, b]) => byOrder(a.right[0], b.right[0]))
      .map(([name, row]) => line([name, ...columns.map((cause) => cell(row, cause))])),
  ].join("\n");
}

/** The figures that have a target, and the seeds from which all of it can be drawn again. */
export function totals({ results, ordinary, runs }) {
  const injected = results.filter(({ right }) => right[0] !== "none");
  const right = injected.filter((it) => it.isRight).length;
  const incomplete = injected.filter((it) => !it.isRight && it.right.includes(it.cause)).length;
  const calls = sum(Object.values(ordinary));
  const seeds = runs.map(({ seed, rounds }) => `${seed} (${rounds})`).join(", ");
  const lines = [
    `Main cause right: ${percent(right, injected.length)} of ${injected.length} (wanted 95 %).`,
    `Nothing claimed of ${percent(ordinary.none ?? 0, calls)} of ${calls} ordinary calls (wanted 98 %).`,
    `Seeds (rounds): ${seeds}.`,
  ];
  if (incomplete) {
    const what = "the second of two causes, or the phase, was not said with the right main cause";
    lines.splice(1, 0, `Counted as wrong: ${incomplete}, where ${what}.`);
  }
  return lines.join("\n");
}
