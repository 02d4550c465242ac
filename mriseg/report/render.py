"""HTML from templates: self-contained pages that open from a file, every value escaped."""

from __future__ import annotations

import base64
import math
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import mriseg


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mriseg.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["picture"] = picture
    return environment


def render(template: str, **values: Any) -> str:
    """Fill a template of ``report/templates``; a value that the template needs and does not get is an error."""
    return _environment().get_template(template).render(version=mriseg.__version__, **values)


def number(value: float | None, digits: int = 2) -> str:
    """Write a number with fixed digits; NaN and None become a dash, so that a gap never looks like a zero."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}"


def picture(png: bytes) -> Markup:
    """Return a PNG as a data URI, for the ``src`` of an image."""
    return Markup("data:image/png;base64,") + base64.b64encode(png).decode("ascii")
