"""A site's own network, as ``study.toml`` or the JSON file beside it describes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mriseg.errors import StudyError

if TYPE_CHECKING:
    from mriseg.segment import Network
    from mriseg.study.hashes import Hashes
    from mriseg.study.model import Study


def network_of(study: Study) -> Network:
    """Load the network that a study asks for: its own, or the shipped one.

    ``[segment] onnx`` is a path from the study folder. ``[segment.network]`` goes before the JSON file beside the
    network.

    Raises
    ------
    SegmentationError
        Where the file is missing or its hash or specification is wrong.
    """
    from mriseg.segment import load_network, spec_of  # onnxruntime only where it is needed

    path, table = _path(study), study.config.segment.network
    if table is None:
        return load_network(path)
    return load_network(path, spec=spec_of(table.model_dump(exclude_none=True), "study.toml, [segment.network]"))


def network_state(study: Study, hashes: Hashes) -> dict[str, object]:
    """Hashes and table of a site's own network: label maps are out of date when one of them changes."""
    path = _path(study)
    if path is None:
        return {}
    if not path.is_file():
        raise StudyError(f"study.toml: [segment] onnx is {study.config.segment.onnx}, and there is no such file.")
    table = study.config.segment.network
    described = {"table": table.model_dump(mode="json")} if table else {"json": hashes.of(path.with_suffix(".json"))}
    return {"onnx": hashes.of(path), **described}


def _path(study: Study) -> Path | None:
    onnx = study.config.segment.onnx
    return None if onnx is None else study.paths.root / onnx
