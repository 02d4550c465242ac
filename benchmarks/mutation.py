"""Mutation of the code that compares: a sample of small faults is planted, and the tests have to notice each.

``python benchmarks/mutation.py [--count 60] [--seed 1] [MODULE...]`` copies the package, changes one operator,
comparison, number or truth value in the copy and runs the tests named in ``TESTS`` against it. What survives is listed
with its line, for a person to look at: the test is missing, or the change says the same. Writes
``benchmarks/results/mutation.json``.
"""

from __future__ import annotations

import argparse
import ast
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPARE = "tests/compare/"
TESTS = {
    "words.py": ["tests/test_words.py"],
    "delimited.py": ["tests/test_words.py"],
    "compare/tables.py": [COMPARE + "test_cells.py", COMPARE + "test_inputs.py"],
    "compare/people.py": [COMPARE + "test_cells.py", COMPARE + "test_inputs.py"],
    "compare/joining.py": [COMPARE + "test_cells.py", COMPARE + "test_inputs.py", COMPARE + "test_comparison.py"],
    "compare/arrangements.py": [COMPARE + "test_arrangements.py"],
    "compare/batch.py": [COMPARE + "test_power.py", COMPARE + "test_tests.py"],
    "compare/permutation.py": [COMPARE + "test_tests.py"],
    "compare/inversion.py": [COMPARE + "test_tests.py"],
    "compare/rank.py": [COMPARE + "test_tests.py", COMPARE + "test_against_r.py"],
    "compare/risk.py": [COMPARE + "test_tests.py"],
    "compare/repeatability.py": [COMPARE + "test_power.py", COMPARE + "test_cells.py", COMPARE + "test_against_r.py"],
    "compare/ancova.py": [COMPARE + "test_against_r.py", COMPARE + "test_inputs.py"],
    "compare/events.py": [COMPARE + "test_comparison.py", COMPARE + "test_cells.py"],
}
LIBRARIES = ("numpy", "pandas", "scipy.stats", "statsmodels.api", "typer", "pydantic")  # imported once
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every node that can be changed, and what the change is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPS:
            yield node, f"{type(node.op).__name__} -> {SWAPS[type(node.op)].__name__}"
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            yield node, f"{type(node.ops[0]).__name__} -> {SWAPS[type(node.ops[0])].__name__}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            yield node, f"{node.value!r} -> {changed(node.value)!r}"


def changed(value: bool | float) -> bool | float:
    """Another value of a constant: the other truth value, one more, or twice as much."""
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else 2 * value


def mutate(source: str, number: int) -> tuple[str, int, str]:
    """Plant the fault of one number; return the text, its line and what was changed."""
    tree = ast.parse(source)
    node, what = list(places(tree))[number]
    if isinstance(node, ast.Constant):
        node.value = changed(node.value)  # type: ignore[arg-type]
    elif isinstance(node, ast.Compare):
        node.ops[0] = SWAPS[type(node.ops[0])]()
    else:
        node.op = SWAPS[type(node.op)]()  # type: ignore[attr-defined]
    return ast.unparse(tree), node.lineno, what  # type: ignore[attr-defined]


def survives(copy: Path, module: str) -> bool:
    """Whether the tests of a module pass on the copy of the package, in a process that has the libraries already."""
    child = multiprocessing.get_context("fork").Process(target=run_tests, args=(copy, TESTS[module]))
    child.start()
    child.join(timeout=600)
    if child.is_alive():
        child.kill()
        child.join()
    return child.exitcode == 0


def run_tests(copy: Path, tests: list[str]) -> None:
    """Run tests of the copy and end the process with their exit status."""
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    sys.dont_write_bytecode = True
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])))


def main() -> None:
    """Plant faults one after the other and print what survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="of those in TESTS; all by default")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    modules = options.modules or list(TESTS)
    sources = {m: (ROOT / "mriseg" / m).read_text(encoding="utf-8") for m in modules}
    faults = [(m, n) for m, text in sources.items() for n in range(len(list(places(ast.parse(text)))))]
    sample = random.Random(options.seed).sample(faults, min(options.count, len(faults)))
    for library in LIBRARIES:
        import_module(library)
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in ("mriseg", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        broken = [module for module in dict.fromkeys(m for m, _ in sample) if not survives(copy, module)]
        if broken:
            raise SystemExit(f"The tests of {', '.join(broken)} fail before any fault is planted.")
        for module, number in sample:
            text, line, what = mutate(sources[module], number)
            (copy / "mriseg" / module).write_text(text, encoding="utf-8")
            if survives(copy, module):
                survivors.append({"module": module, "line": line, "change": what})
                print(f"survived: {module}:{line} {what}", flush=True)
            (copy / "mriseg" / module).write_text(sources[module], encoding="utf-8")
    result = {
        "planted": len(sample),
        "of": len(faults),
        "noticed": len(sample) - len(survivors),
        "survivors": survivors,
    }
    (ROOT / "benchmarks" / "results" / "mutation.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{result['noticed']} of {result['planted']} planted faults were noticed ({result['of']} possible)")


if __name__ == "__main__":
    main()
