"""``mriseg segment``: one volume to one label map."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mriseg.segment import Network, Segmentation


def command(
    image: Annotated[Path, typer.Argument(metavar="IN", help="NIfTI image of one knee, any MR contrast.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Label map to write, NAME_dseg.nii.gz.")],
    side: Annotated[str, typer.Option(help="Which knee: L or R.")],
    network: Annotated[
        Path | None, typer.Option(help="ONNX network of your own, with its specification NAME.json beside it.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads to use; 0 for every core.")] = 0,
) -> None:
    """Segment the bones and cartilages of one knee.

    Writes OUT and, beside it, a JSON file with hashes, verdict, reasons and confidence. A result that needs review is
    written, its reasons are printed, and the exit code is 0; an image that cannot be a knee MR exits 1.

    Examples:

        mriseg segment sub-01_ses-00_mri.nii.gz sub-01_ses-00_dseg.nii.gz --side R

        mriseg segment knee.nii.gz knee_dseg.nii.gz --side L --threads 4 --network ours.onnx
    """
    hold_threads()  # before numpy is loaded, which takes its number once
    from rich.console import Console
    from rich.progress import Progress

    from mriseg.errors import MrisegError
    from mriseg.nifti import read_volume, write_label_map
    from mriseg.segment import load_network, segment
    from mriseg.types import Side

    knee = side.strip().upper()
    if knee not in {s.value for s in Side}:
        raise typer.BadParameter(f"{side!r} is no side; give L or R.", param_hint="--side")
    if not output.name.endswith((".nii.gz", ".nii")):
        raise typer.BadParameter(f"{output.name} does not end in .nii.gz.", param_hint="OUT")
    chosen = load_network(network)
    volume = read_volume(image)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(image.name, total=1.0)
        try:
            result = segment(
                volume,
                side=Side(knee),
                network=chosen,
                threads=threads,
                progress=lambda share: bar.update(task, completed=share),
            )
        except MrisegError as error:
            raise type(error)(f"{image.name}: {error}") from error
    write_label_map(output, result.label_map)
    write_sidecar(output, image, knee, chosen, result)
    typer.echo(f"{output.name}: {result.verdict.value}")
    for reason in result.reasons:
        typer.echo(f"  {reason}")


def hold_threads() -> None:
    """Hold the libraries of linear algebra to one thread unless a variable says otherwise.

    The work is shared out by bone and by onnxruntime already; waiting threads cost a tenth of the time.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def write_sidecar(output: Path, image: Path, side: str, network: Network, result: Segmentation) -> None:
    """Write NAME.json beside NAME.nii.gz, in whole or not at all."""
    from mriseg import __version__
    from mriseg.files import sha256, write_json
    from mriseg.segment import rules_of

    content = {
        "inputs": {image.name: {"sha256": sha256(image)}},
        "side": side,
        "network": network.identity,
        "rules": rules_of(network),
        "output_sha256": sha256(output),
        "verdict": result.verdict.value,
        "reasons": list(result.reasons),
        "confidence": {label.name.lower(): round(value, 4) for label, value in result.confidence.items()},
        "mriseg_version": __version__,
    }
    target = output.with_name(output.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    write_json(target, content)
