"""ONNX models: the text is an entry of the metadata, which every runtime reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from driftline.carrying._carrier import is_instance
from driftline.carrying._signature import UNKNOWN, Signature
from driftline.carrying._text import KEY
from driftline.errors import ConfigurationError

__all__ = ["OnnxModels", "OnnxSessions"]


class OnnxModels:
    """`onnx.ModelProto`."""

    def matches(self, model: Any) -> bool:
        """Return whether the model is one."""
        return is_instance(model, "onnx", "ModelProto")

    def read(self, model: Any) -> Any:
        """Return the entry of the metadata."""
        return next((entry.value for entry in model.metadata_props if entry.key == KEY), None)

    def write(self, model: Any, text: str) -> None:
        """Set the entry of the metadata."""
        for index in reversed(range(len(model.metadata_props))):
            if model.metadata_props[index].key == KEY:
                del model.metadata_props[index]
        entry = model.metadata_props.add()
        entry.key, entry.value = KEY, text

    def signature(self, model: Any) -> Signature:
        """Return the inputs that are no constants of the model."""
        constants = {constant.name for constant in model.graph.initializer}
        inputs = []
        for value in model.graph.input:
            if value.name not in constants:
                shape = value.type.tensor_type.shape.dim
                inputs.append((value.name, [dim.dim_value if dim.HasField("dim_value") else None for dim in shape]))
        return _of_inputs(inputs)


class OnnxSessions:
    """`onnxruntime.InferenceSession`, which is only read."""

    def matches(self, model: Any) -> bool:
        """Return whether the model is one."""
        return is_instance(model, "onnxruntime", "InferenceSession")

    def read(self, model: Any) -> Any:
        """Return the entry of the metadata."""
        return model.get_modelmeta().custom_metadata_map.get(KEY)

    def write(self, model: Any, text: str) -> None:
        """Raise, because a session cannot be saved."""
        del text
        msg = f"model: a {type(model).__name__} is only read: expected the onnx.ModelProto before it is saved"
        raise ConfigurationError(msg)

    def signature(self, model: Any) -> Signature:
        """Return the inputs of the session."""
        inputs = [
            (value.name, [dim if isinstance(dim, int) else None for dim in value.shape]) for value in model.get_inputs()
        ]
        return _of_inputs(inputs)


def _of_inputs(inputs: Sequence[tuple[str, Sequence[int | None]]]) -> Signature:
    """
    Return the signature of a model with inputs of these names and shapes.

    Several inputs with a number for each row are named features. A single input of two dimensions has columns without
    names. Other inputs, such as pictures, do not say what the features are.
    """
    if len(inputs) == 1 and len(inputs[0][1]) == 2:  # noqa: PLR2004 - rows and columns
        name, shape = inputs[0]
        return Signature((name,), 1) if shape[1] == 1 else Signature(None, shape[1])
    if inputs and all(len(shape) == 1 or list(shape[1:]) == [1] for _, shape in inputs):
        return Signature(tuple(name for name, _ in inputs), len(inputs))
    return UNKNOWN
