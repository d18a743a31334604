"""Turn a job into a DAG of Airflow that runs plain papermill on a copied notebook."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from resilience.home.schedules.job import EVERY_MINUTES, LIMIT_S, Job

NOTEBOOK = "01_assess.ipynb"
"""The notebook that the DAG runs, copied beside it: it looks, and changes nothing."""


def files(job: Job) -> Mapping[str, str]:
    """Return the DAG. It needs papermill and this package where the worker runs, and no operator of its own.

    The notebook is found beside the DAG, so that the two are deployed together; the empty value stands for its copy.
    """
    load = ""
    if not job.reads_file_itself:
        file = shlex.quote(f"./{job.secrets_file}")
        load = f"{{ [ ! -r {file} ] || {{ set -a; . {file}; set +a; }}; }} && "
    papermill = shlex.quote(str(job.executable.with_name("papermill")))
    command = (
        f'cd {shlex.quote(str(job.root))} && {load}mkdir -p .resilience/notebooks && exec {papermill} "$NOTEBOOK" '
        f".resilience/notebooks/{NOTEBOOK} -p environment staging"
    )
    return {
        f"{job.name.replace('-', '_')}.py": (
            f'"""Look at staging every {EVERY_MINUTES} minutes. Put this file and {NOTEBOOK} into the DAGs folder."""\n'
            "\n"
            "from datetime import datetime, timedelta, timezone\n"
            "from pathlib import Path\n"
            "\n"
            "from airflow import DAG\n"
            "from airflow.operators.bash import BashOperator\n"
            "\n"
            f"# Secrets of the worker's environment, or of {job.secrets_file}: {', '.join(job.secrets) or 'none'}\n"
            "with DAG(\n"
            f"    dag_id={json.dumps(job.name)},\n"
            f"    schedule=timedelta(minutes={EVERY_MINUTES}),\n"
            "    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),\n"
            "    catchup=False,\n"
            "    max_active_runs=1,\n"
            ") as dag:\n"
            "    BashOperator(\n"
            '        task_id="look",\n'
            f"        bash_command={json.dumps(command)},\n"
            f'        env={{"NOTEBOOK": str(Path(__file__).with_name("{NOTEBOOK}"))}},\n'
            "        append_env=True,\n"
            f"        execution_timeout=timedelta(seconds={LIMIT_S}),\n"
            "    )\n"
        ),
        NOTEBOOK: "",
    }
