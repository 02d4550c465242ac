"""The study folder: study.toml, participants.tsv, every path, provenance."""
