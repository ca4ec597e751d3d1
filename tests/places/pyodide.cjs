// Awaits `everything()` of a program in Pyodide, with folders on its sys.path:
// node pyodide.cjs PROGRAM FOLDER...
const { loadPyodide } = require("pyodide");
const { readFileSync } = require("node:fs");

async function main([program, ...folders]) {
  const python = await loadPyodide();
  folders.forEach((root, number) => {
    python.FS.mkdirTree(`/on-path/${number}`);
    python.FS.mount(python.FS.filesystems.NODEFS, { root }, `/on-path/${number}`);
  });
  python.globals.set("folders", python.toPy(folders.map((_, number) => `/on-path/${number}`)));
  python.runPython("import sys; sys.path[:0] = folders; sys.dont_write_bytecode = True");
  await python.runPythonAsync(readFileSync(program, "utf8") + "\nawait everything()");
}

// Exit is asked for: Pyodide's loop leaves the timers of what it has cancelled running.
main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(String(error.message ?? error));
    process.exit(1);
  },
);
