// A random walk of an interpreter of charts, as the lines of a log: in Node, or in a browser.

export function walk({ Chart, UnderWay, logLines }, document, seed, length) {
  const chart = new Chart(document);
  const { external, events, effects: specs, facts: kinds, naming, registers } = chart.document;

  let seeded = Number(seed);
  function random() {  // mulberry32
    seeded = (seeded + 0x6d2b79f5) | 0;
    let t = Math.imul(seeded ^ (seeded >>> 15), 1 | seeded);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  const coin = (chance = 0.5) => random() < chance;
  const one = (options) => options[Math.floor(random() * options.length)];

  // The client's records: what the chart says of each fact decides, and where it is open, dice do.
  const derived = Object.entries(kinds).filter(([name, kind]) =>
    kind.kind === "derived" && name !== chart.document.late);
  const booked = new Set();
  const records = {
    holds: (fact) => booked.has(fact),
    take(effects, held) {
      for (const effect of effects)
        for (const [fact, { sets, clears, raises, lowers, frees, of }] of derived) {
          const may = !of || held[of] !== null;
          if (clears?.includes(effect) || frees?.includes(effect)) booked.delete(fact);
          if (sets?.includes(effect)) booked.add(fact);
          const open = frees?.includes(effect) || raises?.includes(effect);
          if (may && open && coin()) booked.add(fact);
          if (lowers?.includes(effect) && coin()) booked.delete(fact);
        }
    },
  };

  const underWay = new UnderWay(chart);
  const begun = new Map();  // every request and link there ever was, and what comes of it
  const waiting = new Map();  // the slots in which somebody waits, and the trigger if nobody does
  let state = chart.initial;

  const outcomes = ({ success, failure, refusal, rejection, stranger, ended }) =>
    [success, success, success, failure, refusal, rejection, stranger, ended].filter(Boolean);

  const SELDOM = { destroy: 0, shutdown: 0.05, become: 0.2, session_revoked: 0.2 };

  function possible(ending) {
    const happenings = [];
    const calls = external.filter((trigger) => !(trigger in events));
    for (let n = 0; n < 2; n++) happenings.push({ trigger: one(calls) });
    for (const [number, effect] of begun) {
      const late = underWay.isLate(number);
      const spec = specs[effect];
      if (late && !coin(0.1)) continue;
      if (spec.kind === "ask")
        happenings.push({ trigger: one(outcomes(spec)), of: effect, late, number });
      else happenings.push({ trigger: one(Object.keys(events)), late });
    }
    for (const [timer, trigger] of underWay.timers) happenings.push({ trigger, timer });
    for (const trigger of waiting.values()) if (trigger && coin(0.2)) happenings.push({ trigger });
    return happenings.filter(({ trigger }) => ending || coin(SELDOM[trigger] ?? 1));
  }

  function enter(effects) {
    for (const name of effects) {
      const { kind, slot, slots, abandoned } = specs[name];
      if (kind === "join") waiting.set(slot, abandoned);
      if (kind === "settle" || kind === "fail") waiting.delete(slot);
      if (kind === "detach") slots.forEach((each) => waiting.delete(each));
    }
    for (const [number, effect] of underWay.enter(effects)) {
      begun.set(number, effect);
      if (specs[effect].batch && coin()) {  // it had nothing to ask
        underWay.ended(number);
        begun.delete(number);
      }
    }
    for (const name of effects)
      if (specs[name].optional && coin()) underWay.timers.delete(specs[name].timer);
  }

  // Whom a trigger may name: mostly somebody whom the client knows.
  function usersOf(trigger, known) {
    const held = Object.values(state.registers);
    const users = coin(known) ? held : [null, "ann", "bob", "cem"];
    const somebody = users.filter((user) => user !== null);
    return naming.includes(trigger) ? (somebody.length ? somebody : ["ann"]) : users;
  }

  const steps = [];
  for (let n = 0; n < Number(length); n++) {
    const options = possible(n > 0.9 * length);  // in the end everything may happen, destroy() too
    if (!options.length) continue;
    const { trigger, of, late = false, number, timer } = one(options);
    const user = one(usersOf(trigger, external.includes(trigger) ? 0.3 : 0.9));
    const facts = Object.keys(kinds).filter((fact) => kinds[fact].kind === "carried" && coin(0.2));
    const known = Object.keys(kinds).filter((fact) => fact !== chart.document.late);
    const holds = (fact) => chart.holds(fact, state, { user, facts }, () => booked.has(fact));
    const held = late ? {} : Object.fromEntries(known.map((fact) => [fact, holds(fact)]));
    if (number) underWay.ended(number), begun.delete(number);
    if (timer) underWay.expired(timer);
    const came = chart.step(state, { trigger, user, facts, late }, records);
    state = came.state;
    enter(came.effects);
    const { rows, effects } = came;
    steps.push({ trigger, of, late, facts: held, rows, effects, phase: state.phase });
  }
  return [...logLines(chart, `walk ${seed}`, steps)];
}
