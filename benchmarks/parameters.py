"""Change every number of the measurement by a telling amount and list those that move no figure of the sample knee.

Usage: python benchmarks/parameters.py [--only NAME...]. Writes benchmarks/results/parameters.json: the largest relative
change of any figure by number, null where a state, a lesion or a note changed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "measure"))
from knees import COARSE, coarse_knee  # noqa: E402
from mutation import moved, result_of, telling  # noqa: E402

from mriseg.measure import MeasureParameters  # noqa: E402
from mriseg.parameters import flat  # noqa: E402

RESULTS = HERE / "results" / "parameters.json"
MOVES = 1e-6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(flat(MeasureParameters())))
    names = parser.parse_args().only
    labels = (coarse_knee("baseline"), coarse_knee("month6"))
    plain = result_of(labels, COARSE)
    found: dict[str, float] = {}
    for name in names:
        found[name] = moved(plain, result_of(labels, COARSE, name))
        print(f"{name:36s} -> {telling(name)!s:18} moves {found[name]:.3g}", flush=True)
    still = [name for name, change in found.items() if change <= MOVES]
    print(f"{len(found) - len(still)} of {len(found)} numbers move a figure; none by: {', '.join(still) or '-'}")
    changes = {name: None if math.isinf(change) else change for name, change in found.items()}
    RESULTS.write_text(
        json.dumps({"numbers": len(found), "moves_nothing": still, "largest_change": changes}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
