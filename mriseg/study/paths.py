"""Every path of a study folder comes from here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StudyPaths:
    """Paths of one study folder; nothing is created and nothing is read."""

    root: Path

    @property
    def config(self) -> Path:
        """``study.toml``."""
        return self.root / "study.toml"

    @property
    def participants(self) -> Path:
        """``participants.tsv``."""
        return self.root / "participants.tsv"

    @property
    def visits(self) -> Path:
        """``visits.tsv``, optional: folder of each visit under ``dicom/`` and how contradictions were settled."""
        return self.root / "visits.tsv"

    @property
    def reviews(self) -> Path:
        """``reviews.tsv``: verdicts of readers, appended by :mod:`mriseg.study.reviews` alone."""
        return self.root / "reviews.tsv"

    @property
    def dicom(self) -> Path:
        """DICOM as it came; read-only."""
        return self.root / "dicom"

    @property
    def derivatives(self) -> Path:
        """Folder of all outputs."""
        return self.root / "derivatives" / "mriseg"

    @property
    def group(self) -> Path:
        """Tables and pages of the whole study."""
        return self.derivatives / "group"

    @property
    def inventory(self) -> Path:
        """Inventory of the last look at ``dicom/``."""
        return self.derivatives / "inventory.json"

    @property
    def log(self) -> Path:
        """What the runs did, one JSON object a line."""
        return self.derivatives / "run.log"

    @property
    def lock(self) -> Path:
        """Who works on this study now."""
        return self.derivatives / ".lock"

    def mask(self, participant: str, visit: str) -> Path:
        """Label map of a reader."""
        return self.root / "masks" / f"{participant}_ses-{visit}_dseg.nii.gz"

    def patient(self, participant: str) -> Path:
        """Folder of one patient's outputs."""
        return self.derivatives / participant

    def _visit(self, participant: str, visit: str, suffix: str) -> Path:
        return self.patient(participant) / f"ses-{visit}" / f"{participant}_ses-{visit}_{suffix}"

    def image(self, participant: str, visit: str) -> Path:
        """Converted MR volume."""
        return self._visit(participant, visit, "mri.nii.gz")

    def labels(self, participant: str, visit: str) -> Path:
        """Label map that is measured."""
        return self._visit(participant, visit, "dseg.nii.gz")

    def corrected(self, participant: str, visit: str) -> Path:
        """A reader's correction of a label map, kept apart so that no later run writes over it."""
        return self._visit(participant, visit, "desc-corrected_dseg.nii.gz")

    def automatic(self, participant: str, visit: str) -> Path:
        """The label map that a reader's first correction took the place of."""
        return self._visit(participant, visit, "desc-automatic_dseg.nii.gz")

    def draft(self, participant: str, visit: str, reader: str) -> Path:
        """What a reader drew and has not saved yet."""
        return self.derivatives / "drafts" / f"{participant}_ses-{visit}_reader-{reader}_dseg.nii.gz"

    def registration(self, participant: str, visit: str = "") -> Path:
        """Transforms of one patient from baseline to ``visit``, which a study of two visits need not name."""
        middle = f"_ses-{visit}" if visit else ""
        return self.patient(participant) / f"{participant}{middle}_xfm.json"

    def surfaces(self, participant: str) -> Path:
        """Folder of the surfaces with thickness."""
        return self.patient(participant) / f"{participant}_surfaces"

    def regions(self, participant: str) -> Path:
        """Regional values of one patient."""
        return self.patient(participant) / f"{participant}_regions.tsv"

    def defects(self, participant: str) -> Path:
        """Defects of one patient."""
        return self.patient(participant) / f"{participant}_defects.tsv"

    def page(self, participant: str) -> Path:
        """Page of one patient."""
        return self.patient(participant) / f"{participant}.html"

    def receipts(self, participant: str) -> Path:
        """What every output of one patient was made from, and its hash."""
        return self.patient(participant) / f"{participant}_receipts.json"

    def step_log(self, participant: str) -> Path:
        """What the steps of one patient printed when they were last at work."""
        return self.patient(participant) / "logs" / f"{participant}.log"

    def running(self, participant: str) -> Path:
        """Step that a run is at with this patient; means nothing where no run is at work."""
        return self.patient(participant) / ".running.json"

    def failure(self, participant: str, step: str, visit: str | None = None) -> Path:
        """Record of a failed step; absent where the step did not fail."""
        middle = f"_ses-{visit}" if visit else ""
        return self.patient(participant) / "failures" / f"{participant}{middle}_{step}.json"


def sidecar_of(path: Path) -> Path:
    """JSON beside an output: ``a.nii.gz`` -> ``a.json``."""
    return path.with_name(path.name.split(".", 1)[0] + ".json")
