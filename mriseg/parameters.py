"""Parameters as data: every number of a nest of frozen dataclasses by its dotted name, and a copy with some changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from mriseg.errors import ParameterError

Nest = TypeVar("Nest")


def flat(parameters: object, prefix: str = "") -> dict[str, Any]:
    """Every value of nested dataclasses by dotted name, in their order: ``{"rim_mm": 2.5, "cover.step_mm": 0.2}``."""
    found: dict[str, Any] = {}
    for one in fields(parameters):  # type: ignore[arg-type]
        value = getattr(parameters, one.name)
        name = f"{prefix}{one.name}"
        found |= flat(value, f"{name}.") if is_dataclass(value) else {name: value}
    return found


def changed(parameters: Nest, values: Mapping[str, Any]) -> Nest:
    """Copy of nested dataclasses with the values of some dotted names changed; an unknown name is an error.

    Examples
    --------
    >>> from mriseg.measure import MeasureParameters
    >>> changed(MeasureParameters(), {"rim_mm": 3.0, "cover.wall_level": 0.5}).cover.wall_level
    0.5
    """
    known = flat(parameters)
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ParameterError(f"Unknown parameters {unknown}; expected some of {sorted(known)}.")
    return _changed(parameters, values)


def _changed(parameters: Nest, values: Mapping[str, Any]) -> Nest:
    here = {name: value for name, value in values.items() if "." not in name}
    groups = {name.split(".", 1)[0] for name in values} - set(here)
    for group in groups:
        inner = {name.split(".", 1)[1]: value for name, value in values.items() if name.startswith(f"{group}.")}
        here[group] = _changed(getattr(parameters, group), inner)
    return replace(parameters, **{n: _like(n, getattr(parameters, n), v) for n, v in here.items()})  # type: ignore[type-var]


def _like(name: str, known: object, value: Any) -> Any:
    """``value`` in the type of the value that it replaces: a whole number for a count, numbers for a row of them."""
    if is_dataclass(known):
        return value
    if isinstance(known, tuple):
        if isinstance(value, (list, tuple)):
            return tuple(value)
        raise ParameterError(f"{name} is {value!r}; expected a row of numbers such as {list(known)}.")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise ParameterError(f"{name} is {value!r}; expected a number such as {known}.")
    if isinstance(known, int):
        if int(value) != value:
            raise ParameterError(f"{name} is {value}; expected a whole number such as {known}.")
        return int(value)
    return float(value)
