"""Prints the estimates of nannyml's CBPE for ``estimate.py``, which runs it with an interpreter that has nannyml."""

from __future__ import annotations

import json
import sys

import nannyml
import numpy as np
import pandas as pd


def main() -> None:
    """Read a case and print its estimates as JSON."""
    case = np.load(sys.argv[1])
    scores, truth = case["scores"], case["truth"]
    reference = pd.DataFrame({"p": scores, "predicted": (scores >= 0.5).astype(int), "true": truth.astype(int)})
    estimator = nannyml.CBPE(
        problem_type="classification_binary",
        y_pred_proba="p",
        y_pred="predicted",
        y_true="true",
        metrics=["accuracy"],
        chunk_number=10,
    ).fit(reference)
    estimates = []
    for index in range(len(case.files) - 2):
        window = case[f"window{index}"]
        estimator.chunker = nannyml.chunk.CountBasedChunker(1)
        rows = pd.DataFrame({"p": window, "predicted": (window >= 0.5).astype(int)})
        table = estimator.estimate(rows).filter(period="analysis").to_df()
        estimates.append(float(table[("accuracy", "value")].iloc[-1]))
    print(json.dumps(estimates))


if __name__ == "__main__":
    main()
