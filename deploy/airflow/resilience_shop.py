"""Look at staging every 5 minutes. Put this file and 01_assess.ipynb into the DAGs folder."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow import DAG
from airflow.operators.bash import BashOperator

# Secrets of the worker's environment, or of .resilience/staging.env: STAGING_POSTGRES_USER, STAGING_POSTGRES_PASSWORD, STAGING_POSTGRES_HOST, STAGING_POSTGRES_PORT, STAGING_POSTGRES_DB, STAGING_REDIS_URL, STAGING_CLICKHOUSE_URL, STAGING_BACKEND_URL, STAGING_AUTH_URL, STAGING_WEBSOCKET_URL, STAGING_LLM_URL
with DAG(
    dag_id="resilience-shop",
    schedule=timedelta(minutes=5),
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
) as dag:
    BashOperator(
        task_id="look",
        bash_command="cd /srv/shop && { [ ! -r ./.resilience/staging.env ] || { set -a; . ./.resilience/staging.env; set +a; }; } && mkdir -p .resilience/notebooks && exec /usr/local/bin/papermill \"$NOTEBOOK\" .resilience/notebooks/01_assess.ipynb -p environment staging",
        env={"NOTEBOOK": str(Path(__file__).with_name("01_assess.ipynb"))},
        append_env=True,
        execution_timeout=timedelta(seconds=280),
    )
