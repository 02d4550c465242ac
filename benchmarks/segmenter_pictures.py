"""Draw the segmentation of every echo of the real multi-echo series for the model card.

python benchmarks/segmenter_pictures.py [--data ../shared/data] [--out docs/segmenter/real_echoes.png]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np

from mriseg.geometry import reorient
from mriseg.nifti import read_volume
from mriseg.segment import load_network, segment
from mriseg.types import Side

mpl.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
SLICES = (0.33, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "segmenter" / "real_echoes.png")
    arguments = parser.parse_args()
    network = load_network()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mriseg.cli", "convert", str(arguments.data / "dicom" / "ge-mese-t2"), folder]
        subprocess.run(command, check=True, capture_output=True)
        volumes = [read_volume(path) for path in sorted(Path(folder).rglob("*.nii.gz"))]
    figure, axes = plt.subplots(len(SLICES), len(volumes), figsize=(1.9 * len(volumes), 2 * len(SLICES)))
    for column, volume in enumerate(volumes):
        labels = reorient(segment(volume, side=Side.RIGHT, network=network).label_map).data
        image = reorient(volume).data
        for row, share in enumerate(SLICES):
            at = int(share * len(image))
            axes[row, column].imshow(image[at].T, origin="lower", cmap="gray", vmax=np.percentile(image, 99.5))
            shown = np.ma.masked_equal(labels[at].T, 0)
            axes[row, column].imshow(shown, origin="lower", cmap="tab10", vmin=0, vmax=9, alpha=0.4)
            axes[row, column].axis("off")
        axes[0, column].set_title(f"echo {column + 1}", fontsize=8)
    figure.tight_layout(pad=0.2)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, dpi=90)


if __name__ == "__main__":
    main()
