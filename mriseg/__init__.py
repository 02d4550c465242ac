"""Cartilage defects in knee MRI, quantified for randomised trials."""

__version__ = "0.1.0"
