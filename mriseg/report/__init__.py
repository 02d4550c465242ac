"""Figures, patient pages and the study page."""
