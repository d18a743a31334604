"""Turn a job into a job of GitLab CI, which a pipeline schedule runs and which keeps the report as an artefact."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.home.schedules.job import EVERY_MINUTES, Job, secrets_told


def files(job: Job) -> Mapping[str, str]:
    """Return the job as a file to include. A resource group is its lock; secrets are masked variables of the project."""
    return {
        f"{job.name}.gitlab-ci.yml": (
            f"# To use it: add `include: {{ local: {job.name}.gitlab-ci.yml }}` to .gitlab-ci.yml, and a pipeline schedule\n"
            f"# (Build > Pipeline schedules) with the interval */{EVERY_MINUTES} * * * *. Masked CI/CD variables of the project:\n"
            f"{secrets_told(job)}"
            f"{job.name}:\n"
            "  image: python:3.12-slim\n"
            "  rules:\n"
            '    - if: $CI_PIPELINE_SOURCE == "schedule"\n'
            f"  resource_group: {job.name}\n"
            "  timeout: 10 minutes\n"
            "  interruptible: false\n"
            "  variables:\n"
            '    GIT_DEPTH: "1"\n'
            "  before_script:\n"
            f"    - python -m pip install --quiet '{job.install}'\n"
            "  script:\n"
            f"    - resilience {' '.join(job.words)}\n"
            "  artifacts:\n"
            "    when: always\n"
            "    expire_in: 2 weeks\n"
            "    paths:\n"
            f"      - '{job.outputs}/'\n"
        )
    }
