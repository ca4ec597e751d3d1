// Replays or walks in Node: node in_node.mjs INTERPRETER CHART replay CASES | walk SEED STEPS
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { replay } from "./replaying.mjs";
import { walk } from "./walking.mjs";

const [file, chart, what, ...rest] = process.argv.slice(2);
const interpreter = await import(pathToFileURL(file));
const read = (name) => JSON.parse(readFileSync(name, "utf-8"));
const told = what === "replay"
  ? [replay(interpreter, read(chart), read(rest[0]))]
  : walk(interpreter, read(chart), ...rest.map(Number));
for (const line of told) process.stdout.write(`${line}\n`);
