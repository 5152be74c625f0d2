"""Write the generated tables of README.md and docs/ from the stored evidence, and from what the readers do.

    python research/scripts/tables_in_docs.py                          # remake every generated table
    python research/scripts/tables_in_docs.py --check                  # exit with 1 where a table is \
        out of date
    python research/scripts/tables_in_docs.py comparison FIRST SECOND  # print one table

A page names the command of each of its generated tables:

    <!-- generated: python research/scripts/tables_in_docs.py comparison FIRST SECOND -->
    <!-- end of generated -->

No figure between these two lines is written by hand.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from batch_costs import costs_table
from evidence import BENCHMARKS, MEASUREMENTS, read_json
from page_tables.benchmarks import BENCHMARK_TABLES
from page_tables.ensembles import ensembles_table
from page_tables.evaluations import (
    comparison_table,
    evaluations_table,
    experiment_table,
    froc_table,
    seeds_table,
    shipped_model,
)
from page_tables.file_kinds import file_kinds
from page_tables.markdown import footnote
from page_tables.postprocessing import postprocessing_tables
from sonoseg._util.files import atomic_write_text

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
COMMAND = "python research/scripts/tables_in_docs.py"
BLOCK = re.compile(
    rf"(?P<head><!-- generated: {re.escape(COMMAND)} (?P<words>.+?) -->\n).*?"
    r"(?P<tail><!-- end of generated -->)",
    re.DOTALL,
)


def benchmark(name: str) -> str:
    """The table of a benchmark, with the command, the machine and the versions."""
    result = read_json(BENCHMARKS / f"{name}.json")
    return f"{BENCHMARK_TABLES[name](result)}\n\n*{footnote(result)}*"


def measurement(name: str) -> str:
    """A table as the script that measured it wrote it."""
    return (MEASUREMENTS / f"{name}.md").read_text("utf-8")


TABLES: dict[str, Callable[..., str]] = {
    "evaluations": evaluations_table,
    "comparison": comparison_table,
    "seeds": seeds_table,
    "froc": froc_table,
    "experiment": experiment_table,
    "shipped-model": shipped_model,
    "benchmark": benchmark,
    "measurement": measurement,
    "postprocessing": postprocessing_tables,
    "ensembles": ensembles_table,
    "batch-costs": costs_table,
    "file-kinds": file_kinds,
}


def make(words: str) -> str:
    """Make the table that a marker names: its kind and its arguments."""
    kind, *names = shlex.split(words)
    return TABLES[kind](*names).strip()


def fill(page: str) -> str:
    """Return the text of a page with its generated tables updated."""
    return BLOCK.sub(lambda found: f"{found['head']}\n{make(found['words'])}\n\n{found['tail']}", page)


def main() -> None:
    """Remake the tables, check them, or print one."""
    words = sys.argv[1:]
    if words and words != ["--check"]:
        print(TABLES[words[0]](*words[1:]).strip())
        return
    outdated = 0
    for path in PAGES:
        before = path.read_text("utf-8")
        after = fill(before)
        if after != before:
            outdated += 1
            print(f"{path.relative_to(ROOT)}: {'out of date' if words else 'remade'}")
            if not words:
                atomic_write_text(path, after)
    if words and outdated:
        sys.exit(f"Remake the tables with: {COMMAND}")


if __name__ == "__main__":
    main()
