"""How far the workflow is, read from its log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mriseg.study.provenance import CODE_OF_STEP

_TOTAL = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)
_DONE = re.compile(r"Finished jobid: \d+ \(Rule: (\w+)\)")
_FAILED = re.compile(r"^Error in rule (\w+):", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """Jobs of one stage: planned in this run, done, and failed."""

    planned: int = 0
    done: int = 0
    failed: int = 0


def read_progress(log: str) -> Mapping[str, StageProgress]:
    """Read the progress of every stage from the log of Snakemake; an empty log gives zeros."""
    _, _, stats = log.partition("Job stats:")
    planned = {name: int(count) for name, count in _TOTAL.findall(stats.partition("total")[0])}
    done, failed = Counter(_DONE.findall(log)), Counter(_FAILED.findall(log))
    return {
        step: StageProgress(planned=planned.get(step, 0), done=done[step], failed=failed[step]) for step in CODE_OF_STEP
    }
