// What Graphviz reads in drawings: node read_by_graphviz.mjs TEXTS, a file of JSON, a text by its
// name. The answer is JSON: of each the nodes and edges, by what stands in them and at them.
import { readFileSync } from "node:fs";
import { Graphviz } from "@hpcc-js/wasm-graphviz";

const graphviz = await Graphviz.load();
const texts = JSON.parse(readFileSync(process.argv[2], "utf-8"));
console.warn = console.error = (...told) => { throw new Error(told.join(" ")); };

function read(text) {
  const { objects = [], edges = [] } = JSON.parse(graphviz.layout(text, "json", "dot"));
  const at = (number) => objects.find(({ _gvid }) => _gvid === number).label;
  const frames = objects.filter(({ nodes }) => nodes);
  return {
    nodes: objects.filter((each) => !frames.includes(each)).map(({ label }) => label),
    frames: frames.map(({ label, nodes }) => [label, nodes.map(at)]),
    edges: edges.map(({ tail, head, label = "", ltail = "", lhead = "" }) =>
      [at(tail), at(head), label, ltail, lhead]),
  };
}

process.stdout.write(JSON.stringify(Object.fromEntries(
  Object.entries(texts).map(([title, text]) => [title, read(text)]))));
