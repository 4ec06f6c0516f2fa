"""Write what ran into docs/engines.md: a row per public function, a column per engine, the answers that agreed.

    LOYALTY_CONFORMANCE=outcomes.jsonl pytest tests/conformance
    python tests/conformance/table.py outcomes.jsonl

It refuses outcomes of a run that was not whole, or not without a difference.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conformance import awkward, plan
from conformance.questions import QUESTIONS, function_of

PAGE = Path(__file__).parents[2] / "docs/engines.md"
BEGIN = "<!-- what ran: written by tests/conformance/table.py, not by hand -->"
END = "<!-- end of what ran -->"
NAMES = {
    "pandas": "pandas",
    "polars": "Polars",
    "polars-lazy": "Polars, lazy",
    "pyarrow": "PyArrow",
    "parquet": "Parquet",
    "csv": "CSV",
    "duckdb": "DuckDB",
    "spark": "Spark",
    "postgres": "PostgreSQL",
}


def functions():
    """Return the functions that questions are about, in their order."""
    return list(dict.fromkeys(map(function_of, QUESTIONS)))


def planned(engine, function, *, whole=True):
    """Return how many answers of an engine there are about a function, one per question and log, in a whole run."""
    return sum(function_of(name) == function for log in awkward.NAMES for name in plan.asked(engine, log, whole=whole))


def counted(found, engine, function):
    """Return how many there were in the run; what pandas gives is what they are compared with."""
    if engine == plan.REFERENCE:
        return planned(engine, function)
    return sum(one == engine and function_of(name) == function for one, _, name in found)


def between(text):
    """Return the part of the page that is written here."""
    return text.partition(BEGIN)[2].partition(END)[0]


def agreed(path):
    """Return the questions that were answered alike, as (engine, log, question), and the largest difference of all.

    Of a question that was asked several times the last answer counts.
    """
    lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    last = {(line["engine"], line["log"], line["question"]): line for line in lines}
    return {key for key, line in last.items() if line["passed"]}, max(line["far"] for line in last.values())


def refuse_gaps(found, *, whole=True):
    """Raise where something that is planned did not run, or was answered otherwise."""
    wanted = {
        (engine, log, name)
        for engine in plan.ENGINES[1:]
        for log in awkward.NAMES
        for name in plan.asked(engine, log, whole=whole)
    }
    if wanted - found:
        some = ", ".join(" ".join(one) for one in sorted(wanted - found)[:10])
        raise SystemExit(f"{len(wanted - found)} answers are missing or differ: {some}")


def written(found, far):
    """Return the table of a run, and what Spark was asked in it."""
    head = ["| | " + " | ".join(NAMES[engine] for engine in plan.ENGINES) + " |"]
    head += ["| --- |" + " ---: |" * len(plan.ENGINES)]
    rows = [[str(counted(found, engine, function)) for engine in plan.ENGINES] for function in functions()]
    body = [f"| `{function}` | {' | '.join(row)} |" for function, row in zip(functions(), rows, strict=True)]
    total = sum(int(cell) for row in rows for cell in row[1:])
    said = (
        f"{total:,} answers about {len(awkward.NAMES)} logs were compared with those of pandas (of which the first "
        f"column tells how many there are); the largest relative difference of any number was {far:.0e}."
    )
    spark = (
        f"In this run Spark was asked {sum(engine == 'spark' for engine, _, _ in found)} of the {_all('spark'):,} "
        f"questions; CI asks it {_all('spark', whole=False)} and the others all of theirs."
    )
    return "\n\n".join(["\n".join([*head, *body]), said, spark])


def _all(engine, *, whole=True):
    """Return how many answers of an engine there are in a run."""
    return sum(planned(engine, function, whole=whole) for function in functions())


def main(path):
    """Write the table into the page."""
    found, far = agreed(path)
    refuse_gaps(found)
    text = PAGE.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{PAGE} lacks the lines between which the table stands.")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n\n{written(found, far)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print(f"{PAGE}: the table is written")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
