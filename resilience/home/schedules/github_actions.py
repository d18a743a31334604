"""Turn a job into a workflow of GitHub Actions, which uploads the report as an artefact."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.home.schedules.job import EVERY_MINUTES, Job

_CHECKOUT = "11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
_UPLOAD = "ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2"
"""Actions by their commits, since a tag can be moved under who uses it."""


def files(job: Job) -> Mapping[str, str]:
    """Return the workflow. It may read the repository and nothing else, and leaves no token behind for the job's steps."""
    env = "".join(f"          {name}: ${{{{ secrets.{name} }}}}\n" for name in job.secrets)
    return {
        f".github/workflows/{job.name}.yml": (
            "name: Look at staging\n"
            "on:\n"
            "  schedule:\n"
            f'    - cron: "*/{EVERY_MINUTES} * * * *"\n'
            "  workflow_dispatch:\n"
            "concurrency:\n"
            f"  group: {job.name}\n"
            "  cancel-in-progress: false\n"
            "permissions: {}\n"
            "jobs:\n"
            "  look:\n"
            "    name: Look at staging and write a report\n"
            "    runs-on: ubuntu-latest\n"
            "    timeout-minutes: 10\n"
            "    permissions:\n"
            "      contents: read  # to check out the configuration\n"
            "    steps:\n"
            f"      - uses: actions/checkout@{_CHECKOUT}\n"
            "        with:\n"
            "          persist-credentials: false\n"
            f"      - run: pipx install '{job.install}'\n"
            f"      - run: resilience {' '.join(job.words)}\n"
            + (f"        env:\n{env}" if env else "")
            + f"      - uses: actions/upload-artifact@{_UPLOAD}\n"
            "        id: report\n"
            "        if: always()\n"
            "        with:\n"
            "          name: resilience-report\n"
            f"          path: {_quoted(job.outputs)}\n"
            "          include-hidden-files: true\n"
            "          if-no-files-found: warn\n"
            "          retention-days: 14\n"
            "      - if: always()\n"
            "        env:\n"
            "          REPORT: ${{ steps.report.outputs.artifact-url }}\n"
            '        run: echo "[Report]($REPORT)" >> "$GITHUB_STEP_SUMMARY"\n'
        )
    }


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
