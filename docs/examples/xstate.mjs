// Implements the machine that `support-chat export --format xstate` wrote, for XState 5.
//
//   const document = await (await fetch("machine.json")).json();
//   const machine = createMachine(document, implement(document.meta));
//   const actor = createActor(machine.provide({ actions: { dial: () => ... } })).start();
//   actor.send({ type: "boot", user: "ann" });
//
// An event has the trigger as its type, and what comes along: the `user` that it names, and the
// `facts`. If it may be the outcome `of` several things, it says of which. Whether it is `late` is
// found in the ledger, unless it says so: only your client knows one request from the next.

import { enqueueActions, raise, transition } from "xstate";

// The guard and the actions that the machine names. What depends on your client's own records (the
// facts of the kind `derived`) is asked of `records(fact, event)`. Without it the machine keeps
// account of them, and what the chart leaves open comes to hold if the event has it among its
// `chances`, a list for each row that fires: a model, as `xstate-paths.mjs` explores it.
export function implement(meta, records) {
  let rows = 0;  // of this step

  const origin = (context, { type, of }) =>
    meta.triggers[type].find((each) =>
      (of ?? each.of) === each.of && (!each.needs || context.ledger.includes(each.needs)));

  const isLate = (context, event) =>
    event.late ?? (!event.raised && !origin(context, event));

  const who = (register, context, event) =>
    (register === meta.named ? event.user : context.registers[register]) ?? null;

  function holds(fact, context, event) {
    const { kind, left, right, register } = meta.facts[fact];
    if (fact === meta.late) return isLate(context, event);
    if (kind === "same") return who(left, context, event) === who(right, context, event);
    if (kind === "present") return who(register, context, event) !== null;
    if (kind === "carried") return event.facts?.includes(fact) ?? false;
    if (kind === "derived" && records) return records(fact, event);
    return context.facts.includes(fact);
  }

  return {
    guards: {
      "chart.holds": ({ context, event }, { when = [], unless = [], names }) =>
        (!isLate(context, event) || when.includes(meta.late)) &&
        (!names || event.raised || event.user) &&
        when.every((fact) => holds(fact, context, event)) &&
        !unless.some((fact) => holds(fact, context, event)),
    },
    actions: {
      "chart.row": enqueueActions(({ context, event, enqueue }, row) => {
        const { name, facts, ledger, assigns } = row;
        const registers = { ...context.registers };
        for (const [register, source] of Object.entries(assigns ?? {}))
          registers[register] = source && who(source, context, event);
        const somebody = (name) => !meta.facts[name]?.of || registers[meta.facts[name].of] !== null;
        const spent = event.raised || event.more ? [] : origin(context, event)?.spends ?? [];
        rows = event.raised ? rows + 1 : 0;
        const chances = (event.raised ?? event).chances?.[rows] ?? [];
        const left = context.ledger.filter((entry) => !spent.includes(entry));
        const [holding, open] = changed(context.facts, facts, chances, somebody);
        const [underWay, unknown] = changed(left, ledger, chances, somebody);
        enqueue.assign({ registers, facts: holding, ledger: underWay });
        if (name) enqueue({ type: "chart.fired", params: { name, open: [...open, ...unknown] } });
      }),
      "chart.raise": raise(({ event }, { trigger, carries }) => {
        const raised = event.raised ?? event;  // what has happened
        const came = carries && { user: raised.user, facts: raised.facts };
        return { type: trigger, raised, ...came };
      }),
    },
  };
}

// What holds after a row, and what it has left open, each of which holds if it is among `chances`.
function changed(had, change = {}, chances, somebody) {
  const { clears = [], sets = [], raises = [], lowers = [] } = change;
  const holds = new Set([...had.filter((name) => !clears.includes(name)), ...sets]);
  const open = [
    ...raises.filter((name) => !holds.has(name) && somebody(name)),
    ...lowers.filter((name) => holds.has(name)),
  ];
  for (const name of open) chances.includes(name) ? holds.add(name) : holds.delete(name);
  return [[...holds].sort(), open];
}
