"""Turn a job into a service and a timer of systemd, for the user's own manager or the machine's."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.home.schedules.job import EVERY_MINUTES, LIMIT_S, Job, secrets_told


def files(job: Job) -> Mapping[str, str]:
    """Return the two units. A unit never runs twice at once, which is its lock."""
    root = _escaped(str(job.root))
    load = "" if job.reads_file_itself else f"EnvironmentFile=-{root}/{_escaped(job.secrets_file)}\n"
    command = " ".join((f'"{_escaped(str(job.executable))}"', *job.words))
    return {
        f"{job.name}.service": (
            f"# To use it: cp FILES ~/.config/systemd/user/ && systemctl --user enable --now {job.name}.timer\n"
            f"# Staging's addresses come from {job.secrets_file} (chmod 600), as NAME=value lines with these names:\n"
            f"{secrets_told(job)}"
            "[Unit]\n"
            "Description=Look at staging and write a report\n"
            "After=network-online.target\n"
            "\n"
            "[Service]\n"
            "Type=oneshot\n"
            f"WorkingDirectory={root}\n"
            f"{load}"
            f"ExecStart={command}\n"
            "SuccessExitStatus=10 20 21\n"
            f"TimeoutStartSec={LIMIT_S}\n"
            "KillSignal=SIGTERM\n"
            "UMask=0077\n"
            "NoNewPrivileges=yes\n"
            "Nice=10\n"
        ),
        f"{job.name}.timer": (
            "[Unit]\n"
            f"Description=Look at staging every {EVERY_MINUTES} minutes\n"
            "\n"
            "[Timer]\n"
            f"OnCalendar=*:0/{EVERY_MINUTES}\n"
            "AccuracySec=1s\n"
            "\n"
            "[Install]\n"
            "WantedBy=timers.target\n"
        ),
    }


def _escaped(text: str) -> str:
    """Escape what a unit file gives a meaning: % begins a specifier, \\ an escape."""
    return text.replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"')
