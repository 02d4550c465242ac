"""The study folder: study.toml, participants.tsv, every path, provenance."""

from mriseg.study.model import Patient, Study, open_study

__all__ = ["Patient", "Study", "open_study"]
