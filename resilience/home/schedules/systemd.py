"""Turn a job into a service and a timer of systemd, for the user's own manager or the machine's."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.home.schedules.job import EVERY_MINUTES, LIMIT_S, TEACH_LIMIT_S, Job, secrets_told


def files(job: Job) -> Mapping[str, str]:
    """Return two units for the look, and two for what is due of teaching, where a service teaches.

    A unit never runs twice at once, which is its lock.
    """
    found = {
        f"{job.name}.service": _service(job, job.name, "Look at staging and write a report", job.words, LIMIT_S),
        f"{job.name}.timer": _timer(f"Look at staging every {EVERY_MINUTES} minutes", f"*:0/{EVERY_MINUTES}", "1s"),
    }
    if job.teaches:
        name = f"{job.name}-teach"
        what = "Let staging teach its stand-ins, and rehearse on them, where it is due"
        found |= {
            f"{name}.service": _service(job, name, what, job.teaching, TEACH_LIMIT_S),
            f"{name}.timer": _timer("See each hour whether a lesson is due", "hourly", "1min"),
        }
    return found


def _service(job: Job, name: str, what: str, words: tuple[str, ...], limit_s: int) -> str:
    """Return a unit that runs once: what the look found is in its exit code, and no failure of the unit's."""
    root = _escaped(str(job.root))
    load = "" if job.reads_file_itself else f"EnvironmentFile=-{root}/{_escaped(job.secrets_file)}\n"
    command = " ".join((f'"{_escaped(str(job.executable))}"', *words))
    return (
        f"# To use it: cp FILES ~/.config/systemd/user/ && systemctl --user enable --now {name}.timer\n"
        f"# Staging's addresses come from {job.secrets_file} (chmod 600), as NAME=value lines with these names:\n"
        f"{secrets_told(job)}"
        "[Unit]\n"
        f"Description={what}\n"
        "After=network-online.target\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        f"WorkingDirectory={root}\n"
        f"{load}"
        f"ExecStart={command}\n"
        "SuccessExitStatus=10 20 21\n"
        f"TimeoutStartSec={limit_s}\n"
        "KillSignal=SIGTERM\n"
        "UMask=0077\n"
        "NoNewPrivileges=yes\n"
        "Nice=10\n"
    )


def _timer(what: str, when: str, accuracy: str) -> str:
    return (
        "[Unit]\n"
        f"Description={what}\n"
        "\n"
        "[Timer]\n"
        f"OnCalendar={when}\n"
        f"AccuracySec={accuracy}\n"
        "\n"
        "[Install]\n"
        "WantedBy=timers.target\n"
    )


def _escaped(text: str) -> str:
    """Escape what a unit file gives a meaning: % begins a specifier, \\ an escape."""
    return text.replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
