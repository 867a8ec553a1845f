"""
The reference of the Python API: a page for each public module, and one for each class of `driftline`.

The names are those of `tests/api/public_api.py`, which also keeps the list of them; the texts are the docstrings.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import public_api
from sphinx.application import Sphinx

TOP = "driftline"
FOLDER = "api"
FEW = 4
"""Methods below which a class needs no list of them."""

NO_VALUE = "   :no-value:\n"


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the reStructuredText of every page, the index last."""
    homes: dict[int, str] = {}
    names: list[str] = []
    for name in public_api.public_modules():
        module = importlib.import_module(name)
        if not public_api.public_names(module):
            continue
        names.append(name)
        yield from module_pages(name, module, homes)
    yield "index", index_page(names)


def module_pages(name: str, module: ModuleType, homes: dict[int, str]) -> Iterator[tuple[str, str]]:
    """
    Yield the page of a module and, for the top one, those of its classes.

    Args:
        name: the module's name.
        module: the module.
        homes: by the identity of a class or function, the path where it is described. It grows.
    """
    described: list[str] = []
    separate: list[str] = []
    elsewhere: list[str] = []
    for attribute in public_api.public_names(module):
        path, value = f"{name}.{attribute}", getattr(module, attribute)
        shared = (public_api.is_class(value) or inspect.isfunction(value)) and path not in public_api.NAME_ONLY
        home = homes.setdefault(id(value), path) if shared else path
        if home != path:
            elsewhere.append(alias(path, home))
        elif name == TOP and public_api.is_class(value):
            separate.append(path)
            yield path, f"{title(attribute)}{contents(path, value)}{describe(path, value)}"
        elif inspect.ismodule(value):
            continue  # it has its page
        else:
            described.append(describe(path, value))
    tree = f".. toctree::\n   :maxdepth: 1\n\n{indented(separate)}\n\n" if separate else ""
    about = f".. automodule:: {name}\n   :no-members:\n\n"
    yield name, "".join([title(name), about, tree, *described, *elsewhere])


def describe(path: str, value: object) -> str:
    """Return the directive that describes a name by its docstring."""
    if public_api.is_class(value):
        prefix = f"{path}."
        listed = [] if path in public_api.NAME_ONLY else public_api.members(path, value)
        members = [name.removeprefix(prefix) for name in listed]
        plain = sorted(name for name in members if not name.startswith("__"))
        special = sorted(set(members) - set(plain))
        options = f"   :members: {', '.join(plain)}\n   :undoc-members:\n" if plain else ""
        options += f"   :special-members: {', '.join(special)}\n" if special else ""
        kind = "exception" if issubclass(value, BaseException) else "class"  # type: ignore[arg-type] # a class, as asked above
        return f".. auto{kind}:: {path}\n{options}\n"
    if inspect.isroutine(value):
        return f".. autofunction:: {path}\n\n"
    short = isinstance(value, (str, int, float, type(None)))
    return f".. autodata:: {path}\n{'' if short else NO_VALUE}\n"


def contents(path: str, value: type) -> str:
    """Return a line of links to the methods of a class, which the navigation does not list."""
    members = sorted(public_api.members(path, value))
    names = [name for name in members if inspect.isroutine(getattr(value, name.rsplit(".")[-1], None))]
    if len(names) < FEW:
        return ""
    return f"Methods: {', '.join(f':py:obj:`~{name}`' for name in names)}.\n\n"


def alias(path: str, home: str) -> str:
    """Return the directive for a name that is described at another path."""
    return f".. py:data:: {path.rsplit('.', maxsplit=1)[-1]}\n\n   The same as :py:obj:`{home}`.\n\n"


def index_page(names: list[str]) -> str:
    """Return the page that leads to those of the modules."""
    intro = (
        "The public names of every module, from their docstrings. Most programs need those of :doc:`driftline` alone.\n"
        "A name that is not here is no public name, and may change in any version.\n\n"
    )
    return f"{title('Python API')}{intro}.. toctree::\n   :maxdepth: 1\n\n{indented(names)}\n"


def title(text: str) -> str:
    """Return a heading."""
    return f"{text}\n{'=' * len(text)}\n\n"


def indented(lines: list[str]) -> str:
    """Return lines as the content of a directive."""
    return "\n".join(f"   {line}" for line in lines)


def readable(what: str, value: object, lines: list[str]) -> None:
    """
    Make a docstring what reStructuredText shows: change *lines* in place.

    A bar is the absolute value, and no substitution. A constant without a docstring does not get that of its type.
    """
    if (
        what == "data"
        and "\n".join(lines).strip() == (inspect.getdoc(typing.get_origin(value) or type(value)) or "").strip()
    ):
        lines.clear()
    for index, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
        lines[index] = "``".join(parts)


def _process(_app: Sphinx, what: str, _name: str, value: object, _options: object, lines: list[str]) -> None:
    readable(what, value, lines)


def write(folder: Path, texts: dict[str, str]) -> None:
    """Write the pages that changed, and remove those of an earlier build."""
    folder.mkdir(exist_ok=True)
    for stale in {path.stem: path for path in folder.glob("*.rst")}.items():
        if stale[0] not in texts:
            stale[1].unlink()
    for name, text in texts.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _generate(app: Sphinx) -> None:
    write(Path(app.srcdir) / FOLDER, dict(pages()))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("builder-inited", _generate)
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
