"""Find the settings that an undo needs, from the journal alone where the configuration is broken or gone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from resilience.core.errors import ResilienceError
from resilience.core.secret import Secret
from resilience.core.settings import Settings
from resilience.core.variables import APPLIED
from resilience.fallback import journal as journals
from resilience.services.registry import KINDS
from resilience.settings.build import build
from resilience.settings.environment import find_root, load_settings, shipped, with_data_that_can_be_written
from resilience.settings.secrets import secret_texts


def settings_for_restore(
    config: str = "", *, environment: str = "", cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Settings, str]:
    """Return the settings that an undo needs, and why the configuration could not be read ("" where it could).

    The journal knows what to put back. So where the configuration is broken or gone, the nearest state folder with a
    journal, from here up to the repository's root, is enough; the values that the journal and the environment hold are the
    secrets. A journal of another user is not followed, as it names files to write. Without a journal to follow,
    what is wrong with the configuration is raised as ever.
    """
    environ = os.environ if environ is None else environ
    cwd = Path(cwd or Path.cwd()).resolve()
    settings: Settings | None = None
    broken: ResilienceError | None = None
    try:
        settings = load_settings(config or None, kinds=KINDS, environment=environment, cwd=cwd, environ=environ)
    except ResilienceError as exc:
        broken = exc
    if settings is not None and (settings.source != shipped("config") / "runbook.toml" or _has_journal(settings.state)):
        return settings, ""
    asked = config or environ.get("RESILIENCE_CONFIG", "")
    bare = next((bare for bare in _bare_settings(asked, cwd, environ) if _has_journal(bare.state)), None)
    if bare is None or not _is_ours(bare.state / journals.FILE, cwd):
        if broken is not None:
            raise broken
        assert settings is not None
        return settings, ""
    journal = journals.load(bare.state)
    assert journal is not None
    texts = secret_texts([*journals.variables_noted(journal), *environ.items()])
    secrets = tuple(Secret(text) for text in sorted(texts, key=lambda text: (-len(text), text)) if text.strip())
    return replace(bare, secrets=secrets), str(broken) if broken else "there is none here any more"


def _bare_settings(asked: str, cwd: Path, environ: Mapping[str, str]) -> Iterator[Settings]:
    """Return settings that say where things are and no more, for each folder that may be the root."""
    where = {name: environ[name] for name in ("HOME", "XDG_STATE_HOME", "RESILIENCE_STATE") if name in environ}
    where[APPLIED] = environ.get(APPLIED, "")
    roots = []
    if asked:
        source = (cwd / Path(asked).expanduser()).resolve()
        roots.append(find_root(source if source.suffix == ".toml" else source / "resilience.toml"))
    for folder in (cwd, *cwd.parents):
        roots.append(folder)
        if (folder / ".git").exists():
            break
    for root in dict.fromkeys(roots):
        settings = build(
            "",
            source=None,
            root=root,
            environ=where,
            profile_texts={},
            kinds=KINDS,
            home=Path(where.get("HOME") or Path.home()),
        )
        yield with_data_that_can_be_written(settings)


def _has_journal(state: Path) -> bool:
    return (state / journals.FILE).is_file()


def _is_ours(path: Path, cwd: Path) -> bool:
    return not hasattr(os, "getuid") or path.stat().st_uid in (0, os.getuid(), cwd.stat().st_uid)
