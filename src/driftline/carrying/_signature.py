"""The features that a model expects, and whether those of a reference fit them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from driftline.errors import ConfigurationError
from driftline.reference import Reference

__all__ = ["UNKNOWN", "Signature", "check_fit", "numbered"]

MAX_NAMES = 40
"""Most names of one list in a message."""


@dataclass(frozen=True, slots=True)
class Signature:
    """
    The features that a model expects.

    Attributes:
        names: their names in the order of the model; None if the model has none.
        number: the number of columns; None if it is unknown.
        underscores: whether the library has replaced spaces in names by underscores.
    """

    names: tuple[str, ...] | None = None
    number: int | None = None
    underscores: bool = False


UNKNOWN = Signature()
"""The signature of a model that does not say what it expects."""


def numbered(names: Sequence[str], prefix: str = "") -> bool:
    """Return whether names are only numbers in order, as libraries give them to columns without names."""
    return all(name == f"{prefix}{index}" for index, name in enumerate(names))


def check_fit(reference: Reference, signature: Signature, source: str, *, partial: bool) -> None:
    """
    Check that a reference describes the features that a model expects, in any order if both have names.

    Without names, only the numbers of columns are compared. Columns that only functions of ``derive=`` read need not be
    features of the model.

    Args:
        reference: the reference.
        signature: the features that the model expects.
        source: the model, for the message.
        partial: whether the model may have features that the reference lacks.

    Raises:
        ConfigurationError: it does not. The message has both lists.
    """
    columns = reference.columns
    inputs = set() if reference.derived is None else set(reference.derived.other_inputs)
    needed = [name for name in columns if name not in inputs]
    names = signature.names
    if names is not None and not numbered(needed):
        shared = _comparable(names, signature)
        absent = [name for name in needed if _spelled(name, signature) not in shared]
        others = shared - _comparable(columns, signature)
        if not absent and (partial or not others):
            return
        parts = [f"features {_listed(columns)} of the reference do not fit the features {_listed(names)} of {source}"]
        parts += [f"the model lacks {_listed(absent)}"] * bool(absent)
        extra = [name for name in names if _spelled(name, signature) in others]
        parts += [f"the reference lacks {_listed(extra)} (pass partial=True to watch only some)"] * bool(
            extra and not absent
        )
        raise ConfigurationError("; ".join(parts))
    number = signature.number if names is None else len(names)
    if number is not None and number not in {len(needed), len(columns)}:
        expected = f"{number} columns without names" if names is None else f"the features {_listed(names)}"
        msg = f"features {_listed(columns)} ({len(columns)}) of the reference do not fit {expected} of {source}"
        raise ConfigurationError(msg)


def _comparable(names: Iterable[str], signature: Signature) -> set[str]:
    return {_spelled(name, signature) for name in names}


def _spelled(name: str, signature: Signature) -> str:
    """Return a name as the model's library spells it."""
    return "_".join(name.split()) if signature.underscores else name


def _listed(names: Sequence[str]) -> str:
    if len(names) <= MAX_NAMES:
        return str(list(names))
    return f"{str(list(names[:MAX_NAMES]))[:-1]}, …] ({len(names)} names)"
