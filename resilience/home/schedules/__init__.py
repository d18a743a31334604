"""Turn a repository's job, the look at staging every five minutes, into the files of one scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from resilience.home.schedules import airflow, cron, github_actions, gitlab, job, kubernetes, systemd

SCHEDULERS: Mapping[str, Callable[[job.Job], Mapping[str, str]]] = {
    "cron": cron.files,
    "systemd": systemd.files,
    "github-actions": github_actions.files,
    "gitlab": gitlab.files,
    "kubernetes": kubernetes.files,
    "airflow": airflow.files,
}
"""Scheduler → what returns its files, name and text, for a job."""
