// Replays the cases of a chart, step for step, on any interpreter that has its `Chart`: in Node, or
// in a browser.

// How many steps of how many cases are as they must be; throws an error at the first that is not.
export function replay({ Chart }, document, { cases }) {
  const chart = new Chart(document);
  for (const steps of cases)
    steps.reduce((state, step) => replayed(chart, state, step), chart.initial);
  return `${cases.flat().length} steps of ${cases.length} cases are as they must be`;
}

// The facts of the client's records, as the case says them at each trigger that is asked.
function recordsOf({ asks }) {
  let done = 0;
  return {
    holds: (fact, trigger) =>
      asks.slice(done).find((ask) => ask.trigger === trigger)?.facts?.includes(fact) ?? false,
    take: () => { while (done < asks.length && !asks[done++].row); },
  };
}

function replayed(chart, state, step) {
  const { trigger, user = null, late = false, asks } = step;
  const facts = (asks[0].facts ?? []).filter((f) => chart.document.facts[f].kind === "carried");
  const came = chart.step(state, { trigger, user, facts, late }, recordsOf(step));
  const { phase, registers } = came.state;
  const is = [came.rows, came.effects, phase, [...came.state.facts].sort(), registers];
  const stored = [...(step.facts ?? [])].sort();
  const rows = asks.flatMap(({ row }) => row ?? []);
  const must = [rows, step.effects ?? [], step.phase, stored, step.registers];
  if (JSON.stringify(is) === JSON.stringify(must)) return came.state;
  throw new Error(
    `${step.words}: came to ${JSON.stringify(is)} and must come to ${JSON.stringify(must)}`);
}
