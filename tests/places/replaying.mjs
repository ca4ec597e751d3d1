// Replays the cases of a chart, step for step: node replaying.mjs INTERPRETER CHART CASES
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";

const [interpreter, chartFile, casesFile] = process.argv.slice(2);
const { Chart } = await import(pathToFileURL(interpreter));
const chart = new Chart(JSON.parse(readFileSync(chartFile)));
const { cases } = JSON.parse(readFileSync(casesFile));

// The facts of the client's records, as the case says them at each trigger that is asked.
function recordsOf({ asks }) {
  let done = 0;
  return {
    holds: (fact, trigger) =>
      asks.slice(done).find((ask) => ask.trigger === trigger)?.facts?.includes(fact) ?? false,
    take: () => { while (done < asks.length && !asks[done++].row); },
  };
}

function replayed(state, step) {
  const { trigger, user = null, late = false, asks } = step;
  const facts = (asks[0].facts ?? []).filter((f) => chart.document.facts[f].kind === "carried");
  const came = chart.step(state, { trigger, user, facts, late }, recordsOf(step));
  const { phase, registers } = came.state;
  const is = [came.rows, came.effects, phase, [...came.state.facts].sort(), registers];
  const stored = [...(step.facts ?? [])].sort();
  const rows = asks.flatMap(({ row }) => row ?? []);
  const must = [rows, step.effects ?? [], step.phase, stored, step.registers];
  if (isDeepStrictEqual(is, must)) return came.state;
  console.error(`${step.words}: came to`, is, "and must come to", must);
  process.exit(1);
}

for (const steps of cases) steps.reduce(replayed, chart.initial);
console.log(`${cases.flat().length} steps of ${cases.length} cases are as they must be`);
