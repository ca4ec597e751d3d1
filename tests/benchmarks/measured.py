"""What this library costs beside others, in one page: `python tests/benchmarks/measured.py`.

It measures steps, machines, the checker, live sessions, a reconnect storm, imports and boots, each
in turns with what stands beside it, and writes docs/measured.md, and docs/measured.json, of which
that is made: after each part, so that what was measured stays if it is stopped. `--only storm,boot`
measures some parts anew and leaves the others as they are; `--render` makes the page of what is
there; `--print` writes nothing. On two idle cores all of it takes about five minutes.

What others made is needed here only, in an environment of its own:

    python -m venv bench && bench/bin/pip install -e '.[test]' python-statemachine sismic
    npm install --no-save --prefix bench xstate
    apt-get install rumur gcc
    bench/bin/python tests/benchmarks/measured.py

Lines of what is missing are left out, and the page says so.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from figures.booting import BOOTS
from figures.exploring import COMPOSITION, EXPLORING
from figures.importing import IMPORT
from figures.lines import Part
from figures.living import SESSIONS
from figures.page import FIGURES, PAGE, measured, page, read, write
from figures.stepping import MEMORY, STEPS
from figures.storming import STORM

PARTS: Final[tuple[Part, ...]] = (
    STEPS,
    MEMORY,
    EXPLORING,
    COMPOSITION,
    SESSIONS,
    STORM,
    IMPORT,
    BOOTS,
)


def main(arguments: list[str] | None = None) -> int:
    """Measures, and writes the page. Exit status 2 for a part that there is not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [part.name for part in PARTS]
    parser.add_argument("--only", metavar="PART,PART", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="prints only that it runs")
    parser.add_argument("--print", action="store_true", help="prints the page and writes nothing")
    parser.add_argument("--render", action="store_true", help="measures nothing")
    asked = parser.parse_args(arguments)
    wanted = names if asked.only is None else asked.only.split(",")
    if unknown := set(wanted) - set(names):
        print(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(names)}")
        return 2
    quiet = asked.quick or asked.print
    results = {} if quiet else read(FIGURES)
    for part in PARTS:
        if asked.render or part.name not in wanted:
            continue
        print(f"{part.name}...", file=sys.stderr, flush=True)
        results[part.name] = measured(part, quick=asked.quick)
        if not quiet:
            write(FIGURES, {name: results[name] for name in names if name in results})
            PAGE.write_text(page(PARTS, read(FIGURES)), "utf-8")  # with the digits that are kept
    if quiet:
        print(page(PARTS, results))
    elif asked.render:
        PAGE.write_text(page(PARTS, results), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
