"""The reading room: a web page on this machine alone, in which label maps are seen, corrected and judged."""
