"""The public names of comparing are there, and cost nothing before they are used."""

from __future__ import annotations

import subprocess
import sys

import mriseg.compare


def test_every_public_name_can_be_imported_from_the_package() -> None:
    assert set(mriseg.compare.__all__) == set(mriseg.compare._MODULE_OF)
    assert all(
        getattr(mriseg.compare, name).__module__.startswith("mriseg.compare.") for name in mriseg.compare.__all__
    )


def test_a_plan_is_read_without_the_libraries_of_the_statistics() -> None:
    code = "import sys, mriseg.compare.plan; print(sorted({'statsmodels', 'scipy.stats'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
