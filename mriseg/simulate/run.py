"""From options to a trial on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mriseg.errors import StudyError
from mriseg.simulate.growth import Growth
from mriseg.simulate.signal import SEQUENCES, SequenceName
from mriseg.simulate.sources import find_sources
from mriseg.simulate.trial import TrialPlan, enrol, simulate_participant, visit_date
from mriseg.simulate.writing import (
    motion_record,
    truth_table,
    write_allocation,
    write_participant,
    write_study_files,
    write_truth,
)


def read_plan(
    *,
    trial: str,
    sequence: str,
    spacing: str,
    crop: bool,
    compress: bool,
    plant: bool,
    arms: str,
    growth: str,
    growth_sd: str,
    seed: int,
) -> TrialPlan:
    """Turn the texts of the command line into a plan.

    Raises
    ------
    StudyError
        Where there are not two arms, or numbers are missing or no numbers.
    """
    names = [name.strip() for name in arms.split(",")]
    if len(names) != 2 or len(set(names)) != 2 or not all(names):
        raise StudyError(f"--arms: expected two names such as placebo,msc, found {arms!r}.")
    means, sds = _numbers("--growth", growth, 2), _numbers("--growth-sd", growth_sd, 2)
    size = None if spacing.strip() == "native" else _numbers("--spacing", spacing, 3)
    if size is not None and not all(0.1 <= s <= 6.0 for s in size):
        raise StudyError(f"--spacing: expected three voxel sizes from 0.1 to 6 mm, found {spacing!r}.")
    return TrialPlan(
        trial=trial,
        sequence=SEQUENCES[SequenceName(sequence)],
        spacing_mm=None if size is None else (size[0], size[1], size[2]),
        crop=crop,
        compress=compress,
        seed=seed,
        arms={name: Growth(mean_mm2=m, sd_mm2=s) for name, m, s in zip(names, means, sds, strict=True)},
        plant=plant,
    )


def make_trial(
    study: Path, plan: TrialPlan, *, truth: Path, allocation: Path, labels: Path | None = None, count: int = 6
) -> Iterator[tuple[int, int, str]]:
    """Simulate and write a trial; yields (done, of how many, current participant).

    The same plan, sources and versions give the same files. With ``labels`` knees come from its label maps, at most
    ``count`` of them.
    """
    sources = find_sources(labels, two_visits=not plan.plant)[:count] if labels else []
    people = enrol(plan, sources, count, np.random.default_rng([plan.seed, 0]))
    kind = f"knees from {len(sources)} label maps" if sources else "digital knees"
    write_study_files(study, plan, people, title=f"Simulated trial, {plan.sequence.description}, {kind}")
    tables, motion = [], {}
    for n, person in enumerate(people):
        yield n, len(people), person.participant_id
        rng = np.random.default_rng([plan.seed, n + 1])
        output = simulate_participant(plan, person, rng)
        dates = {visit: visit_date(person, visit, rng) for visit in output.visits}
        write_participant(study, plan, person, output, truth=truth, dates=dates)
        tables.append(truth_table(person, output))
        motion[person.participant_id] = motion_record(output)
    write_truth(truth, people, tables, motion)
    write_allocation(allocation, people)
    yield len(people), len(people), "done"


def _numbers(option: str, text: str, count: int) -> list[float]:
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) != count:
        raise StudyError(f"{option}: expected {count} numbers, found {text!r}.")
    return values
