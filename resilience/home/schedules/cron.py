"""Turn a job into lines for crontab, which has a bare PATH, no lock and no limit of its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from resilience.home.schedules.job import EVERY_MINUTES, LIMIT_S, TEACH_LIMIT_S, Job, secrets_told


def files(job: Job) -> Mapping[str, str]:
    """Return one crontab: the look, and each hour what is due of teaching, where a service teaches.

    In its commands a % is a line break to cron, so that each is written \\%.
    """
    load = ""
    if not job.reads_file_itself:
        file = shlex.quote(f"./{job.secrets_file}")
        load = f"{{ [ ! -r {file} ] || {{ set -a; . {file}; set +a; }}; }} && "

    def line(when: str, words: tuple[str, ...], lock: str, limit_s: int) -> str:
        run = shlex.join((str(job.executable), *words))
        alone = (
            f"mkdir -p .resilience/state && exec flock -n .resilience/state/{lock} timeout --kill-after=10 {limit_s}"
        )
        command = f"cd {shlex.quote(str(job.root))} && {load}{alone} {run} >> .resilience/cron.log 2>&1"
        return f"{when} {command.replace('%', chr(92) + '%')}\n"

    teach = line("17 * * * *", job.teaching, "teach.lock", TEACH_LIMIT_S) if job.teaches else ""
    return {
        "crontab": (
            f"# A look at staging every {EVERY_MINUTES} minutes; reports go to {job.outputs}/. To use it:\n"
            "#   crontab -l | cat - FILE | crontab -\n"
            f"# Staging's addresses come from {job.secrets_file} (chmod 600), as NAME=value lines with these names:\n"
            f"{secrets_told(job)}"
            "PATH=/usr/local/bin:/usr/bin:/bin\n"
            f"{line(f'*/{EVERY_MINUTES} * * * *', job.words, 'cron.lock', LIMIT_S)}{teach}"
        )
    }
