"""The DAG that `airflow_run.py` starts: a file for Airflow's folder of DAGs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow.sdk import dag, get_current_context, task


@dag(dag_id="retrain_delay", schedule=None, catchup=False, max_active_runs=1)
def retrain_delay() -> None:
    """Train the model again."""

    @task
    def train() -> None:
        """Train on the period of the request, and register the model. Here it only writes the request to a file."""
        request = get_current_context()["dag_run"].conf
        file = Path(os.environ["RETRAINING_RUNS"]) / f"{request['id']}.json"
        file.write_text(json.dumps(request), encoding="utf-8")

    train()


retrain_delay()
