// The page: links and what they show, the picture, the search, the keys, and files that are opened.
import { Chart } from "./chart.mjs";
import { Walk } from "./walk.mjs";
import { played, tapes } from "./logs.mjs";
import { Panels, element, link } from "./panels.mjs";

const at = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// What goes wrong is told in the page: nobody looks at a console.
function fault(error) {
  at("fault").textContent = error ? `${error.message ?? error}` : "";
  at("fault").hidden = !error;
}
addEventListener("error", ({ error, message }) => fault(error ?? message));
addEventListener("unhandledrejection", ({ reason }) => fault(reason));

const chart = new Chart(JSON.parse(at("document").textContent));
const walk = new Walk(chart);
const articles = all("article");
const byId = new Map(articles.map((article) => [article.id, article]));
const rowsAlong = new Map(all("a.way, a.node").filter((each) => each.matches(".way")).map((way) => {
  const links = all('a[href^="#row="]', byId.get(way.getAttribute("href").slice(1)));
  return [way, new Set(links.map((each) => each.textContent))];
}));
const rows = new Map(chart.document.transitions.map((row) => [row.name, row]));
const panels = new Panels(walk, changed);

// --- articles -------------------------------------------------------------------------------------

function chosen() {
  return byId.get(location.hash.slice(1)) ?? byId.get(decodedId()) ?? articles[0];
}

// A link that somebody typed may be written otherwise than ours.
function decodedId() {
  try {
    const [kind, ...name] = decodeURIComponent(location.hash.slice(1)).split("=");
    return link(kind, name.join("=")).getAttribute("href").slice(1);
  } catch {
    return "";
  }
}

// Whether everything stands below each other.
function narrow() {
  return matchMedia("(max-width: 999px)").matches;
}

function route() {
  const article = chosen();
  for (const each of articles) each.hidden = each !== article;
  all("#places .back").forEach((each) => each.remove());
  if (article !== articles[0])
    at("places").append(element("span", { class: "back" }, " › ", article.dataset.kind));
  at("book").scrollTop = 0;
  const heading = article.querySelector("h2");
  heading.tabIndex = -1;
  if (location.hash && article !== articles[0]) {
    heading.focus({ preventScroll: true });
    if (narrow()) at("book").scrollIntoView();
  }
  paint();
}

// --- the picture ----------------------------------------------------------------------------------

// The rows that an article is about, to light their ways.
function concerned({ dataset: { kind, name } }) {
  const wanted = {
    row: (row) => row.name === name,
    trigger: (row) => row.trigger.includes(name),
    effect: (row) => row.effects?.includes(name),
    fact: (row) => [row.when, row.unless, row.sets, row.clears].some((facts) => facts?.includes(name)),
    phase: (row) => row.target === name || (row.sources.includes(name) && row.target),
  }[kind];
  return wanted && new Set(chart.document.transitions.filter(wanted).map((row) => row.name));
}

function paint() {
  const article = chosen();
  const { kind, name } = article.dataset;
  const about = concerned(article);
  const step = walk.steps[walk.at - 1];
  const here = walk.now.state.phase;
  for (const node of all("#picture .node")) {
    node.classList.toggle("here", node.dataset.name === here);
    node.classList.toggle("chosen", kind === "phase" && node.dataset.name === name);
    node.setAttribute("aria-current", node.dataset.name === here ? "step" : "false");
  }
  for (const [way, along] of rowsAlong) {
    const { source, target } = way.dataset;
    const met = [...along].some((row) => about?.has(row));
    const touches = kind !== "phase" || target === name || leaves(along, name, target);
    way.classList.toggle("chosen", kind === "way" ? name === `${source} → ${target}` : met && touches);
    way.classList.toggle("taken", Boolean(step) && target === here &&
      step.rows.some((row) => along.has(row)));
  }
  reveal(document.querySelector("#picture .node.here"));
  at("picture").classList.toggle("choosing", all("#picture .chosen").length > 0);
}

// Where the walk stands is in sight, if the picture is wider than its sheet; else nothing moves.
function reveal(node) {
  const sheet = document.querySelector(".sheet").getBoundingClientRect();
  const box = node?.getBoundingClientRect();
  if (box && (box.left < sheet.left || box.right > sheet.right))
    document.querySelector(".sheet").scrollLeft += box.left + box.width / 2 - sheet.left - sheet.width / 2;
}

function leaves(along, phase, target) {
  return [...along].some((name) => phase !== target && rows.get(name).sources.includes(phase));
}

// From a phase to the nearest one in the direction of the arrow.
function neighbour(from, key) {
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const middle = (node) => {
    const { left, top, width, height } = node.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  };
  const [x, y] = middle(from);
  const far = (node) => {
    const [a, b] = middle(node);
    const ahead = (a - x) * dx + (b - y) * dy;
    const aside = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
    return ahead > 1 ? ahead + 3 * aside : Infinity;
  };
  return all("#picture a.node").filter((node) => node !== from && far(node) < Infinity)
    .sort((one, other) => far(one) - far(other))[0];
}

// --- the search -----------------------------------------------------------------------------------

const texts = articles.map((article) => ({
  article, name: article.dataset.name.toLowerCase(), text: article.textContent.toLowerCase(),
}));

function search() {
  const words = at("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const rank = ({ name, text }) => {
    if (!words.every((word) => text.includes(word))) return Infinity;
    const whole = words.join(" ");
    return name === whole ? 0 : name.startsWith(whole) ? 1 : name.includes(whole) ? 2 : 3;
  };
  const found = words.length
    ? texts.filter(({ article }) => article.dataset.kind !== "way").map((each) => [rank(each), each])
      .filter(([place]) => place < Infinity).sort(([one], [other]) => one - other).slice(0, 40)
    : [];
  at("found").replaceChildren(...found.map(([, { article: { dataset: { kind, name } } }]) =>
    element("li", {}, link(kind, name, `${kind} ${name}`))));
  if (words.length && !found.length) at("found").append(element("li", {}, "Nothing is found."));
  at("found").hidden = !words.length;
}

function endSearch() {
  at("search").value = "";
  search();
}

// --- files ----------------------------------------------------------------------------------------

async function open(file) {
  if (!file) return;
  at("file").value = "";
  try {
    const found = tapes(chart, await file.text());
    fault(found.length ? null : "There is no story in it: every property holds.");
    if (found.length) play(found[0]);
    all(".tapes").forEach((each) => each.remove());
    if (found.length > 1)
      at("now").parentElement.after(element("label", { class: "tapes" }, "told in the file: ",
        element("select", { onchange: (event) => play(found[event.target.value]) },
          ...found.map(({ title }, n) => element("option", { value: String(n) }, title)))));
  } catch (error) {
    fault(error);
  }
}

function play(tape) {
  try {
    const result = played(chart, tape);
    walk.play(result);
    fault(result.fault);
    changed();
  } catch (error) {
    fault(error);
  }
}

// --- together -------------------------------------------------------------------------------------

function changed(pressed) {
  panels.show();
  paint();
  // the button that was pressed is another one now, or gone
  if (pressed) {
    const again = all("#happenings button").find((each) => each.dataset.trigger === pressed);
    (again?.checkVisibility() ? again : at("undo")).focus({ preventScroll: true });
  }
}

function keys(event) {
  const typing = event.target.closest?.("input:not([type=checkbox]), select, textarea");
  const node = event.target.closest?.("#picture a.node");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !typing) at("search").focus();
  else if (event.key === "Escape") escape();
  else if (event.key === "ArrowDown" && event.target === at("search")) focusFound(0);
  else if (event.target.closest?.("#found") && ["ArrowDown", "ArrowUp"].includes(event.key))
    focusFound(all("#found a").indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1));
  else if (event.key === "Enter" && event.target === at("search")) all("#found a")[0]?.click();
  else if (event.target.closest?.(".sheet") && event.key.startsWith("Arrow"))
    (node ? neighbour(node, event.key) : document.querySelector("#picture .node.here"))?.focus();
  else if (event.key === "ArrowLeft" && !typing) at("undo").click();
  else if (event.key === "ArrowRight" && !typing) at("redo").click();
  else return;
  event.preventDefault();
}

function escape() {
  if (at("search").value) endSearch();
  else location.hash = articles[0].id;
  fault(null);
}

function focusFound(place) {
  const found = all("#found a");
  (place < 0 ? at("search") : found[Math.min(place, found.length - 1)])?.focus();
}

at("undo").addEventListener("click", () => { walk.undo(); changed(); });
at("redo").addEventListener("click", () => { walk.redo(); changed(); });
at("again").addEventListener("click", () => { walk.again(); changed(); });
at("search").addEventListener("input", search);
at("found").addEventListener("click", () => setTimeout(endSearch));
at("open").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", () => open(at("file").files[0]));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => { event.preventDefault(); open(event.dataTransfer.files[0]); });
addEventListener("hashchange", route);
addEventListener("keydown", keys);

document.body.classList.add("scripted");
panels.show();
route();
// a browser goes to what a link names where that has stood before
addEventListener("load", () => { if (!narrow()) scrollTo(0, 0); });
