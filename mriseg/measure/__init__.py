"""Label maps of one or two visits to surfaces, regional values and defects."""
