"""Which code makes the outputs of a step: what its module imports, and what those modules import, within mriseg.

Names are followed, not packages: ``from mriseg.register import from_json`` leads to the module that defines
``from_json``, so that a step is not out of date because of code that it never calls. Imports for type checkers do not
count. Nothing is imported to find this out.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mriseg.files import read_json, write_json
from mriseg.study.hashes import cache_folder, facts_of

ROOT = "mriseg"
PACKAGE = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = {"cc3d": "connected-components-3d", "gdcm": "python-gdcm", "skimage": "scikit-image"}
DECODERS = ("pylibjpeg", "pylibjpeg-openjpeg", "python-gdcm")  # pydicom finds them by itself
EXTRAS = frozenset({"highdicom"})  # without it a reader's DICOM SEG is refused: it decides whether, not which numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a result depends on besides its inputs.

    Parameters
    ----------
    sha256 : str
        Hash over names and contents of files of mriseg.
    libraries : tuple of str
        Other libraries by their import name.
    """

    sha256: str
    libraries: tuple[str, ...]

    @property
    def versions(self) -> dict[str, str]:
        """Version of every library but extras, and of the decoders where pydicom is among them."""
        names = [DISTRIBUTIONS.get(name, name) for name in self.libraries if name not in EXTRAS]
        return {name: _version(name) for name in sorted({*names, *(DECODERS if "pydicom" in names else ())})}


@cache
def code_of(module: str) -> Code:
    """Return the code that a module runs, as far as its imports tell; ``module`` is a dotted name below mriseg.

    What was found is remembered for as long as no file of the package changed.
    """
    memory = cache_folder() / "code" / f"{_package_state()}-{module}.json"
    with suppress(OSError, ValueError, KeyError):
        known = read_json(memory)
        return Code(sha256=known["sha256"], libraries=tuple(known["libraries"]))
    files, libraries = follow(module)
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + _content(path) + b"\0")
    with suppress(OSError):
        write_json(memory, {"sha256": digest.hexdigest(), "libraries": libraries})
    return Code(sha256=digest.hexdigest(), libraries=libraries)


@cache
def _package_state() -> str:
    """Hash over what the file system says of every file of the package."""
    files = sorted(p for p in PACKAGE.rglob("*") if p.suffix != ".pyc" and p.is_file())
    facts = [f"{p.relative_to(PACKAGE)} {facts_of(p.stat())}" for p in files]
    return hashlib.sha256("\n".join([str(PACKAGE), *facts]).encode()).hexdigest()[:32]


def follow(module: str) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Follow the imports of a module: files of mriseg that it runs or reads, and other libraries."""
    modules, libraries = {module}, set[str]()
    todo = [module]
    while todo:
        ours, others = _imports(todo.pop())
        libraries |= others
        todo += ours - modules
        modules |= ours
    files = {path for name in modules for path in _files(name)}
    return tuple(sorted(files)), tuple(sorted(libraries))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What one module says: its imports, the attributes used of every name, and its strings."""

    imports: tuple[ast.Import | ast.ImportFrom, ...]
    attributes: Mapping[str, set[str]]
    strings: frozenset[str]


@cache
def _source(module: str) -> _Source:
    imports, attributes, strings = [], defaultdict[str, set[str]](set), set[str]()
    for node in _running(ast.parse(_content(_path(module)))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            attributes[node.value.id].add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
    return _Source(imports=tuple(imports), attributes=attributes, strings=frozenset(strings))


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those below ``if TYPE_CHECKING``."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        todo.extend(ast.iter_child_nodes(node))


@cache
def _imports(module: str) -> tuple[frozenset[str], frozenset[str]]:
    """Modules of mriseg and other libraries that one module imports."""
    modules, others, source = set[str](), set[str](), _source(module)
    for node in source.imports:
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
            modules |= {name for name in names if name.startswith(f"{ROOT}.")}
            others |= names
        elif (node.module or "").partition(".")[0] != ROOT:
            others.add(node.module or "")
        else:
            for alias in node.names:
                used = source.attributes.get(alias.asname or alias.name, set())
                modules |= _defining(str(node.module), alias.name, used)
    tops = {name.partition(".")[0] for name in others}
    return frozenset(modules), frozenset(tops - sys.stdlib_module_names - {ROOT})


def _defining(source: str, name: str, used: Iterable[str] = ()) -> set[str]:
    """Modules that define ``name`` of the module or package ``source``; of a package itself, what is ``used`` of it."""
    inner = f"{source}.{name}"
    if _path(inner).exists():
        if _path(inner).name != "__init__.py":
            return {inner}
        return {found for attribute in used for found in _defining(inner, attribute)}
    if _path(source).name != "__init__.py":
        return {source}
    for node in _source(source).imports:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(ROOT):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _defining(str(node.module), alias.name)
    return set() if name.startswith("__") else {source}


def _files(module: str) -> Iterator[Path]:
    """Source of a module, the data beside it in its package, and the assets whose file it names."""
    source = _path(module)
    yield source
    if source.parent != PACKAGE:
        yield from _data(source.parent)
    for named in _source(module).strings & _assets().keys():
        yield from (path for name, path in _assets().items() if name.startswith(Path(named).stem))


@cache
def _assets() -> dict[str, Path]:
    """Assets by name, without the cards that people read."""
    return {path.name: path for path in (PACKAGE / "assets").iterdir() if path.is_file() and path.suffix != ".md"}


@cache
def _data(package: Path) -> tuple[Path, ...]:
    """Files that are no Python below a package, as templates are."""
    found = (p for p in package.rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc", ".pyi"})
    return tuple(p for p in found if not p.name.startswith("."))


@cache
def _path(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"
