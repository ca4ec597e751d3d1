// Steps machines of XState: node stepping.mjs LINES
//
// A line is a machine, for those that follow; or a step of it, from a state, with every way it must
// go; or a state with the properties that are broken in it. A warning is an error.
import { readFileSync } from "node:fs";
import { createMachine } from "xstate";
import { implement } from "./xstate.mjs";
import { broken, ways } from "./xstate-paths.mjs";

console.warn = console.error = (...told) => { throw new Error(`XState warns: ${told.join(" ")}`); };

let machine, steps = 0, machines = 0, judged = 0;
const differing = [];

for (const line of readFileSync(process.argv[2], "utf-8").split("\n").filter(Boolean)) {
  const asked = JSON.parse(line);
  if (asked.machine) {
    machine = createMachine(asked.machine, implement(asked.machine.meta));
    machines += 1;
    continue;
  }
  const snapshot = machine.resolveState(asked.state);
  if (asked.event) {
    const went = [...ways(machine, snapshot, asked.event)].map(told);
    compare(asked, [...new Set(went)].sort(), asked.ways.map((way) => JSON.stringify(way)).sort());
    steps += asked.ways.length;
  } else {
    compare(asked, broken(machine, snapshot), asked.broken);
    judged += 1;
  }
}

// What a step comes to, as the line says it.
function told({ rows, next: { value, context }, actions }) {
  const { effects: known } = machine.config.meta;
  const effects = actions.map(({ type }) => type).filter((type) => type in known);
  const names = rows.map(({ name }) => name);
  return JSON.stringify([names, effects, value, context.facts, context.ledger, context.registers]);
}

function compare(asked, is, must) {
  if (JSON.stringify(is) !== JSON.stringify(must)) differing.push({ asked, is, must });
}

const say = (text) => process.stdout.write(`${text}\n`);
for (const { asked, is, must } of differing.slice(0, 3)) {
  say(JSON.stringify(asked));
  say(`  came to ${is.join("\n  ")}\n  not to ${must.join("\n  ")}`);
}
say(`${machines} machines, ${steps} steps, ${judged} states, ${differing.length} differ`);
