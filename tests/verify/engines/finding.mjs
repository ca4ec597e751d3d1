// Lets XState find the shortest paths of a machine: node finding.mjs MACHINE stock|everything
//
// `stock` is what XState does by itself. The answer is an object: how many states, how deep, and
// with `everything` how many steps, and the ids of properties that are broken; then the paths.
import { readFileSync } from "node:fs";
import { createMachine, transition } from "xstate";
import { getShortestPaths } from "xstate/graph";
import { implement } from "./xstate.mjs";
import { broken, everything } from "./xstate-paths.mjs";

console.warn = console.error = (...told) => { throw new Error(`XState warns: ${told.join(" ")}`); };

const [file, how] = process.argv.slice(2);
const document = JSON.parse(readFileSync(file));
createMachine(document);  // the file alone, to be provided with the rest
const machine = createMachine(document, implement(document.meta));
let steps = 0;
function counted({ events, serializeState }) {  // XState asks once for the events of a state
  const counting = (snapshot) => {
    const found = events(snapshot);
    steps += found.length;
    return found;
  };
  return { events: counting, serializeState };
}
const options = how === "stock" ? [] : [counted(everything(machine))];
const paths = getShortestPaths(machine, ...options);

function line(before, event) {
  const [{ value }, actions] = transition(machine, before, event);
  const fired = actions.filter(({ type }) => type === "chart.fired");
  const rows = fired.map(({ params }) => params.name);
  const effects = actions.map(({ type }) => type).filter((type) => type in document.meta.effects);
  return { trigger: event.type, late: false, rows, effects, phase: value };
}

// The first step of a path of XState is its beginning.
const logged = (path) =>
  path.steps.slice(1).map(({ event }, n) => line(path.steps[n].state, event));

process.stdout.write(JSON.stringify({
  states: paths.length,
  depth: Math.max(...paths.map((path) => path.steps.length - 1)),
  steps,
  broken: [...new Set(paths.flatMap(({ state }) => broken(machine, state)))].sort(),
  paths: how === "stock" ? paths.map(logged) : [],
}));
