// XState on Node, told by lines on standard input: `small.send 100` runs the word of the phone a
// hundred times and prints the nanoseconds of processor that it took. The first line is the chart as data.

import { createInterface } from "node:readline";
import process from "node:process";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { assign, createActor, createMachine, setup, transition } = await import(
  pathToFileURL(createRequire(`${process.argv[2]}/`).resolve("xstate"))
);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const given = JSON.parse((await lines.next()).value);

// --- the phone, as XState's users write it ---

const phone = setup({
  guards: { isFresh: ({ context }) => context.attempts < given.most },
  actions: {
    count: assign({ attempts: ({ context }) => context.attempts + 1 }),
    forget: assign({ attempts: 0 }),
  },
}).createMachine({
  initial: "idle",
  context: { attempts: 0 },
  states: {
    idle: {
      on: {
        dial: [{ guard: "isFresh", target: "dialling", actions: "count" }, {}],
        reset: { actions: "forget" },
      },
    },
    dialling: {
      on: { failed: "idle", answered: { target: "talking", actions: "forget" } },
    },
    talking: { on: { hang_up: "idle" } },
  },
});
const phoneWord = given.phone.word.map((type) => ({ type }));

// --- the shipped chart, put together from its rows ---

const { session } = given;

function holds(context, event, fact) {
  const registers = session.derived[fact];
  if (registers === undefined) {
    return context.facts.has(fact) || event.facts.has(fact);
  }
  const [left, right] = registers.map((name) =>
    name === session.named ? event.named : context.values[name],
  );
  return registers.length === 1 ? left !== null : left === right;
}

const states = Object.fromEntries(session.phases.map((phase) => [phase, { on: {} }]));
for (const { trigger, source, target, when, unless, sets, clears, assigns } of session.rows) {
  const guard = ({ context, event }) =>
    when.every((fact) => holds(context, event, fact)) &&
    !unless.some((fact) => holds(context, event, fact));
  const stored = ({ context }) => {
    if (!sets.length && !clears.length) return context.facts;
    const facts = new Set(context.facts);
    clears.forEach((fact) => facts.delete(fact));
    sets.forEach((fact) => facts.add(fact));
    return facts;
  };
  const named = Object.entries(assigns);
  const values = ({ context, event }) => {
    if (!named.length) return context.values;
    const from = (of) => (of === null ? null : of === session.named ? event.named : context.values[of]);
    return { ...context.values, ...Object.fromEntries(named.map(([name, of]) => [name, from(of)])) };
  };
  const row = { guard, actions: assign({ facts: stored, values }) };
  if (target !== null) row.target = target;
  (states[source].on[trigger] ??= []).push(row);
}
const whole = createMachine({
  initial: session.start,
  context: { facts: new Set(session.facts), values: session.values },
  states,
});
const sessionWord = session.word.map((event) => ({ ...event, facts: new Set(event.facts) }));

// --- what is timed ---

function sending(machine, word) {
  const actor = createActor(machine).start();
  return (event) => {
    actor.send(event);
    return actor.getSnapshot().value;
  };
}

function pure(machine) {
  let snapshot = createActor(machine).start().getSnapshot();
  return (event) => {
    [snapshot] = transition(machine, snapshot, event);
    return snapshot.value;
  };
}

const subjects = {
  "phone.send": [sending(phone), phoneWord, given.phone.after],
  "phone.pure": [pure(phone), phoneWord, given.phone.after],
  "session.send": [sending(whole), sessionWord, session.after],
  "session.pure": [pure(whole), sessionWord, session.after],
};
for (const [name, [step, word, after]] of Object.entries(subjects)) {
  const seen = word.map((event) => step(event));
  if (seen.join() !== after.join()) throw new Error(`${name} goes ${seen}, not ${after}`);
}
console.log("ready");

function bytesOfOne(count) {
  const kept = [];
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < count; i++) kept.push(createActor(phone).start());
  globalThis.gc();
  const bytes = (process.memoryUsage().heapUsed - before) / kept.length;
  kept.forEach((actor) => actor.stop());
  return bytes;
}

for await (const line of lines) {
  const [name, count] = line.split(" ");
  if (name === "bytes") {
    console.log(bytesOfOne(Number(count)));
    continue;
  }
  const [step, word] = subjects[name];
  const began = process.cpuUsage();
  for (let i = 0; i < Number(count); i++) {
    for (const event of word) step(event);
  }
  const { user, system } = process.cpuUsage(began);
  console.log((user + system) * 1000);
}
