// What XState's own tools need to walk all that a machine of `support-chat export --format xstate`
// can do, and to judge it by the properties that it carries.
//
//   const machine = createMachine(document, implement(document.meta));
//   const paths = getShortestPaths(machine, everything(machine));
//   const wrong = paths.filter(({ state }) => broken(machine, state).length);

import { transition } from "xstate";

// The options of `getShortestPaths` and the like: all that can happen, and which states are one.
export function everything(machine) {
  return { events: (snapshot) => [...happenings(machine, snapshot)], serializeState };
}

// Every event that can happen now, with all that may come along and every way it can go.
export function* happenings(machine, snapshot) {
  const { meta, states } = machine.config;
  const { value, context } = snapshot;
  for (const [type, origins] of Object.entries(meta.triggers))
    for (const { of, needs, spends, several } of origins) {
      if (needs && !context.ledger.includes(needs)) continue;
      const brought = states[value].meta.brings[type] ?? [];
      for (const user of brought.includes(meta.named) ? users(meta, context, type) : [null])
        for (const facts of subsets(brought.filter((name) => name !== meta.named)))
          for (const more of several ? [false, true] : [false])
            for (const { event, rows } of ways(machine, snapshot, { type, of, user, facts, more }))
              if (rows.length || (!more && (spends || hasRow(states[value].on[type])))) yield event;
    }
}

const hasRow = (transitions = []) => transitions.some(({ actions: [{ params }] }) => params.name);

// The ways in which one event can go, by what its rows leave open: with the rows that fire, what
// they come to, and all actions.
export function* ways(machine, snapshot, event) {
  const { chances = [] } = event;
  const [next, actions] = transition(machine, snapshot, event);
  const rows = actions.filter(({ type }) => type === "chart.fired").map(({ params }) => params);
  if (chances.length >= rows.length) return yield { event, rows, next, actions };
  for (const hold of subsets(rows[chances.length].open))
    yield* ways(machine, snapshot, { ...event, chances: [...chances, hold] });
}

// Whom a trigger may name: nobody, whoever is in a register, and one who is in none.
function users({ naming, registers }, context, type) {
  const held = [...new Set(Object.values(context.registers))].filter((who) => who !== null);
  const anybody = ["A", ...registers.map((_, n) => "BCDEFGH"[n])];
  const stranger = anybody.find((who) => !held.includes(who));
  return [...(naming.includes(type) ? [] : [null]), ...held, stranger];
}

function subsets([first, ...rest]) {
  if (first === undefined) return [[]];
  return subsets(rest).flatMap((some) => [some, [first, ...some]]);
}

// Users are called A, B, ... in the order of the registers: who they are makes no difference.
export function serializeState({ value, context: { facts, ledger, registers } }) {
  const users = Object.values(registers);
  const held = [...new Set(users)].filter((who) => who !== null);
  const named = users.map((who) => (who === null ? "-" : "ABCDEFGH"[held.indexOf(who)]));
  return [value, ...facts, ...ledger, ...named].join(" ");
}

// The ids of the properties of states that do not hold in this one.
export function broken(machine, { value, context }) {
  const { facts, ledger, registers } = context;
  const held = [...facts, ...ledger];
  const read = (name) => (name in registers ? registers[name] : held.includes(name));
  function holds(formula) {
    if (typeof formula !== "object") return typeof formula === "string" ? read(formula) : formula;
    const [[kind, what]] = Object.entries(formula);
    switch (kind) {
      case "not": return !holds(what);
      case "and": return what.every(holds);
      case "or": return what.some(holds);
      case "if": return holds(holds(what) ? formula.then : formula.else);
      case "phase": return value === what;
      case "nobody": return read(what) === null;
      case "same": return read(what[0]) === read(what[1]);
    }
  }
  return machine.config.meta.properties
    .filter((property) => "holds" in property && !holds(property.holds))
    .map(({ id }) => id);
}
