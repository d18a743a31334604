"""Bring an issue to hold each comment that is wanted exactly once, whatever was written before, by whom, and what was lost."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from resilience.publish.github import Comment, GitHub, Issue
from resilience.publish.markers import Kind, Mark, mark_in
from resilience.publish.outbox import RefusedError


@dataclass(slots=True, kw_only=True)
class Who:
    """Whose comments with our mark are believed: `ours`, by what GitHub returned when we wrote, and the configured `authors`.

    GitHub takes logins without regard to case.
    """

    ours: set[str] = field(default_factory=set)
    authors: Collection[str] = ()

    def trusts(self, login: str) -> bool:
        return login.lower() in {one.lower() for one in (*self.ours, *self.authors)}

    def is_ours(self, login: str) -> bool:
        return login.lower() in {one.lower() for one in self.ours}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What is on the issue now: the comment, its mark under the name the outage has there, and whether it was made just now."""

    comment: Comment
    mark: Mark
    created: bool
    warnings: tuple[str, ...] = ()


async def ensure(
    github: GitHub, issue: int, mark: Mark, write: Callable[[Mark], str], who: Who, *, edits: bool
) -> Done:
    """Make sure that exactly one comment of this mark is there, with this body where `edits`; return it.

    `write` makes the body for the mark that counts. It lists first, so that a write whose answer was lost is not done
    twice: whoever tries again calls this again. After creating it lists again: of several the lowest id stays, and only
    our own others are deleted, so that hosts that all publish at once come to one comment within one more round.
    """
    found = _matching(await github.comments(issue), mark, who)
    created = not found
    if created:
        made = await github.create_comment(issue, write(mark))
        who.ours.add(made.login)
        found = _matching(await github.comments(issue), mark, who) or [made]
    kept = found[0]
    told = mark_in(kept.body) or mark
    joined = mark.joined(told)
    warnings = []
    if edits and kept.body != write(joined):
        try:
            kept = await github.edit_comment(kept.id, write(joined))
        except RefusedError as exc:
            # One that others wrote may be out of our reach; a second one beside it would help nobody.
            if who.is_ours(kept.login):
                raise
            warnings.append(f"the comment of {kept.login} could not be edited: {exc}")
    for other in found[1:]:
        if who.is_ours(other.login):
            await github.delete_comment(other.id)
    return Done(comment=kept, mark=joined, created=created and kept.id == found[0].id, warnings=tuple(warnings))


def _matching(comments: Collection[Comment], mark: Mark, who: Who) -> list[Comment]:
    """Return the comments of this mark by authors that are trusted, lowest id first.

    For a sticky comment the same outage may have another name there; news is known by the name that it agreed on. One
    that carries the very name goes before one that may be the same.
    """
    now = datetime.now(UTC)
    exact, same = [], []
    for comment in comments:
        told = mark_in(comment.body)
        if told is None or told.kind is not mark.kind or not who.trusts(comment.login):
            continue
        if told.environment == mark.environment and told.incident == mark.incident:
            exact.append(comment)
        if mark.kind is Kind.STICKY and mark.is_same_outage(told, edited_at=comment.updated_at, now=now):
            same.append(comment)
    return sorted(same or exact, key=lambda comment: comment.id)


async def find_or_create_issue(
    github: GitHub, mark: Mark, *, title: str, body: str, label: str, who: Who
) -> tuple[Issue, tuple[str, ...]]:
    """Return the open issue with our mark by a trusted author, made where there is none, and warnings.

    It is looked for by label, and by those who made ours, as a label may have been dropped. Of several the lowest number
    stays, and our own others are closed: an issue cannot be deleted.
    """
    found = await _our_issues(github, mark, label, who)
    warnings = []
    if not found:
        labels = [label] if label else []
        made = await github.create_issue(title, f"{body}\n\n{replace(mark, kind=Kind.ISSUE).text()}", labels)
        who.ours.add(made.login)
        found = await _our_issues(github, mark, label, who) or [made]
        if label and label not in found[0].labels:
            warnings.append(f"the label {label} was dropped: the token has no right to set labels")
    for other in found[1:]:
        if who.is_ours(other.login):
            await github.close_issue(other.number)
    return found[0], tuple(warnings)


async def _our_issues(github: GitHub, mark: Mark, label: str, who: Who) -> list[Issue]:
    lists = [await github.open_issues(labels=label)] if label else []
    lists += [await github.open_issues(creator=login) for login in sorted({*who.ours, *who.authors})]
    found = {}
    for issue in (issue for part in lists for issue in part):
        told = mark_in(issue.body)
        if (
            told is not None
            and told.kind is Kind.ISSUE
            and told.environment == mark.environment
            and who.trusts(issue.login)
        ):
            found[issue.number] = issue
    return [found[number] for number in sorted(found)]


async def ensure_label(github: GitHub, issue: Issue, label: str) -> tuple[str, ...]:
    """Put the label on the issue where it lacks it; return a warning where it was dropped or refused."""
    if not label or label in issue.labels:
        return ()
    try:
        labels = await github.add_labels(issue.number, [label])
    except RefusedError as exc:
        return (f"the label {label} could not be set: {exc}",)
    return () if label in labels else (f"the label {label} was dropped: the token has no right to set labels",)
