"""References in ONNX models and in sessions of onnxruntime."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from libraries import require
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import driftline as dl
from driftline.carrying import feature_names
from driftline.carrying._text import KEY, encode

onnx, onnxruntime, skl2onnx = map(require, ("onnx", "onnxruntime", "skl2onnx"))

NAMES = ["age", "amount", "height"]


@pytest.fixture(scope="module")
def data():
    """A frame of three features, and labels."""
    frame = pd.DataFrame(np.random.default_rng(3).normal(size=(300, 3)), columns=NAMES).astype("float32")
    return frame, (frame["age"] > 0).astype(int)


@pytest.fixture(scope="module")
def reference(data):
    """The reference of the frame."""
    return dl.Reference.fit(data[0], predictions=data[1])


@pytest.fixture
def matrix_model(data):
    """A model with one input of three columns."""
    return skl2onnx.to_onnx(LogisticRegression().fit(data[0].to_numpy(), data[1]), data[0].to_numpy()[:1])


@pytest.fixture
def column_model(data):
    """A model with an input for each column."""
    columns = ColumnTransformer([("scale", StandardScaler(), NAMES)])
    return skl2onnx.to_onnx(make_pipeline(columns, LogisticRegression()).fit(*data), data[0][:1])


def session(model):
    """A session of onnxruntime."""
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("kind", ["matrix_model", "column_model"])
def test_models_files_and_sessions(data, reference, request, tmp_path, kind):
    """The metadata reach each, and the outputs stay."""
    model = request.getfixturevalue(kind)
    assert dl.carried(model) is None
    assert dl.carried(session(model)) is None
    assert dl.carry(dl.carry(model, dl.Reference.fit(data[0][:100])), reference) is model
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "model.onnx")
    for carrying in (model, session(model), tmp_path / "model.onnx", onnx.load(tmp_path / "model.onnx")):
        assert dl.carried(carrying).to_json() == reference.to_json()
    expected = tuple(NAMES) if kind == "column_model" else None
    assert feature_names(model) == feature_names(session(model)) == expected
    assert [entry.key for entry in model.metadata_props].count(KEY) == 1


def test_external_data_and_text_forms(reference, matrix_model, tmp_path):
    """Weights in a separate file; a model as JSON."""
    dl.carry(matrix_model, reference)
    onnx.save(matrix_model, tmp_path / "model.onnx", save_as_external_data=True, size_threshold=0)
    assert dl.carried(tmp_path / "model.onnx").to_json() == reference.to_json()
    onnx.save(matrix_model, tmp_path / "model.json", format="json")
    assert dl.carried(tmp_path / "model.json").to_json() == reference.to_json()


def test_a_second_conversion_keeps_the_metadata(reference, matrix_model):
    """A change of the operators' version is a new model with the same metadata; optimised models too."""
    dl.carry(matrix_model, reference)
    converted = onnx.ModelProto()
    converted.CopyFrom(matrix_model)
    assert dl.carried(onnx.shape_inference.infer_shapes(converted)).rows == reference.rows


def test_a_model_that_onnxruntime_optimises(reference, matrix_model, tmp_path):
    """It keeps the metadata."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(dl.carry(matrix_model, reference).SerializeToString(), options)
    assert dl.carried(tmp_path / "optimised.onnx").to_json() == reference.to_json()


def test_features_that_do_not_fit(data, reference, matrix_model, column_model):
    """Names are compared where there is an input for each; else the number of columns."""
    with pytest.raises(
        dl.ConfigurationError, match=r"\['years', 'amount', 'height'\] .* \['age', 'amount', 'height'\]"
    ):
        dl.carry(column_model, dl.Reference.fit(data[0].rename(columns={"age": "years"})))
    with pytest.raises(dl.ConfigurationError, match="do not fit 3 columns without names"):
        dl.carry(matrix_model, dl.Reference.fit(data[0][["age"]]))
    dl.carry(column_model, dl.Reference.fit(data[0][NAMES[::-1]]))
    column_model.metadata_props[0].value = encode(dl.Reference.fit({"other": range(300)}))
    for model in (column_model, session(column_model)):
        with pytest.raises(dl.ConfigurationError, match=r"the model lacks \['other'\]"):
            dl.carried(model)


def test_a_session_is_only_read(reference, matrix_model):
    """It cannot be saved."""
    with pytest.raises(dl.ConfigurationError, match=r"expected the onnx\.ModelProto"):
        dl.carry(session(matrix_model), reference)


def image_model(*shape):
    """A model with one input of a shape."""
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("in", "out")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["in"], ["out"])], "g", value[:1], value[1:])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("shape", [("rows", 3, 8, 8), ("rows", "columns"), (), None])
def test_inputs_that_do_not_say_what_they_are(reference, shape):
    """Pictures and open shapes fit every reference."""
    model = image_model(*shape) if shape is not None else onnx.ModelProto()
    assert dl.carried(dl.carry(model, reference)).rows == 300
    assert feature_names(model) is None


@pytest.mark.parametrize("text", ["", "hello", "driftline.reference.1.AAAA.", "driftline.reference.1.AAAA", "{}"])
def test_hostile_metadata(matrix_model, tmp_path, text):
    """They are errors that name the model; an empty text is none."""
    entry = matrix_model.metadata_props.add()
    entry.key, entry.value = KEY, text
    for model in (matrix_model, session(matrix_model)):
        with pytest.raises(dl.ReferenceError, match=f"the reference of the {type(model).__name__}"):
            dl.carried(model)


def test_plain_json_is_accepted(reference, matrix_model):
    """Other programs can write it without driftline."""
    entry = matrix_model.metadata_props.add()
    entry.key, entry.value = KEY, reference.to_json()
    assert dl.carried(session(matrix_model)).to_json() == reference.to_json()
