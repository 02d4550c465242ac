"""Copy configuration, losses and validation scores of a run and draw them.

python curves.py RUN_DIR ../../docs/segmenter
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt


def read(path: Path) -> dict[str, np.ndarray]:
    """Columns of a CSV file as float arrays."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def main() -> None:
    """Draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "loss.csv", "validation.csv"):
        shutil.copy(arguments.run / name, arguments.folder / name)
    loss, scores = read(arguments.run / "loss.csv"), read(arguments.run / "validation.csv")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    left.plot(loss["step"], loss["loss"], color="0.75", lw=0.8)
    smooth = np.convolve(loss["loss"], np.ones(9) / 9, "valid")
    left.plot(loss["step"][8:], smooth, color="C0")
    left.set(xlabel="step", ylabel="training loss", ylim=(0, 4))
    for name in list(scores)[2:]:
        right.plot(scores["step"], scores[name], label=name.replace("_", " "), marker=".")
    right.set(xlabel="step", ylabel="Dice, validation crops at 1.2 mm", ylim=(0, 1))
    right.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(arguments.folder / "curves.png", dpi=80)


if __name__ == "__main__":
    main()
