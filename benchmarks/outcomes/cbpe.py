"""What CBPE of nannyml estimates, for ``estimate.py``: run by an interpreter that has nannyml installed."""

from __future__ import annotations

import json
import sys

import nannyml
import numpy as np
import pandas as pd


def main() -> None:
    """Read a case, print the estimates as JSON."""
    case = np.load(sys.argv[1])
    scores, truth = case["scores"], case["truth"]
    reference = pd.DataFrame({"p": scores, "said": (scores >= 0.5).astype(int), "true": truth.astype(int)})
    estimator = nannyml.CBPE(
        problem_type="classification_binary",
        y_pred_proba="p",
        y_pred="said",
        y_true="true",
        metrics=["accuracy"],
        chunk_number=10,
    ).fit(reference)
    found = []
    for place in range(len(case.files) - 2):
        window = case[f"window{place}"]
        estimator.chunker = nannyml.chunk.CountBasedChunker(1)
        rows = pd.DataFrame({"p": window, "said": (window >= 0.5).astype(int)})
        table = estimator.estimate(rows).filter(period="analysis").to_df()
        found.append(float(table[("accuracy", "value")].iloc[-1]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
