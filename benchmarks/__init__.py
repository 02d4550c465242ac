"""Figures of the README and of docs/evidence.md, re-measured: `python -m benchmarks all`."""
