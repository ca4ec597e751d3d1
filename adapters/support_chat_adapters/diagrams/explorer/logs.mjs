// Stories, cases and logs of others, as steps of a walk: what `support-chat check --json`,
// `support-chat export --format cases` and `chat.log_steps` write, and any client's own log.
import { beginning, people, stepped } from "./walk.mjs";

const TRIES = 200_000;
const INTERNAL = 8;  // at most so many rows of one step

// The tapes in a text: [{ title, told }], each a list of what is told of its steps.
export function tapes(chart, text) {
  const document = whole(text);
  if (document?.schema === "support-chat/check") {
    own(chart, document.chart);
    return document.properties
      .filter(({ story, round }) => story.length || round.length)
      .map(({ id, sentence, story, round }) => ({
        title: `${id}: ${sentence}`,
        told: [...story, ...round].map((step, at) => ({
          ...step,
          round: at >= story.length,
          facts: undefined,
          after: step.facts,
        })),
      }));
  }
  if (document?.schema === "support-chat/cases") {
    own(chart, document.chart);
    return document.cases.map((told, number) => ({ title: `case ${number + 1}`, told: told.map(
      ({ facts = [], user = null, effects = [], asks, ...step }) => ({
        ...step, user, effects, asks, stored: facts, rows: asks.flatMap(({ row }) => row ?? []),
        carried: carriedOf(chart, asks[0].facts ?? []),
      })) }));
  }
  return [log(chart, document ? [document] : lines(text))];
}

function whole(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function lines(text) {
  return text.split("\n").filter((line) => line.trim()).map((line, number) => {
    try {
      return JSON.parse(line);
    } catch {
      throw new Error(`Line ${number + 1} is no JSON: this is no trace.`);
    }
  });
}

function log(chart, [head, ...told]) {
  if (head?.schema !== "support-chat/trace" || head.version !== 1)
    throw new Error("This is no trace of version 1, no report of `support-chat check --json`, " +
      "and no cases.");
  own(chart, head.chart ?? chart.document.name);
  if (!("end" in (told.at(-1) ?? {})))
    throw new Error("The trace is cut: its last line does not say how many steps it has.");
  const steps = told.slice(0, -1);
  return { title: head.session ? `the log of ${head.session}` : "a log", from: head.from,
    told: steps };
}

function own(chart, name) {
  if (name !== chart.document.name)
    throw new Error(`This is of the chart ${name}, and the page of ${chart.document.name}.`);
}

function carriedOf(chart, facts) {
  return facts.filter((fact) => chart.document.facts[fact].kind === "carried");
}

// What is told of each step is of this chart, or there is nothing to play.
function understood(chart, told) {
  const { triggers, phases, transitions, facts } = chart.document;
  const rows = new Set(transitions.map(({ name }) => name));
  for (const [number, step] of told.entries()) {
    const unknown = [
      ...(triggers.includes(step.trigger) ? [] : [`trigger ${step.trigger}`]),
      ...(phases.includes(step.phase) ? [] : [`phase ${step.phase}`]),
      ...(step.rows ?? []).filter((row) => !rows.has(row)).map((row) => `row ${row}`),
      ...Object.keys(step.facts ?? {}).filter((f) => !(f in facts)).map((fact) => `fact ${fact}`),
    ];
    if (unknown.length) throw new Error(`Step ${number + 1}: the chart has no ${unknown[0]}.`);
  }
}

// Plays a tape: steps that come to what is told. What is left open is searched for; the first steps
// that fit are taken. `fault` says where none goes on.
export function played(chart, { told, from }) {
  understood(chart, told);
  const first = beginning(chart, from ? inMidLife(chart, from, told[0]) : chart.initial);
  const open = [fitting(chart, first, told[0], [])];
  const steps = [];
  let longest = [], tries = 0;
  while (open.length && steps.length < told.length) {
    if (++tries > TRIES) break;
    const { value, done } = open.at(-1).next();
    if (done) {
      open.pop();
      steps.pop();
      continue;
    }
    steps.push({ ...value, told: told[steps.length] });
    if (steps.length > longest.length) longest = [...steps];
    if (steps.length < told.length)
      open.push(fitting(chart, value.after, told[steps.length], steps));
  }
  if (longest.length === told.length) return { first, steps: longest };
  const { trigger, phase } = told[longest.length];
  const where = longest.at(-1)?.after.state.phase ?? first.state.phase;
  const fault = `Step ${longest.length + 1} is none: in ${where}, ${trigger} does not lead to ` +
    `${phase} as it is told. The steps before it are shown.`;
  return { first, steps: longest, fault };
}

// What is stored where a log begins is known if its first step tells it.
function inMidLife(chart, phase, told) {
  const held = told?.facts ?? {};
  const facts = Object.entries(chart.document.facts);
  return {
    phase,
    facts: new Set(facts.filter(([name, { kind }]) => kind === "stored" && held[name]).map(([n]) => n)),
    registers: Object.fromEntries(chart.document.registers.map((register) => [register,
      facts.some(([name, kind]) => kind.kind === "present" && kind.register === register && held[name])
        ? "A" : null])),
  };
}

// Every step from here that comes to what is told, the likeliest first.
function* fitting(chart, now, told, steps) {
  const known = steps.map(({ happening }) => happening.user ?? null);
  const users = "user" in told ? [told.user] : people(now, known);
  for (const user of told.late ? [null] : users) {
    if (!agrees(chart, now, told, user)) continue;
    for (const rows of told.rows ? [rowsNamed(chart, told.rows)] : scripts(chart, now, told, user, [])) {
      const step = scripted(chart, now, told, user, rows);
      if (step && fits(chart, step, told)) yield step;
    }
  }
}

function rowsNamed(chart, names) {
  return names.map((name) => chart.document.transitions.find((row) => row.name === name));
}

// The facts of users and what is stored are as told.
function agrees(chart, { state }, { facts = {}, late }, user) {
  if (late) return true;
  return Object.entries(facts).every(([fact, holds]) => {
    const { kind } = chart.document.facts[fact];
    if (!["stored", "same", "present"].includes(kind)) return true;
    return chart.holds(fact, state, { user, facts: [] }, () => false) === holds;
  });
}

// The rows that may fire one after the other: none, or one of the trigger and what it raises.
function* scripts(chart, now, told, user, rows) {
  const names = rows.map(({ name }) => name);
  const fired = tried(chart, now, told, user, rows).rows;
  if (names.some((name, n) => fired[n] !== name)) return;
  if (fired.length === names.length) yield rows;
  if (rows.length === INTERNAL) return;
  const raised = rows.flatMap(({ effects = [] }) => effects)
    .map((effect) => chart.document.effects[effect])
    .filter(({ kind }) => kind === "raise").map(({ trigger }) => trigger);
  const triggers = rows.length ? raised : [told.trigger];
  for (const row of chart.document.transitions)
    if (row.trigger.some((trigger) => triggers.includes(trigger)))
      yield* scripts(chart, now, told, user, [...rows, row]);
}

// The step in which just these rows fire, if the facts that are open let them.
function scripted(chart, now, told, user, rows) {
  const step = tried(chart, now, told, user, rows);
  return step.rows.join() === rows.map(({ name }) => name).join() ? step : null;
}

// The step in which facts that are open are as these rows, one after the other, want them.
function tried(chart, now, told, user, rows) {
  const { trigger, of, late = false } = told;
  const facts = carried(chart, told, rows);
  const holds = (fact, booked, asked, fired) => {
    const row = rows[fired]?.trigger.includes(asked) ? rows[fired] : {};
    const wanted = row.when?.includes(fact) || (row.unless?.includes(fact) ? false : undefined);
    return exactly(told, asked, fact, fired) ?? wanted ?? booked.has(fact);
  };
  return stepped(chart, now, { trigger, of, late, user, facts }, holds);
}

function carried(chart, { carried: said, facts, late }, rows) {
  if (late) return [];
  if (said) return said;
  const told = Object.keys(facts ?? {}).filter((fact) => facts[fact]);
  const open = rows.flatMap(({ when = [] }) => when).filter((fact) => !(fact in (facts ?? {})));
  return carriedOf(chart, [...new Set([...told, ...open])]);
}

// Whether a fact of records holds, where it is told: in cases at each trigger that is asked, in logs
// when the step began.
function exactly({ asks, facts }, trigger, fact, fired) {
  if (asks) {
    const left = asks.filter((_, at) => asks.slice(0, at).filter(({ row }) => row).length >= fired);
    return left.find((ask) => ask.trigger === trigger)?.facts?.includes(fact) ?? false;
  }
  return fired === 0 ? facts?.[fact] : undefined;
}

function fits(chart, { rows, effects, after }, told) {
  const { phase, facts, registers } = after.state;
  const same = (one, other) => !other || one.join() === other.join();
  const stored = [...facts].sort();
  const must = (told.stored ?? told.after?.filter((f) => chart.document.facts[f].kind === "stored"));
  if (told.after) {  // the facts of records are told too
    const kinds = chart.document.facts;
    after.records = new Set(told.after.filter((fact) => kinds[fact].kind === "derived"));
  }
  return phase === told.phase && same(rows, told.rows) && same(effects, told.effects) &&
    same(stored, must && [...must].sort()) &&
    (!told.registers || Object.entries(told.registers).every(([r, who]) => registers[r] === who));
}
