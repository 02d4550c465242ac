"""The knee atlas: mean bone surfaces with regions, coverage and normative thickness, carried onto a knee."""
