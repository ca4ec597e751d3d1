// What the page shows of a walk: where it stands, what may happen, which facts hold, and its steps.
// All text goes in as text.
import { people, possible, stepped } from "./walk.mjs";

const HEADINGS = {
  calls: "Calls and hints", outcomes: "Outcomes of what is under way", events: "Events of a link",
  timers: "Timers that run", "nobody waits": "Nobody awaits it any more",
  late: "Too late, from what is superseded",
};

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") made[name] = value;
    else made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function link(kind, name, shown = name) {
  return element("a", { href: `#${kind}=${encoded(name)}` }, shown);
}

// As Python's quote() does, so that it is the id of an article.
export function encoded(name) {
  return encodeURIComponent(name).replace(/[!'()*]/g, (c) =>
    `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

export class Panels {
  constructor(walk, changed) {
    this.walk = walk;
    this.chart = walk.chart;
    this.changed = changed;
    this.calls = new Set(walk.chart.document.external.filter(
      (trigger) => !(trigger in walk.chart.document.events)));
    this.user = null;
    this.carried = new Set();
    this.at = (id) => document.getElementById(id);
  }

  show() {
    const { walk } = this;
    this.records = new Set(walk.now.records);
    this.at("undo").disabled = walk.at === 0;
    this.at("redo").disabled = walk.at === walk.steps.length;
    this.at("now").replaceChildren(...this.standing(walk.now.state));
    this.at("told").replaceChildren(...this.telling(walk.steps[walk.at - 1]));
    this.showFacts();
    this.showHappenings();
    this.showTape();
  }

  standing({ phase, facts, registers }) {
    const who = Object.entries(registers).filter(([, name]) => name !== null)
      .map(([register, name]) => ` · ${register} ${name}`);
    const held = [...facts].flatMap((fact, n) => [n ? ", " : " · ", link("fact", fact)]);
    return [element("b", {}, link("phase", phase)), ...who, ...held];
  }

  // What the last step was, and what others told of it.
  telling(step) {
    if (!step) return [];
    const { told, effects } = step;
    const shown = [element("p", {}, `${told?.words ?? this.saying(step)}: `, ...this.fired(step))];
    if (effects.length)
      shown.push(element("p", { class: "effects" }, "asks for ", ...effects.flatMap(
        (effect, n) => [n ? ", " : "", link("effect", effect)])));
    if (told?.ledger?.length)
      shown.push(element("p", { class: "quiet" }, `told under way: ${told.ledger.join(", ")}`));
    return shown;
  }

  fired({ rows, happening }) {
    if (!happening.trigger) return ["nothing is asked for"];
    if (!rows.length) return ["no row wants it here, and nothing changes"];
    return rows.flatMap((row, n) => [n ? ", then " : "", link("row", row)]);
  }

  showFacts() {
    const { document: { facts, registers, late, transitions } } = this.chart;
    const { state } = this.walk.now;
    const read = new Set(transitions.filter(({ sources }) => sources.includes(state.phase))
      .flatMap(({ when = [], unless = [] }) => [...when, ...unless]));
    const some = (kind) => Object.keys(facts).filter((fact) =>
      facts[fact].kind === kind && fact !== late && (kind !== "carried" || read.has(fact)));
    const box = (fact, set, change) => element("label", { title: facts[fact].doc || fact },
      element("input", { type: "checkbox", checked: set.has(fact), onchange: (event) => {
        event.target.checked ? set.add(fact) : set.delete(fact);
        change();
      } }), ` ${fact}`);
    const group = (words, ...inside) => inside.length
      ? [element("fieldset", {}, element("legend", {}, words), ...inside)] : [];
    const asked = () => this.showHappenings();
    const stored = new Set(state.facts);
    const held = { ...state.registers };
    const put = (phase) => {
      this.walk.put({ phase, facts: new Set(stored), registers: { ...held } }, this.records);
      this.changed();
    };
    const whom = (words, value, choose) => element("label", {}, `${words} `, element("select",
      { onchange: (event) => choose(event.target.value || null) },
      ...people(this.walk.now, [this.user, value]).map((who) => element("option",
        { value: who ?? "", selected: who === value }, who ?? "nobody"))));
    const phases = element("label", {}, "phase ", element("select",
      { onchange: (event) => put(event.target.value) },
      ...this.chart.document.phases.map((phase) => element("option",
        { value: phase, selected: phase === state.phase }, phase))));
    this.at("facts").replaceChildren(
      ...group("Comes along with the next step",
        ...(registers.length || this.chart.document.named
          ? [whom("it names", this.user, (who) => { this.user = who; asked(); })] : []),
        ...some("carried").map((fact) => box(fact, this.carried, asked))),
      ...group("Holds in your records", ...some("derived").map((f) => box(f, this.records, asked))),
      element("details", { open: this.byHand ?? false,
        ontoggle: (event) => { this.byHand = event.target.open; } },
        element("summary", {}, "Set the state by hand"), phases,
        ...some("stored").map((fact) => box(fact, stored, () => put(state.phase))),
        ...registers.map((register) => whom(register, state.registers[register],
          (who) => { held[register] = who; put(state.phase); }))));
  }

  showHappenings() {
    const found = possible(this.chart, this.walk.now);
    const offered = new Set(Object.values(found).flat().map(({ trigger }) => trigger));
    const rest = this.chart.document.triggers.filter((trigger) => !offered.has(trigger))
      .map((trigger) => ({ trigger }));
    this.at("happenings").replaceChildren(
      ...Object.entries(found).filter(([, those]) => those.length).flatMap(([name, those]) => [
        element("h3", {}, HEADINGS[name]),
        element("div", { class: "buttons" }, ...those.map((one) => this.button(one))),
      ]),
      ...(rest.length ? [element("details", { open: this.all ?? false,
        ontoggle: (event) => { this.all = event.target.open; } },
        element("summary", {}, "What cannot happen now"),
        element("div", { class: "buttons" }, ...rest.map((one) => this.button(one))))] : []));
  }

  button(one) {
    const happening = { ...one, user: one.late ? null : this.user,
      facts: one.late ? [] : [...this.carried] };
    const now = { ...this.walk.now, records: this.records };
    const { rows, after } = stepped(this.chart, now, happening);
    const { phase } = this.walk.now.state;
    const leads = after.state.phase !== phase ? `→ ${after.state.phase}`
      : rows.length ? rows[0] : "nothing";
    const name = this.calls.has(one.trigger) ? `${one.trigger}()` : one.trigger;
    return element("button", {
      type: "button", "data-trigger": one.trigger, class: rows.length ? "" : "idle",
      title: [one.of && `of ${one.of}`, ...rows].filter(Boolean).join("\n") || "no row wants it",
      onclick: () => {
        this.walk.take(happening, this.records);
        this.carried.clear();
        this.changed(one.trigger);
      },
    }, element("span", {}, name), element("small", {}, leads));
  }

  showTape() {
    const { steps, at } = this.walk;
    this.at("tape").replaceChildren(...steps.map((step, n) => element("li", {
      class: n < at ? "done" : "", ...(n === at - 1 ? { "aria-current": "step" } : {}) },
      element("button", { type: "button", onclick: () => { this.walk.at = n + 1; this.changed(); } },
        step.told?.words ?? this.saying(step)),
      ` → ${step.after.state.phase}`, step.told?.round ? " (for ever)" : "")));
    const tape = this.at("tape");
    const last = tape.querySelector("[aria-current]");
    if (last)  // it is in sight, and the page stays where it is
      tape.scrollTop += last.getBoundingClientRect().top - tape.getBoundingClientRect().bottom + 60;
  }

  saying({ happening: { trigger, user, facts = [], late } }) {
    if (!trigger) return "set by hand";
    const along = facts.length ? `, ${facts.join(", ")}` : "";
    const call = this.calls.has(trigger) ? `${trigger}(${user ?? ""})` : trigger;
    return `${call}${this.calls.has(trigger) || !user ? "" : ` ${user}`}${along}${late ? ", late" : ""}`;
  }
}
