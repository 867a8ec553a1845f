"""References beside model files, and in those that are read without their libraries."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest

import driftline as dl
from driftline.carrying._files import CHUNK_BYTES, MAX_TEXTS
from driftline.carrying._text import encode


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("name", ["model.pkl", "model", "a b.tar.gz", "mödel.pt"])
def test_the_neighbour_file(reference, tmp_path, kind, name):
    """`carry` writes it, and `carried` reads it, also if the model's file is elsewhere."""
    path = kind(tmp_path / name)
    assert dl.carry(path, reference) == path
    assert (tmp_path / f"{name}.driftline.json").read_text(encoding="utf-8") == reference.to_json()
    assert dl.carried(path).to_json() == reference.to_json()


def test_a_folder_has_a_neighbour_too(reference, tmp_path):
    """As TensorFlow saves models."""
    (tmp_path / "saved_model").mkdir()
    assert dl.carried(tmp_path / "saved_model") is None
    dl.carry(tmp_path / "saved_model", reference)
    assert dl.carried(f"{tmp_path}/saved_model/").rows == reference.rows


def test_no_model_and_no_neighbour_is_an_error(tmp_path):
    """A wrong path is no model without a reference."""
    with pytest.raises(dl.ReferenceError, match=r"absent\.pkl: cannot be read, and there is no absent\.pkl\.driftline"):
        dl.carried(tmp_path / "absent.pkl")


class Trap:
    """An object whose pickle runs a function."""

    def __reduce__(self):
        return os._exit, (7,)


def test_a_pickle_is_never_loaded(reference, tmp_path):
    """Neither its code runs nor is a text in it read: only the neighbour file counts."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps([Trap(), encode(reference)]))
    assert dl.carried(path) is None
    dl.carry(path, reference)
    assert dl.carried(path).rows == reference.rows


HEADS = {"json": b'{"learner":{"attributes":{"driftline_reference":"', "onnx": b"\x08\x0ar\x93", "cbm": b"CBM1\x00"}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("before", [0, 7, CHUNK_BYTES - 60, CHUNK_BYTES - 40, CHUNK_BYTES, 3 * CHUNK_BYTES + 11])
def test_a_text_is_found_anywhere_in_a_file(reference, tmp_path, head, before):
    """Also where the search reads the file in two parts."""
    text = encode(reference).encode("ascii")
    for shift in range(-2, 3) if before else (0,):
        path = tmp_path / "model"
        path.write_bytes(HEADS[head] + b"\x00" * (before + shift) + text + b"\x00rest driftline.reference.json")
        assert dl.carried(path).to_json() == reference.to_json()


def test_the_model_has_precedence_over_its_neighbour(reference, tmp_path):
    """What is inside travels with the model."""
    path = tmp_path / "model.json"
    path.write_bytes(b"{" + encode(reference).encode("ascii"))
    dl.carry(path, dl.Reference.fit({"other": range(100)}))
    assert dl.carried(path).columns == reference.columns


def test_the_same_text_twice_is_one_reference_and_two_are_an_error(reference, tmp_path):
    """Which of two counts cannot be known."""
    path, text = tmp_path / "model.json", encode(reference)
    path.write_text("{" + text + " " + text, encoding="ascii")
    assert dl.carried(path).rows == reference.rows
    other = encode(dl.Reference.fit({"other": range(100)}))
    path.write_text("{" + text + other, encoding="ascii")
    with pytest.raises(dl.ReferenceError, match=rf"2 different references, at bytes 1, {1 + len(text)}; expected one"):
        dl.carried(path)
    path.write_text("{" + "driftline.reference.1." * (MAX_TEXTS + 1), encoding="ascii")
    with pytest.raises(dl.ReferenceError, match="more than 16 references"):
        dl.carried(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-1], "byte 1: damaged or truncated after character"),
        (lambda text: text[:60], "byte 1: damaged or truncated after character 60 of 60"),
        (lambda text: text.replace("1.", "2.", 1), "byte 1: version 2, expected 1: a newer driftline"),
        (lambda text: text[:50] + "AAAA" + text[54:], "byte 1: damaged"),
        (lambda text: text[:50] + "A" + text[50:], "byte 1: "),
        (lambda text: text[:50] + "%" + text[51:], "byte 1: damaged or truncated after character 50"),
        (lambda text: "driftline.reference.1..", "byte 1: truncated"),
    ],
)
def test_damaged_texts_are_errors_that_name_the_byte(reference, tmp_path, damage, message):
    """A reference that is not whole is not used."""
    path = tmp_path / "model.json"
    path.write_text("{" + damage(encode(reference)), encoding="ascii")
    with pytest.raises(dl.ReferenceError, match=message) as error:
        dl.carried(path)
    assert str(error.value).startswith(str(path))


def test_a_damaged_neighbour_is_an_error(tmp_path):
    """It names the file."""
    (tmp_path / "model.pkl.driftline.json").write_text("{", encoding="ascii")
    with pytest.raises(dl.ReferenceError, match=r"model\.pkl\.driftline\.json"):
        dl.carried(tmp_path / "model.pkl")


def test_devices_pipes_and_long_names(tmp_path, reference):
    """They end with an error or with None, and soon."""
    assert dl.carried(os.devnull) is None
    for path in ("x" * 5_000, "a\0b"):
        with pytest.raises(dl.ReferenceError, match="cannot be read"):
            dl.carried(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert dl.carried(tmp_path / "pipe") is None
        dl.carry(tmp_path / "pipe", reference)
        assert dl.carried(tmp_path / "pipe").rows == reference.rows


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (None, None),
        ("[]", None),
        ('{"content": {"content": {"_driftline_reference": 3}}}', None),
        ('{"content": {"content": {"_driftline_reference": {"content": "7"}}}}', "expected a string"),
        ('{"content": {"content": {"_driftline_reference": {"content": "\\"x\\""}}}}', "is no reference"),
        ('{"content": {"content": {"_driftline_reference": {"content": "x"}}}}', "not a skops file"),
        ('{"content": "_driftline_reference', "not a skops file"),
    ],
)
def test_foreign_zip_files(tmp_path, schema, message):
    """A zip file without the attribute has no reference; a damaged one is an error."""
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy" if schema is None else "schema.json", schema or "")
    if message is None:
        assert dl.carried(path) is None
    else:
        with pytest.raises(dl.ReferenceError, match=message):
            dl.carried(path)


def test_a_broken_zip_file(tmp_path):
    """It names the path."""
    (tmp_path / "model.skops").write_bytes(b"PK\x03\x04broken")
    with pytest.raises(dl.ReferenceError, match=r"model\.skops: not a skops file"):
        dl.carried(tmp_path / "model.skops")
