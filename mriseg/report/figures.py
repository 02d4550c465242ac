"""Pictures of one patient as PNG bytes: slices with labels, thickness on unrolled surfaces, registration check."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import ListedColormap, Normalize, to_hex, to_rgba
from matplotlib.figure import Figure

from mriseg.geometry import crop, reorient
from mriseg.register import checkerboard, difference, in_baseline_space
from mriseg.types import (
    Array,
    Bone,
    BoneSurface,
    FloatArray,
    Grid,
    Label,
    LabelMap,
    RigidTransform,
    Side,
    VertexState,
    Volume,
    distinct,
)

LABEL_COLOURS = ListedColormap(["#0000", "#ffd166", "#3aa6ff", "#ff9e4f", "#2fd6a3", "#c9a0ff", "#ff6fb5"])
DENUDED_COLOUR = "#c1121f"
FAILED_COLOUR = "#9aa0a6"
BONE_COLOUR = "#e8e2d6"
_THICKNESS = ScalarMappable(Normalize(0.0, 4.0), "viridis")
_CHANGE = ScalarMappable(Normalize(-1.0, 1.0), "RdBu")


def label_colour(label: Label) -> str:
    """Colour of one label, as in every overlay, in hexadecimal."""
    return to_hex(LABEL_COLOURS(label.value))


def slices(volume: Volume, labels: LabelMap, side: Side, *, count: int = 3) -> bytes:
    """Draw sagittal slices through medial plate, notch and lateral plate, bare and with the label map over them."""
    image, overlay = reorient(volume), reorient(labels)
    figure, axes = _sagittal_panels(image.grid, count)
    low, high = np.percentile(image.data, (1, 99.5))
    aspect = image.grid.spacing_mm[2] / image.grid.spacing_mm[1]
    for column, (name, index) in enumerate(_sagittal_indices(overlay, side, count)):
        for row in range(2):
            panel = axes[row, column]
            panel.imshow(image.data[index].T, cmap="gray", origin="lower", vmin=low, vmax=high, aspect=aspect)
            if row:
                outline(panel, overlay.data[index].T)
            else:
                panel.set_title(name, fontsize=9)
            panel.set_axis_off()
    return as_png(figure)


def outline(panel: Axes, labels: Array) -> None:
    """Draw the edge of every label of one slice (rows, columns), so that the image below stays to be seen."""
    for label in distinct(labels):
        if label:
            panel.contour(labels == label, levels=[0.5], colors=[LABEL_COLOURS(label)], linewidths=0.9)


def _sagittal_panels(grid: Grid, columns: int) -> tuple[Figure, Array]:
    """Two rows of panels as high as the sagittal slices of a canonical grid need, axes (2, ``columns``)."""
    _, depth, height = np.array(grid.shape) * grid.spacing_mm
    width = 3.2
    figure = Figure(figsize=(width * columns, 2 * width * height / depth + 0.4), layout="constrained")
    return figure, np.reshape(figure.subplots(2, columns), (2, columns))


def _sagittal_indices(labels: LabelMap, side: Side, count: int) -> list[tuple[str, int]]:
    """Slices across the extent of tibial cartilage, medial first, with their names."""
    where = np.flatnonzero(labels.mask(Label.TIBIAL_CARTILAGE).any(axis=(1, 2)))
    if not where.size:
        where = np.flatnonzero(labels.data.any(axis=(1, 2)))
    if not where.size:
        where = np.arange(labels.data.shape[0])
    positions = np.quantile(where, np.linspace(0.2, 0.8, count)).round().astype(int)
    # i runs to the right: in a right knee low i is medial, in a left knee lateral.
    ordered = positions if side is Side.RIGHT else positions[::-1]
    names = ["medial", "notch", "lateral"] if count == 3 else [f"slice {i}" for i in ordered]
    return [(name, int(index)) for name, index in zip(names, ordered, strict=True)]


def thickness(surface: BoneSurface, maps: dict[str, tuple[FloatArray, Array]]) -> bytes:
    """Draw thickness on the articular surface, one panel a visit and one for the change to each later visit.

    ``maps`` holds visit id -> (thickness in mm (V,), state (V,)). Red is denuded, grey failed.
    """
    points = unroll(surface)
    inside = surface.faces[(surface.region[surface.faces] > 0).all(axis=1)]
    panels = 2 * len(maps) - 1
    figure = Figure(figsize=(4.3 * panels, 3.6), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, panels))
    for panel, (visit, (values, state)) in zip(axes, maps.items(), strict=False):
        panel.set_title(f"{visit}: thickness [mm]", fontsize=9)
        _draw_faces(panel, points[inside], values[inside], state[inside], _THICKNESS)
    (first, before), *later = maps.values()
    for panel, visit, (second, after) in zip(axes[len(maps) :], list(maps)[1:], later, strict=True):
        panel.set_title("change [mm]" if len(later) == 1 else f"change to {visit} [mm]", fontsize=9)
        state = np.where(before == VertexState.DENUDED, VertexState.MEASURED, before)
        state = np.where(np.isin(after, (VertexState.FAILED, VertexState.RIM)), after, state)
        _draw_faces(panel, points[inside], (second - first)[inside], state[inside], _CHANGE)
    return as_png(figure)


def unroll(surface: BoneSurface) -> FloatArray:
    """Lay the articular surface flat, (V, 2) mm: tibia from above, patella from behind, femur rolled out.

    The medial side is left in every view, since x runs from medial to lateral in the right-knee frame.
    """
    x, y, z = surface.vertices_mm.T
    articular = surface.region > 0
    if surface.bone is Bone.TIBIA:
        return np.column_stack([x, y])
    if surface.bone is Bone.PATELLA:
        return np.column_stack([x, z])
    centre_y, centre_z = y[articular].mean(), z[articular].max()
    angle = np.arctan2(y - centre_y, centre_z - z)
    radius = np.hypot(y - centre_y, z - centre_z)[articular].mean() if articular.any() else 1.0
    return np.column_stack([x, angle * radius])


def _draw_faces(panel: Axes, corners: FloatArray, values: FloatArray, state: Array, scale: ScalarMappable) -> None:
    """Fill triangles ``corners`` (F, 3, 2) by the mean of their ``values`` (F, 3); ``state`` (F, 3) goes before."""
    known = ~np.isnan(values)
    mean = np.nansum(values, axis=1) / known.sum(axis=1).clip(1)
    rgba = scale.to_rgba(mean)
    rgba[~known.any(axis=1) | (state == VertexState.FAILED).any(axis=1)] = to_rgba(FAILED_COLOUR)
    rgba[(state == VertexState.DENUDED).sum(axis=1) >= 2] = to_rgba(DENUDED_COLOUR)
    rgba[np.isin(state, (VertexState.OUTSIDE, VertexState.RIM)).any(axis=1)] = 0
    panel.add_collection(PolyCollection(list(corners), facecolors=rgba, edgecolors="none", antialiased=False))
    panel.autoscale_view()
    panel.set_aspect("equal")
    panel.set_axis_off()
    panel.figure.colorbar(scale, ax=panel, shrink=0.8)


def thickness_colours(thickness_mm: FloatArray, state: Array) -> Array:
    """Colour of every vertex as in the maps of :func:`thickness`, (V, 4) uint8: red is denuded, grey unknown."""
    rgba = _THICKNESS.to_rgba(np.nan_to_num(thickness_mm), bytes=True)
    unknown = ~np.isin(state, (VertexState.MEASURED, VertexState.DENUDED))
    rgba[unknown] = np.round(255 * np.array(to_rgba(FAILED_COLOUR)))
    rgba[state == VertexState.OUTSIDE] = np.round(255 * np.array(to_rgba(BONE_COLOUR)))
    rgba[state == VertexState.DENUDED] = np.round(255 * np.array(to_rgba(DENUDED_COLOUR)))
    return np.asarray(rgba, dtype=np.uint8)


def registration_check(
    baseline: Volume, followup: Volume, labels: LabelMap, transforms: dict[Bone, RigidTransform]
) -> bytes:
    """Draw follow-up in baseline space by each bone's transform: checkerboard and difference. For looking only."""
    low, high = np.percentile(baseline.data, (1, 99.5))
    fixed, marked = reorient(baseline), reorient(labels)
    figure, axes = _sagittal_panels(fixed.grid, max(1, len(transforms)))
    aspect = fixed.grid.spacing_mm[2] / fixed.grid.spacing_mm[1]
    for column, (bone, transform) in enumerate(transforms.items()):
        found = np.argwhere(marked.mask(bone.label))
        index = int(np.median(found[:, 0])) if len(found) else fixed.grid.shape[0] // 2
        still = crop(fixed, np.array([index, 0, 0]), np.array([index + 1, *fixed.grid.shape[1:]]))
        moved = in_baseline_space(followup, still, transform)
        board = checkerboard(still, moved).data[0]
        axes[0, column].imshow(board.T, cmap="gray", origin="lower", vmin=low, vmax=high, aspect=aspect)
        axes[0, column].set_title(f"{bone}: checkerboard, difference", fontsize=9)
        change = difference(still, moved).data[0]
        axes[1, column].imshow(change.T, cmap="gray", origin="lower", vmin=low - high, vmax=high - low, aspect=aspect)
    for panel in axes.ravel():
        panel.set_axis_off()
    return as_png(figure)


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG, the same bytes for the same picture."""
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()
