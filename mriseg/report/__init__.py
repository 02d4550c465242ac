"""Figures, patient pages and the study page."""

from mriseg.report.patient import write_absent_page, write_patient_page
from mriseg.report.study_page import write_study_page

__all__ = ["write_absent_page", "write_patient_page", "write_study_page"]
