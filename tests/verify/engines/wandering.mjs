// A random walk of an actor of XState, as a log: node wandering.mjs MACHINE SEED STEPS
import { readFileSync } from "node:fs";
import { createActor, createMachine } from "xstate";
import { implement } from "./xstate.mjs";

console.warn = console.error = (...told) => { throw new Error(`XState warns: ${told.join(" ")}`); };

const [file, seed, length] = process.argv.slice(2);
const document = JSON.parse(readFileSync(file));
const { effects: specs, facts: kinds, late: lateness, naming, triggers } = document.meta;

let seeded = Number(seed);
function random() {  // mulberry32
  seeded = (seeded + 0x6d2b79f5) | 0;
  let t = Math.imul(seeded ^ (seeded >>> 15), 1 | seeded);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const coin = (chance = 0.5) => random() < chance;
const one = (options) => options[Math.floor(random() * options.length)];

let rows = [], effects = [];
const told = Object.keys(specs).map((name) => [name, () => effects.push(name)]);
const machine = createMachine(document, implement(document.meta)).provide({
  actions: { ...Object.fromEntries(told), "chart.fired": (_, { name }) => rows.push(name) },
});
const actor = createActor(machine).start();

const entries = Object.values(triggers).flat().flatMap(({ needs }) => needs ?? []);
const openable = [...Object.keys(kinds), ...entries];
const free = Object.keys(kinds).filter((fact) => kinds[fact].kind === "carried");
const begun = new Set();  // every entry of the ledger that there ever was
const SELDOM = { destroy: 0, shutdown: 0.03, become: 0.03, session_revoked: 0.02, boot: 1 };

// Something that may happen: mostly what is under way comes to its end, and comes to a good one.
function happening(ending) {
  const { ledger, registers } = actor.getSnapshot().context;
  ledger.forEach((entry) => begun.add(entry));
  const type = one(Object.keys(triggers));
  const { of, needs } = one(triggers[type]) ?? { needs: "what an internal trigger has not" };
  const late = lateness && needs?.startsWith("asked_") && !ledger.includes(needs) && coin(0.02);
  if (needs && !(late ? begun : new Set(ledger)).has(needs)) return null;
  const seldom = SELDOM[type] ?? (specs[of]?.success === type ? 1 : needs ? 0.05 : 0.1);
  if (!coin(ending ? 0.5 : seldom)) return null;
  const [first, ...others] = Object.values(registers);
  const users = coin(needs ? 0.8 : 0.4) ? [first] : [...others, "ann", "bob", null];
  const somebody = users.filter((user) => user !== null);
  const user = one(naming.includes(type) ? [...somebody, "ann"] : users);
  const facts = late ? [] : free.filter(() => coin(needs ? 0.05 : 0.2));
  const chances = Array.from({ length: 8 }, () => openable.filter(() => coin()));
  return { type, of, user: late ? null : user, facts, chances, ...(late && { late }) };
}

const lines = [];
while (lines.length < Number(length)) {
  const event = happening(lines.length > 0.95 * length);
  if (!event) continue;
  const { facts } = actor.getSnapshot().context;
  const known = Object.keys(kinds).filter((fact) =>
    fact !== lateness && /stored|derived|carried/.test(kinds[fact].kind));
  const held = known.map((fact) => [fact, facts.includes(fact) || event.facts.includes(fact)]);
  [rows, effects] = [[], []];
  actor.send(event);
  lines.push({
    trigger: event.type, of: event.of in specs ? event.of : undefined, late: Boolean(event.late),
    facts: event.late ? {} : Object.fromEntries(held),
    rows, effects, phase: actor.getSnapshot().value,
  });
}
for (const line of [{ schema: "support-chat/trace", version: 1 }, ...lines, { end: lines.length }])
  process.stdout.write(`${JSON.stringify(line)}\n`);
