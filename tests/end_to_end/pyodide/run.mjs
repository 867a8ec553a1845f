// Imports driftline in Pyodide under Node. Arguments: the folder of the npm package, and the wheels to unpack. Prints JSON.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, ...wheels] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`).href);
const pyodide = await loadPyodide({ indexURL: `${folder}/` });
const extractDir = pyodide.runPython("import sysconfig; sysconfig.get_path('purelib')");
for (const wheel of wheels) {
  // A Buffer of Node is no Uint8Array to Pyodide.
  pyodide.unpackArchive(new Uint8Array(readFileSync(wheel)), "wheel", { extractDir });
}
console.log(
  pyodide.runPython(`
import importlib, json, sys, threading

def attempt(action):
    try:
        return str(action())
    except BaseException as error:
        return type(error).__name__ + ": " + str(error)

import driftline
from driftline._drawing.cards import draw_card

json.dumps({
    "platform": sys.platform,
    "thread": attempt(lambda: threading.Thread(target=print).start()),
    "card": draw_card("a card"),
    "modules": {
        name: attempt(lambda: importlib.import_module(name) and "imported")
        for name in (
            "opentelemetry.metrics", "opentelemetry.sdk.metrics", "wrapt", "driftline.semconv", "driftline.errors",
            "driftline._runtime.guard", "driftline._runtime.worker", "driftline._runtime.sqlite", "driftline.oneshot",
            "driftline.reference", "driftline.monitor", "driftline._report",
        )
    },
})
`),
);
