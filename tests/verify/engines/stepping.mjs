// Steps machines of XState: node stepping.mjs LINES
//
// A line is a machine, for those that follow; or a step of it, from a state, with every way it must
// go; or a state with the properties that are broken in it. A warning is an error.
import { readFileSync } from "node:fs";
import { createMachine, transition } from "xstate";
import { implement } from "./xstate.mjs";
import { broken, ways } from "./xstate-paths.mjs";

console.warn = console.error = (...told) => { throw new Error(`XState warns: ${told.join(" ")}`); };

let machine, steps = 0, machines = 0, judged = 0;
const differing = [];

for (const line of readFileSync(process.argv[2], "utf-8").split("\n").filter(Boolean)) {
  const told = JSON.parse(line);
  if (told.machine) {
    machine = createMachine(told.machine, implement(told.machine.meta));
    machines += 1;
    continue;
  }
  const snapshot = machine.resolveState(told.state);
  if (told.event) {
    const went = [...ways(machine, snapshot, told.event)].map(([event]) => step(snapshot, event));
    compare(told, [...new Set(went)].sort(), told.ways.map((way) => JSON.stringify(way)).sort());
    steps += told.ways.length;
  } else {
    compare(told, broken(machine, snapshot), told.broken);
    judged += 1;
  }
}

// What a step comes to, as the line says it.
function step(snapshot, event) {
  const [{ value, context }, actions] = transition(machine, snapshot, event);
  const rows = actions.filter(({ type }) => type === "chart.fired").map(({ params }) => params.name);
  const effects = actions.map(({ type }) => type).filter((type) => type in machine.config.meta.effects);
  return JSON.stringify([rows, effects, value, context.facts, context.ledger, context.registers]);
}

function compare(told, is, must) {
  if (JSON.stringify(is) !== JSON.stringify(must)) differing.push({ told, is, must });
}

for (const { told, is, must } of differing.slice(0, 3))
  process.stdout.write(`${JSON.stringify(told)}\n  came to ${is.join("\n  ")}\n  not to ${must.join("\n  ")}\n`);
process.stdout.write(`${machines} machines, ${steps} steps, ${judged} states, ${differing.length} differ\n`);
