"""Which files a comparison rests on, and the lock over them; shared by ``lock`` and ``compare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mriseg import __version__
from mriseg.compare.analysis import check_before_opening
from mriseg.compare.columns import TableMap, parse_table_map, to_regions
from mriseg.compare.joining import gather_measurements
from mriseg.compare.plan import AnalysisPlan, parse_plan, read_toml
from mriseg.compare.seal import content_hash, seal, verify_seal
from mriseg.compare.tables import read_table
from mriseg.compare.trial import Measurements
from mriseg.errors import AnalysisError
from mriseg.files import read_json, sha256, write_json
from mriseg.study.current import refuse_stale
from mriseg.study.model import open_study


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the measurements of a comparison are, and where its results go. Nothing here knows an arm.

    ``sealed`` are the files under the seal by the name that the lock gives them; ``root`` is the study folder, None
    for a plain table; ``columns`` names the columns of another reading system; ``sdc`` is the table of smallest
    detectable changes; ``remarks`` say what a reader of the results should know of how the values were made.
    """

    plan: AnalysisPlan
    table: Path
    participants: Path | None
    failures: Path | None
    out: Path
    lock: Path
    sealed: dict[str, Path]
    root: Path | None
    columns: TableMap | None = None
    sdc: Path | None = None
    remarks: tuple[str, ...] = ()

    def measurements(self) -> pd.DataFrame:
        """Read the table of measurements, with the columns of ``regions.tsv``."""
        table = read_table(self.table)
        return table if self.columns is None else to_regions(table, self.columns, self.table.name)

    def measured(self) -> Measurements:
        """Join the measurements to the participants, and refuse what no allocation could make comparable."""
        people, failures = (read_table(path) if path else None for path in (self.participants, self.failures))
        measured = gather_measurements(self.measurements(), people, self.plan, failures=failures, name=self.table.name)
        check_before_opening(measured, self.plan)
        return measured

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every sealed file, and of the column map, which turns cells into measurements."""
        found = {name: sha256(path) for name, path in self.sealed.items()}
        if self.columns is None:
            return found
        return found | {"[table] of the plan file": content_hash(self.columns.model_dump(mode="json"))}


def from_study(folder: Path, sdc: Path | None, *, current: bool = True) -> Source:
    """Find plan, measurements and lock of a study folder; refuse one whose values are not ``current``.

    Raises
    ------
    AnalysisError
        Where a run is at work, values are stale or missing, or a table of the group was changed by hand; failures are
        no reason, since their values are blank and counted.
    """
    study = open_study(folder)
    remarks = refuse_stale(study) if current else ()
    if study.config.analysis is None:
        raise AnalysisError(f"{study.paths.config} holds no [analysis] part; it names region, metric, visits and arms.")
    group, root = study.paths.group, study.paths.root
    tables = [
        study.paths.participants,
        study.paths.reviews,
        *(group / f"{n}.tsv" for n in ("regions", "defects", "failures")),
    ]
    patterns = ("*_regions.tsv", "*_defects.tsv", "*_xfm.json", "*_surfaces/*.npz", "ses-*/*_dseg.nii.gz")
    measured = [p for who in study.patients() for g in patterns for p in study.paths.patient(who.id).glob(g)]
    return Source(
        plan=study.config.analysis,
        table=group / "regions.tsv",
        participants=study.paths.participants,
        failures=group / "failures.tsv" if (group / "failures.tsv").exists() else None,
        out=group,
        lock=group / "lock.json",
        sealed={p.relative_to(root).as_posix(): p for p in sorted([*tables, *measured]) if p.exists()} | _named([sdc]),
        root=root,
        sdc=sdc,
        remarks=remarks,
    )


def _named(files: list[Path | None]) -> dict[str, Path]:
    """Files by their name; two of one name would hide each other under the seal and are refused."""
    given = [path for path in files if path is not None]
    named = {path.name: path for path in given}
    if len(named) < len(given):
        raise AnalysisError(
            f"Two input files share a name ({', '.join(map(str, given))}); rename one, the seal names them."
        )
    return named


def from_table(
    table: Path, plan: Path, *, participants: Path | None, failures: Path | None, sdc: Path | None, out: Path
) -> Source:
    """Describe a comparison of a plain table; the lock lies beside the results."""
    document = read_toml(plan)
    return Source(
        plan=parse_plan(document, str(plan)),
        table=table,
        participants=participants,
        failures=failures,
        out=out,
        lock=out / "lock.json",
        sealed=_named([table, participants, failures, sdc]),
        root=None,
        columns=parse_table_map(document, str(plan)),
        sdc=sdc,
    )


def set_seal(source: Source, *, reason: str = "") -> dict[str, Any]:
    """Write the lock; an earlier one is replaced only for a reason, and stays listed.

    Raises
    ------
    AnalysisError
        The source is sealed already and no reason was given.
    """
    earlier: list[dict[str, Any]] = []
    if source.lock.exists():
        old = read_json(source.lock)
        if not reason:
            raise AnalysisError(f"{source.lock} was sealed at {old.get('sealed')}; give --again REASON to seal anew.")
        unblinded = (source.out / "comparison.json").exists()
        entry = {"sealed": old.get("sealed"), "seal": old.get("seal"), "reason": reason, "after_unblinding": unblinded}
        earlier = [*old.get("earlier", []), entry]
    lock = seal(source.hashes(), source.plan, by=f"mriseg {__version__} lock", earlier=earlier)
    write_json(source.lock, lock)
    return lock


def check_seal(source: Source) -> tuple[str, ...]:
    """Name every change after the seal; an `AnalysisError` where there is no lock."""
    if not source.lock.exists():
        raise AnalysisError(f"{source.lock} does not exist; `mriseg lock` makes it.")
    return verify_seal(read_json(source.lock), source.hashes(), source.plan)


def seal_state(source: Source, hashes: dict[str, str]) -> dict[str, Any]:
    """What the results say about the seal: its time and hash, and everything that changed since.

    Without a lock one is set here, which is still before the allocation is opened, and the result says so.
    """
    if not source.lock.exists():
        write_json(source.lock, seal(hashes, source.plan, by=f"mriseg {__version__} compare"))
    lock = read_json(source.lock)
    changes = (*verify_seal(lock, hashes, source.plan), *_replaced(source, lock))
    kept = {key: lock.get(key) for key in ("sealed", "by", "seal", "plan_sha256", "earlier")}
    return {"file": source.lock.name, **kept, "status": "changed" if changes else "intact", "changes": list(changes)}


def _replaced(source: Source, lock: dict[str, Any]) -> list[str]:
    """Say so where results are there already that rest on a seal which this lock does not list."""
    results = source.out / "comparison.json"
    if not results.exists():
        return []
    before = read_json(results).get("lock", {})
    listed = {lock.get("seal"), *(old.get("seal") for old in lock.get("earlier", []))}
    if before.get("seal") in listed:
        return []
    return [f"The lock was replaced without a reason: earlier results rest on the seal of {before.get('sealed')}."]
