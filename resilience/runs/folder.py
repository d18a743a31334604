"""Keep a run in its folder: make it, find it, open it, and write every record through one redacting, atomic writer.

`write_incident` is the only writer of `incident.json` and `read_incident` its reader, in the process of the command line, in
the kernel of a notebook and in the runner that watches both: `resume`, and whoever comes after a `kill -9`, rely on the
order of these writes. A stage is on disk as started before it does anything, and its record before it is called finished.
The verdict is `running`, with the process that works on it as owner, until `end` writes it as the last file of all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from resilience.core import codec
from resilience.core.errors import ResilienceError, RunbookError, UsageError
from resilience.core.records import (
    CommandEnd,
    EventKind,
    Incident,
    Sample,
    Stage,
    StageName,
    StageStatus,
    TimelineEvent,
    Verdict,
)
from resilience.core.redact import Redactor
from resilience.core.settings import Settings
from resilience.core.verdict import with_end
from resilience.fallback import journal as journals
from resilience.host import signals
from resilience.host.files import write_atomically
from resilience.host.vantage import vantage
from resilience.runs import memory, owner
from resilience.runs.configuration import load_settings

INCIDENT = "incident.json"
SAMPLES = "samples.jsonl"
_RESERVE = ".reserve"
_RESERVE_BYTES = 256 * 1024
"""Room for the end of a run on a disk that fills up meanwhile: enough for a record that is cut short, and more."""


def holds_run(folder: Path) -> bool:
    """Say whether there is a run in this folder, readable or not."""
    return (folder / INCIDENT).exists()


def read_incident(folder: Path) -> Incident:
    """Return the record of the run in this folder. Raises RecordError, FileNotFoundError.

    A record that was cut cannot come from us, as it is written aside and renamed; see `runs.remains` for what is left
    then.
    """
    return _read(folder)[0]


def _read(folder: Path) -> tuple[Incident, bytes]:
    file = folder / INCIDENT
    data = file.read_bytes()
    return codec.from_json(data, Incident, source=file), data


def write_incident(folder: Path, incident: Incident, redact: Callable[[str], str], *, saved: bytes = b"") -> bytes:
    """Write the record redacted and atomically, unless it would be what is `saved` already; return what is on disk.

    Texts are redacted, keys of the record are not. Two processes do not meet: while a notebook's kernel runs a stage,
    the runner that watches it writes only before and after. Raises OSError.
    """
    document = codec.mapped(codec.to_builtins(incident), redact, keep=codec.FIELDS)
    data = codec.to_json(document)
    if data != saved:
        write_atomically(folder / INCIDENT, data, mode=0o644)
    return data


def change_incident(folder: Path, redact: Callable[[str], str], **changes: object) -> Incident:
    """Read the record, change these fields of it, and write it; for who watches a run from outside its process.

    Raises RecordError, OSError. Not for the process that has the run open: what that has in memory would be written
    over it.
    """
    incident: Incident = replace(read_incident(folder), **changes)  # type: ignore[arg-type]
    write_incident(folder, incident, redact)
    return incident


def record_stage(folder: Path, stage: Stage, redact: Callable[[str], str]) -> None:
    """Write what became of a stage into the record; see `with_stage`."""
    write_incident(folder, with_stage(read_incident(folder), stage), redact)


def with_stage(incident: Incident, stage: Stage) -> Incident:
    """Return the incident with this record of a stage in the place of the ones before.

    A record that began at or after this one is of the same attempt, seen from nearer: the runner begins a stage before
    its notebook does, and is there when the notebook's kernel dies. Its place, its note and who did it are kept. A record
    that began before is of an earlier attempt and goes; the new one stands last.
    """
    known = incident.stage(stage.name)
    if known is not None and known.started_at >= stage.started_at:
        merged = replace(stage, note=stage.note or known.note, by=stage.by or known.by)
        stages = tuple(merged if other is known else other for other in incident.stages)
        return replace(incident, stages=stages)
    others = (other for other in incident.stages if other.name is not stage.name)
    return replace(incident, stages=(*others, stage))


def read_samples(folder: Path, *, problems: list[str] | None = None) -> Iterator[Sample]:
    """Return the samples of the run in this folder as they were taken, passing over lines that cannot be read.

    Such as a last one that a kill cut off; `problems` is told how many. One after the other, as there may be a million.

    Of no file there are none. The lines are those that `RunFolder.add_samples` appends.
    """
    decoder = msgspec.json.Decoder(Sample)
    lost = 0
    with suppress(FileNotFoundError), (folder / SAMPLES).open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                yield decoder.decode(line)
            except msgspec.DecodeError:
                lost += 1
    if lost and problems is not None:
        problems.append(f"{SAMPLES}: {lost} of its lines could not be read and are left out")


class RunFolder:
    """One run: its folder, its record in memory and on disk, and the settings that it goes by.

    What is in memory is written by `save`; `refresh` reads what another process wrote since. Times of records are
    aware and UTC.
    """

    def __init__(self, settings: Settings, folder: Path, incident: Incident) -> None:
        self.settings = settings
        self.folder = folder
        self.incident = incident
        self.redactor = Redactor.of(settings.secrets, settings.services, hosts=(*settings.deny_hosts, vantage().host))
        self._saved: bytes = b""
        self._redacted: dict[str, str] = {}
        """The texts of the record as it was written last, and what they are on disk: most stay the same from write to write."""

    @classmethod
    def create(
        cls,
        settings: Settings,
        *,
        slug: str = "incident",
        apply: bool = False,
        parameters: Mapping[str, object] | None = None,
    ) -> Self:
        """Make a new folder `outputs/<date>/<time>Z-<slug>/`; two runs in one second get different ones.

        The parameters are kept as texts, redacted, with the configuration's path among them, by which `open` finds it.
        Raises RunbookError where the folder cannot be made.
        """
        now = datetime.now(UTC)
        folder = _new_folder(settings.outputs, now, slug)
        redactor = Redactor(settings.secrets)
        given = {name: redactor.text(str(value)) for name, value in (parameters or {}).items()}
        if settings.source is not None:
            given.setdefault("config", str(settings.source))
        incident = Incident(
            run=f"{folder.parent.name}/{folder.name}",
            slug=slug,
            environment=settings.environment,
            started_at=now,
            vantage=vantage(),
            issue=settings.issue,
            commit=memory.commit(settings.root),
            applies=apply,
            drill=settings.drill,
            parameters=given,
            versions=memory.versions(),
            owner=owner.this_process(),
        )
        run = cls(settings, folder, incident)
        run.save()
        _reserve(folder)
        _point_latest(settings.outputs, folder)
        return run

    @classmethod
    def open(cls, folder: Path | str, settings: Settings | None = None) -> Self:
        """Open a run's folder; its configuration is the one it was made with. Raises UsageError, RecordError.

        What it remembers (history, latest) goes beside the folder, wherever that was made.
        """
        path = Path(folder)
        if not holds_run(path):
            raise UsageError(f"{path} holds no run (no {INCIDENT}).", hint="resilience status")
        incident, data = _read(path)
        if settings is None:
            settings = load_settings(incident.parameters.get("config") or None, environment=incident.environment)
        # The run may have been made with --out: what it remembers stays beside it.
        settings = replace(settings, outputs=path.resolve().parent.parent)
        run = cls(settings, path.resolve(), incident)
        run._saved = data
        return run

    def refresh(self) -> Incident:
        """Read again what another process left."""
        self.incident, self._saved = _read(self.folder)
        return self.incident

    def save(self, **changes: object) -> Incident:
        """Put the incident, with these fields changed, on disk.

        Equal bytes are not written again, and a text that was in the record before is not redacted again: that took half a
        second for 4 MB of record, at each of some eight writes of a run. Raises OSError where the folder cannot be written.
        """
        if changes:
            self.incident = replace(self.incident, **changes)  # type: ignore[arg-type]
        before, self._redacted = self._redacted, {}

        def redact(text: str) -> str:
            found = before.get(text)
            self._redacted[text] = found = self.redactor.text(text) if found is None else found
            return found

        self._saved = write_incident(self.folder, self.incident, redact, saved=self._saved)
        return self.incident

    def end(
        self,
        *,
        verdict: Verdict,
        exit_code: int,
        at: datetime | None = None,
        notes: Sequence[str] = (),
        publish: Callable[[], Sequence[str]] | None = None,
        command: CommandEnd | None = None,
    ) -> Incident:
        """Write the end of the run, as the last of all its files; `notes` are what could not be written before.

        `at` is when it ended, as the report says it; else now. For `command` see `Incident`. `publish` gives the report's
        files their names, just before.

        It goes into the history too, and once more where that had no room before the reserve was given back: a row that says
        `running` for ever is another end than the record's.

        On a full disk the room that was kept for it is used, and where that does not suffice the single tests are left out of
        the record, which says so. Raises OSError where even that cannot be written; then the record stays `running`, and
        readers call it killed once this process is gone.
        """
        ended = with_end(self.incident, verdict, exit_code, at=at or datetime.now(UTC), command=command)
        remembered = memory.record(self.settings, ended, ())
        lost = (*notes, *(publish() if publish is not None else ()))
        self.incident = replace(ended, notes=tuple(dict.fromkeys((*ended.notes, *lost))))
        try:
            self.save()
        except OSError:
            (self.folder / _RESERVE).unlink(missing_ok=True)
            try:
                self.save()
            except OSError:
                self.save(**_cut_short(self.incident))
        (self.folder / _RESERVE).unlink(missing_ok=True)
        if not remembered:
            memory.record(self.settings, ended, ())
        return self.incident

    def begin_again(self, *, stages: tuple[Stage, ...]) -> None:
        """Go on with a run that had an end, or whose owner is gone; `stages` are the records that are kept."""
        self._own()
        self.save(stages=stages)

    def _work_on(self) -> None:
        """Make this process the owner, and the run `running` again, where it had an end or its owner is gone."""
        goes_on = self.incident.verdict is Verdict.RUNNING and self.incident.owner is not None
        if not goes_on or owner.is_killed(self.incident):
            self._own()

    def _own(self) -> None:
        mine = owner.this_process()
        self.incident = replace(
            self.incident, verdict=Verdict.RUNNING, exit_code=None, command=None, finished_at=None, owner=mine
        )
        _reserve(self.folder)

    def event(
        self,
        what: str,
        detail: str = "",
        *,
        kind: EventKind = EventKind.EVENT,
        at: datetime | None = None,
        link: str = "",
    ) -> None:
        """Add an event to the timeline (saved with the next save).

        Events are kept by time, so that what is learnt late, such as the first bad sample, stands where it belongs.
        """
        entry = TimelineEvent(
            at=at or datetime.now(UTC), what=what, detail=self.redactor.text(detail), kind=kind, link=link
        )
        timeline = sorted((*self.incident.timeline, entry), key=lambda event: event.at)
        self.incident = replace(self.incident, timeline=tuple(timeline))

    def note(self, text: str) -> None:
        """Add a sentence to the notes, and save."""
        self.save(notes=(*self.incident.notes, text))

    def add_samples(self, samples: Sequence[Sample]) -> None:
        """Append samples to the run's folder and the history; an unwritable history loses nothing of the run."""
        lines = b"".join(codec.to_json(sample, indent=0) + b"\n" for sample in samples)
        with (self.folder / SAMPLES).open("ab") as file:
            file.write(lines)
        memory.record(self.settings, self.incident, samples)

    def samples(self) -> tuple[Sample, ...]:
        """Return all samples of this run so far, oldest first; a cut last line is left out."""
        return tuple(read_samples(self.folder))

    @property
    def applied_id(self) -> str:
        """The name under which the journal and the env file know this run's fallback."""
        return self.incident.run.replace("/", "-")

    @property
    def applied_now(self) -> bool:
        """Say whether the fallback of this run is applied in this checkout at this moment."""
        journal = journals.load(self.settings.state)
        return (
            self.incident.applied is not None
            and journal is not None
            and journal.status == "applied"
            and journal.run == self.incident.applied.run
        )

    @contextmanager
    def stage(self, name: StageName, *, notebook: str = "") -> Iterator[None]:
        """Record that a stage started, and how it ended; errors are recorded and raised on.

        It is on disk as started before its work begins: a stage that is still "started" when its process is gone was
        killed. An interruption is recorded as that and not as a failure, also where what a signal raised was swallowed in
        the middle. Whatever is raised is raised on.
        """
        stage = Stage(name=name, status=StageStatus.STARTED, started_at=datetime.now(UTC), notebook=notebook, by=_who())
        self._work_on()
        self._put(stage)
        self._signal(f"{name.value}.started")
        try:
            signals.raise_what_was_lost()
            yield
            signals.raise_what_was_lost()
        except (KeyboardInterrupt, asyncio.CancelledError):
            self._end(stage, StageStatus.INTERRUPTED, error="interrupted")
            raise
        except Exception as exc:
            hint = exc.hint if isinstance(exc, ResilienceError) else ""
            message = exc.message if isinstance(exc, ResilienceError) else f"{type(exc).__name__}: {exc}"
            # A report that fails takes nothing from what is in it; who promised one records a code for it (`engine`).
            own = exc.exit_code if isinstance(exc, ResilienceError) and name is not StageName.REPORT else None
            failed = replace(stage, exit_code=own)
            self._end(failed, StageStatus.FAILED, error=self.redactor.text(message), hint=self.redactor.text(hint))
            raise
        else:
            self._end(stage, StageStatus.FINISHED)
        finally:
            self._signal(f"{name.value}.finished")

    def _end(self, stage: Stage, status: StageStatus, *, error: str = "", hint: str = "") -> None:
        self._put(replace(stage, status=status, finished_at=datetime.now(UTC), error=error, hint=hint))

    def _put(self, stage: Stage) -> None:
        self.incident = with_stage(self.incident, stage)
        self.save()

    def _signal(self, name: str) -> None:
        """In a drill, tell the lab which stage begins or ends, so that its timetable follows the runbook's."""
        if self.settings.drill:
            told = self.settings.state / "signals"
            told.mkdir(parents=True, exist_ok=True)
            (told / name).touch()

    def skip(self, name: StageName, why: str) -> None:
        """Record that a stage was left out, and why."""
        now = datetime.now(UTC)
        self._put(Stage(name=name, status=StageStatus.SKIPPED, started_at=now, finished_at=now, note=why))

    def done_by_hand(self, name: StageName, note: str) -> Stage:
        """Record that a person did this stage by hand, with the note that says how.

        The stage counts as finished for the verdict, and `resume` does not run it again.
        """
        now = datetime.now(UTC)
        stage = Stage(
            name=name,
            status=StageStatus.DONE_BY_HAND,
            started_at=now,
            finished_at=now,
            note=self.redactor.text(note),
            by=_who(),
        )
        self._put(stage)
        self.event(f"{name.value} done by hand", note, kind=EventKind.BY_HAND)
        self.save()
        return stage


def latest(settings: Settings) -> Path:
    """Return the folder of the newest run. Raises UsageError where there is none.

    `outputs/latest` is a symbolic link that each new run turns to itself.
    """
    pointer = settings.outputs / "latest"
    if pointer.exists():
        return pointer.resolve()
    raise UsageError(f"no run in {settings.outputs} yet.", hint="resilience run --no-apply")


def _reserve(folder: Path) -> None:
    """Keep room for the end of the run on the disk; without it the end is written where there is room."""
    with suppress(OSError), (folder / _RESERVE).open("xb") as file:
        file.write(os.urandom(_RESERVE_BYTES))  # zeros would take no room where the file system compresses


def _cut_short(incident: Incident) -> dict[str, object]:
    """Return the fields of a record that finds room where the whole does not: every count stays, the single tests go."""
    names = ("tests", "critical_tests", "full_tests")
    results = {name: result for name in names if (result := getattr(incident, name)) is not None}
    lost = "the disk was full: the single tests and the timeline are not in this record"
    return {
        **{name: replace(result, tests=()) for name, result in results.items()},
        "timeline": (),
        "plan": None,
        "notes": (*incident.notes, lost),
    }


def _who() -> str:
    here = vantage()
    return f"{here.user}@{here.host}"


def _new_folder(outputs: Path, now: datetime, slug: str) -> Path:
    """Make a folder of this second that nobody else has: mkdir decides between two runs. Raises RunbookError."""
    day = outputs / f"{now:%Y-%m-%d}"
    try:
        day.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = day / (f"{now:%H%M%S}Z-{slug}" + (f"-{number}" if number > 1 else ""))
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as exc:
        raise RunbookError(
            f"the folder {day} cannot be made: {exc.strerror}.", hint="set [runbook] outputs, or --out FOLDER"
        ) from exc
    raise RunbookError(f"{day} is full of runs of this second.")


def _point_latest(outputs: Path, folder: Path) -> None:
    """Turn the link to this folder by renaming a new one over it; where links cannot be made, there is none."""
    aside = outputs / f".latest-{os.getpid()}"
    with suppress(OSError):
        aside.unlink(missing_ok=True)
        aside.symlink_to(folder.relative_to(outputs))
        aside.replace(outputs / "latest")
