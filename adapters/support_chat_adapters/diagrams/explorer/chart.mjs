// Runs a chart that `support-chat export` wrote, in Node or a browser: no dependencies, no build.
//
//   const chart = new Chart(await (await fetch("chart.json")).json());
//   const { state, effects } = chart.step(chart.initial, { trigger: "boot", user: "ann" });
//
// A state is a value: { phase, facts, registers }. `Chart` says what happens; it holds nothing, and
// knows no clock and no network. `UnderWay` keeps account of what your program has begun: which
// answer is the current one, which timer runs. `logLines` writes what was done as a log that
// `support-chat trace` judges.

const NO_RECORDS = { holds: () => false, take: () => {} };

export class Chart {
  constructor(document) {
    if (document.schema !== "support-chat/chart" || document.version !== 2)
      throw new Error("This is no chart of version 2: write one with `support-chat export`.");
    this.document = document;
    this.initial = {
      phase: document.initial,
      facts: new Set(),
      registers: Object.fromEntries(document.registers.map((register) => [register, null])),
    };
    this.rows = new Map();
    for (const row of document.transitions)
      for (const phase of row.sources)
        for (const trigger of row.trigger) {
          const pair = `${phase} ${trigger}`;
          this.rows.set(pair, [...(this.rows.get(pair) ?? []), row]);
        }
  }

  // What happens: the trigger, whom it names, the facts that come along, and whether it is late.
  // Facts of your own records are asked of `records`, which is told the effects of each row, and
  // the registers then, before the next is chosen. What no row wants changes nothing.
  step(state, { trigger, user = null, facts = [], late = false }, records = NO_RECORDS) {
    const nothing = { user: null, facts: [] };
    const brought = { user, facts: late ? [this.document.late] : facts };
    const todo = [{ trigger, came: brought }];
    const rows = [], effects = [];
    for (const { trigger, came } of todo) {  // grows while it is read: internal triggers follow
      const row = this.row(state, trigger, came, records);
      if (!row) continue;
      state = this.after(state, row, came.user);
      records.take(row.effects ?? [], state.registers);
      rows.push(row.name);
      effects.push(...(row.effects ?? []));
      for (const effect of row.effects ?? []) {
        const { kind, trigger, carries } = this.document.effects[effect];
        if (kind === "raise") todo.push({ trigger, came: carries ? brought : nothing });
      }
    }
    return { state, rows, effects };
  }

  // The one row that wants this: guards of one phase and trigger exclude each other.
  row(state, trigger, came, records) {
    const holds = (fact) => this.holds(fact, state, came, () => records.holds(fact, trigger));
    return this.rows
      .get(`${state.phase} ${trigger}`)
      ?.find(({ when = [], unless = [] }) => when.every(holds) && !unless.some(holds));
  }

  holds(fact, { facts, registers }, came, derived) {
    const kind = this.document.facts[fact];
    const who = (register) => (register === this.document.named ? came.user : registers[register]);
    switch (kind.kind) {
      case "stored": return facts.has(fact);
      case "carried": return came.facts.includes(fact);
      case "same": return who(kind.left) === who(kind.right);
      case "present": return who(kind.register) !== null;
      default: return fact === this.document.late ? came.facts.includes(fact) : derived();
    }
  }

  after({ phase, facts, registers }, { target, sets = [], clears = [], assigns = {} }, user) {
    const stays = [...facts].filter((fact) => !clears.includes(fact));
    const who = { ...registers, [this.document.named]: user };
    const assigned = Object.entries(assigns).map(([to, from]) => [to, from && who[from]]);
    return {
      phase: target ?? phase,
      facts: new Set([...stays, ...sets]),
      registers: { ...registers, ...Object.fromEntries(assigned) },
    };
  }
}

// What is under way, by what was asked and what has come of it. Requests and links have numbers;
// what comes of one that is not in the account any more is late.
export class UnderWay {
  constructor(chart) {
    this.effects = chart.document.effects;
    this.current = new Map();
    this.timers = new Map();
    this.made = 0;
  }

  // Enters the effects of a step; returns the requests and links that begin, as [number, effect].
  enter(effects) {
    const begun = [];
    for (const name of effects) {
      const { kind, lane, lanes, several, opens, timer, timers, expiry } = this.effects[name];
      if (kind === "abandon") this.end(...lanes);
      if (kind === "detach" || (kind === "ask" && !several)) this.end(lane);
      if (kind === "arm") this.timers.set(timer, expiry);
      if (kind === "disarm") timers.forEach((each) => this.timers.delete(each));
      if (kind === "ask" || opens) {
        this.current.set(++this.made, lane ?? opens);
        begun.push([this.made, name]);
      }
    }
    return begun;
  }

  // Whether what has this number is superseded, or has ended.
  isLate = (number) => !this.current.has(number);

  // The outcome of a request has come: whatever else comes of it is late.
  ended = (number) => this.current.delete(number);

  // A timer has run out; returns the trigger that this is.
  expired(timer) {
    const trigger = this.timers.get(timer);
    this.timers.delete(timer);
    return trigger;
  }

  end(...lanes) {
    for (const [number, lane] of this.current) if (lanes.includes(lane)) this.ended(number);
  }
}

// A log as lines of JSON: `steps` are { trigger, phase } and whatever else you know of each.
export function* logLines(chart, session, steps) {
  const { name } = chart.document;
  yield JSON.stringify({ schema: "support-chat/trace", version: 1, chart: name, session });
  for (const step of steps) yield JSON.stringify({ session, ...step });
  yield JSON.stringify({ end: steps.length });
}
