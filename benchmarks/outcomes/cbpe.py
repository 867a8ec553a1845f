"""Prints the estimates of nannyml's CBPE for ``estimate.py``, which runs it with an interpreter that has nannyml."""

from __future__ import annotations

import json
import sys
from typing import Any

import nannyml
import numpy as np
import pandas as pd


def frame(scores: Any) -> pd.DataFrame:
    """Return the probabilities and the predicted labels as columns."""
    if scores.ndim == 1:
        return pd.DataFrame({"p": scores, "predicted": (scores >= 0.5).astype(int)})
    columns = {f"p{number}": column for number, column in enumerate(scores.T)}
    return pd.DataFrame({**columns, "predicted": [f"class {number}" for number in scores.argmax(axis=1)]})


def main() -> None:
    """Read a case and print its estimates as JSON."""
    case = np.load(sys.argv[1])
    scores, truth = case["scores"], case["truth"]
    binary = scores.ndim == 1
    reference = frame(scores)
    reference["true"] = truth.astype(int) if binary else [f"class {number}" for number in truth]
    estimator = nannyml.CBPE(
        problem_type="classification_binary" if binary else "classification_multiclass",
        y_pred_proba="p" if binary else {f"class {number}": f"p{number}" for number in range(scores.shape[1])},
        y_pred="predicted",
        y_true="true",
        metrics=["accuracy"],
        chunk_number=10,
    ).fit(reference)
    estimates = []
    for index in range(len(case.files) - 2):
        estimator.chunker = nannyml.chunk.CountBasedChunker(1)
        table = estimator.estimate(frame(case[f"window{index}"])).filter(period="analysis").to_df()
        estimates.append(float(table[("accuracy", "value")].iloc[-1]))
    print(json.dumps(estimates))


if __name__ == "__main__":
    main()
