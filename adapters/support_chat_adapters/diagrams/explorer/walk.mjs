// A walk through a chart, step by step: what has happened, and what may happen next. A walk changes
// only by `take`, `undo`, `redo`, `put` and `play`; where it stands is a value.
import { UnderWay } from "./chart.mjs";

const LETTERS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];

// Where a walk stands: the state of the chart; the facts of records that hold; the account of what
// is under way, with every request and link there ever was and the slots in which somebody waits.
export function beginning(chart, state = chart.initial) {
  return {
    state, records: new Set(), account: new UnderWay(chart), begun: new Map(), waiting: new Map(),
  };
}

function copied(chart, { state, records, account, begun, waiting }) {
  const { current, timers, made } = account;
  const again = { current: new Map(current), timers: new Map(timers), made };
  return {
    state,
    records: new Set(records),
    account: Object.assign(new UnderWay(chart), again),
    begun: new Map(begun),
    waiting: new Map(waiting),
  };
}

// What a step comes to: the chart's rows and effects, and where it leads. What effects say of the
// facts of records is booked; `holds` may answer otherwise: it is asked of a fact with what is
// booked, the trigger that is asked, and the number of rows that have fired.
export function stepped(chart, now, happening, holds = (fact, booked) => booked.has(fact)) {
  const after = copied(chart, now);
  const { trigger, user = null, facts = [], late = false } = happening;
  let fired = 0;
  spend(chart, after, happening);
  const came = chart.step(now.state, { trigger, user, facts, late }, {
    holds: (fact, asked) => holds(fact, after.records, asked, fired),
    take(effects) {
      fired++;
      for (const effect of effects) book(chart, after, effect);
    },
  });
  after.state = came.state;
  for (const [number, effect] of after.account.enter(came.effects)) after.begun.set(number, effect);
  return { happening, rows: came.rows, effects: came.effects, after };
}

function book(chart, { records, waiting }, name) {
  const { kind, slot, slots, abandoned } = chart.document.effects[name];
  if (kind === "join") waiting.set(slot, abandoned);
  if (kind === "settle" || kind === "fail") waiting.delete(slot);
  if (kind === "detach") slots.forEach((each) => waiting.delete(each));
  for (const [fact, { kind: of, sets = [], clears = [] }] of Object.entries(chart.document.facts)) {
    if (of !== "derived") continue;
    if (sets.includes(name)) records.add(fact);
    if (clears.includes(name)) records.delete(fact);
  }
}

// What has ended by this: the request that it is an outcome of, or a timer.
function spend(chart, { account, begun, waiting }, { trigger, of, late, number }) {
  for (const [slot, abandoned] of waiting) if (abandoned === trigger) waiting.delete(slot);
  for (const [timer, expiry] of account.timers)
    if (expiry === trigger && (!of || of === timer)) account.expired(timer);
  const ended = number ?? [...begun].find(([n, effect]) =>
    account.isLate(n) === Boolean(late) && (!of || of === effect) &&
    outcomes(chart, effect).includes(trigger))?.[0];
  if (ended !== undefined && outcomes(chart, begun.get(ended)).includes(trigger)) {
    account.ended(ended);
    begun.delete(ended);
  }
}

function outcomes(chart, effect) {
  const spec = chart.document.effects[effect];
  if (spec?.kind !== "ask") return [];
  const { success, failure, refusal, rejection, stranger, ended } = spec;
  return [success, refusal, rejection, stranger, ended, failure].filter(
    (one, place, all) => one && all.indexOf(one) === place);
}

// What may happen now, by the account of what is under way, under headings.
export function possible(chart, { account, begun, waiting }) {
  const { external, events, effects } = chart.document;
  const found = { calls: [], outcomes: [], events: [], timers: [], "nobody waits": [], late: [] };
  for (const trigger of external)
    if (!(trigger in events)) found.calls.push({ trigger });
  for (const [number, effect] of begun) {
    const late = account.isLate(number);
    if (late && !chart.document.late) continue;
    const open = effects[effect].opens;
    const triggers = open
      ? Object.keys(events).filter((trigger) => events[trigger] === open)
      : outcomes(chart, effect);
    for (const trigger of triggers)
      found[late ? "late" : open ? "events" : "outcomes"].push({ trigger, of: effect, late, number });
  }
  for (const [timer, trigger] of account.timers) found.timers.push({ trigger, of: timer });
  for (const [slot, trigger] of waiting)
    if (trigger) found["nobody waits"].push({ trigger, of: slot });
  return found;
}

// Everybody whom a trigger may name: nobody, who is known here, and somebody new.
export function people({ state }, known = []) {
  const held = [...Object.values(state.registers), ...known].filter((who) => who !== null);
  const somebody = LETTERS.find((letter) => !held.includes(letter));
  return [null, ...new Set(held), somebody];
}

export class Walk {
  constructor(chart) {
    this.chart = chart;
    this.again();
  }

  again() {
    this.first = beginning(this.chart);
    this.steps = [];
    this.at = 0;
  }

  // Where it stands, after the steps that are done and not undone.
  get now() {
    return this.at ? this.steps[this.at - 1].after : this.first;
  }

  take(happening, records) {
    const now = { ...this.now, records };
    this.push(stepped(this.chart, now, happening));
  }

  // The state is set by hand: what is under way goes on.
  put(state, records) {
    const after = { ...copied(this.chart, this.now), state, records };
    this.push({ happening: { trigger: null }, rows: [], effects: [], after });
  }

  push(step) {
    this.steps.splice(this.at, Infinity, step);
    this.at = this.steps.length;
  }

  undo() { this.at = Math.max(0, this.at - 1); }
  redo() { this.at = Math.min(this.steps.length, this.at + 1); }

  // Steps that have been found elsewhere, to go through from their beginning.
  play({ first, steps }) {
    this.first = first;
    this.steps = steps;
    this.at = 0;
  }
}
