"""``python -m mriseg.cli``: the same as the ``mriseg`` command."""

from mriseg.cli import main

main()
