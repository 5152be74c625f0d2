"""Sample mutants before a run of mutmut, and write its result into docs/testing.md.

    python tools/mutants.py sample SHARE SEED   print the names of a random share of the mutants
    python tools/mutants.py report [NOTE]       write the table of docs/testing.md; exit 1 below 90 % killed

mutmut keeps a `.meta` file for each module in mutants/, with the exit code of the tests for each mutant. A
mutant is killed where a test fails or the tests do not end; it survives where they pass, or where no test
reaches it.
"""

from __future__ import annotations

import datetime
import json
import random
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = ROOT / "mutants"
PAGE = ROOT / "docs" / "testing.md"
START, END = "<!-- mutants: make mutants -->\n", "<!-- end of mutants -->\n"
GOAL = 0.9

SURVIVED = (0, 5, 33)
"""Exit codes of a mutant that no test notices: the tests pass, or none of them reaches it."""


def results() -> dict[str, dict[str, int | None]]:
    """Read the exit codes, by module and mutant; None where a mutant was not tested."""
    found = {}
    for path in sorted((MUTANTS / "src").rglob("*.meta")):
        codes = json.loads(path.read_text("utf-8"))["exit_code_by_key"]
        if codes:
            module = path.relative_to(MUTANTS / "src" / "sonoseg").as_posix().removesuffix(".py.meta")
            found[module] = codes
    return found


def sample(share: float, seed: int) -> list[str]:
    """Draw `share` (0..1) of all mutants."""
    names = [name for codes in results().values() for name in codes]
    return sorted(random.Random(seed).sample(names, round(share * len(names))))


def table() -> tuple[list[str], float]:
    """Return the lines of the result by module, and the share of tested mutants that were killed."""
    lines = [
        "| Module | Mutants | Tested | Killed | Survived | Killed |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    total: Counter[str] = Counter()
    for module, codes in results().items():
        tested = [code for code in codes.values() if code is not None]
        survived = sum(code in SURVIVED for code in tested)
        count = Counter(all=len(codes), tested=len(tested), survived=survived)
        lines.append(_row(f"`{module}`", count))
        total += count
    lines.append(_row("all", total))
    return lines, 1 - total["survived"] / max(total["tested"], 1)


def _row(name: str, count: Counter[str]) -> str:
    killed = count["tested"] - count["survived"]
    share = f"{100 * killed / count['tested']:.0f} %" if count["tested"] else "–"
    return f"| {name} | {count['all']} | {count['tested']} | {killed} | {count['survived']} | {share} |"


def report(note: str) -> bool:
    """Write the table into the page. Returns whether enough mutants were killed."""
    lines, killed = table()
    text = PAGE.read_text("utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    head = f"{datetime.date.today():%Y-%m-%d}, {100 * killed:.1f} % killed. {note}".strip()
    PAGE.write_text(f"{before}{START}{head}\n\n" + "\n".join(lines) + f"\n{END}{after}", "utf-8")
    return killed >= GOAL


def main(words: list[str]) -> int:
    """Run one of the two commands."""
    match words:
        case ["sample", share, seed]:
            print("\n".join(sample(float(share), int(seed))))
        case ["report", *note]:
            return int(not report(" ".join(note)))
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
