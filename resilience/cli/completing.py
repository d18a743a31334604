"""Turn the words typed so far into the words that may follow, for the completion of bash, zsh and fish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from resilience.cli.group import VERBS, Verbs

SCRIPTS: Mapping[str, str] = {
    "bash": """\
_resilience() {
  local IFS=$'\\n'
  COMPREPLY=($(resilience completion bash --words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _resilience resilience
""",
    "zsh": """\
#compdef resilience
_resilience() {
  local -a found
  found=("${(@f)$(resilience completion zsh --words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then _describe -V resilience found; else _files; fi
}
if [[ "$funcstack[1]" == _resilience ]]; then _resilience "$@"; else compdef _resilience resilience; fi
""",
    "fish": """\
function __resilience
  set -l words (commandline -opc) (commandline -ct)
  set -l found (resilience completion fish --words -- $words[2..] 2>/dev/null)
  if set -q found[1]
    printf '%s\\n' $found
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c resilience -f -a '(__resilience)'
""",
}
"""What a shell evaluates. It asks us at each Tab; where we know nothing, as behind `--`, it completes files."""


def candidates(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return what may stand in place of the last word, each with what it means; nothing where that is a file or free text.

    Only the verb that is named is imported. Options are proposed where a dash was typed, and one that was given is not
    proposed again; a value of an option or an argument is proposed where its declaration names what it can be.
    """
    *before, typed = words or [""]
    command: Any = Verbs()
    context = typer.Context(command, info_name="resilience", resilient_parsing=True)
    waits: Any = None
    arguments: list[Any] = []
    for word in before:
        if waits is not None:
            waits = None
        elif word == "--":
            return []
        elif word.startswith("-"):
            waits = _waits_for_a_value(command, word)
        elif hasattr(command, "list_commands"):
            command = command.get_command(context, word) if word in command.list_commands(context) else None
            if command is None:
                return []
            context = typer.Context(command, info_name=word, parent=context, resilient_parsing=True)
            arguments = [each for each in command.params if each.param_type_name == "argument"]
        elif arguments and arguments[0].nargs == 1:
            arguments = arguments[1:]
    if waits is not None:
        return _values(waits, context, typed)
    if typed.startswith("-"):
        return _options(command, context, before, typed)
    if hasattr(command, "list_commands"):
        rows = VERBS if isinstance(command, Verbs) else {n: c.get_short_help_str() for n, c in command.commands.items()}
        return [(name, text) for name, text in rows.items() if name.startswith(typed)]
    return _values(arguments[0], context, typed) if arguments else []


def _waits_for_a_value(command: Any, word: str) -> Any:
    """Return the option that takes its value from the next word."""
    options = (each for each in command.params if each.param_type_name == "option" and not each.is_flag)
    return next((each for each in options if word in each.opts), None)


def _options(command: Any, context: Any, before: Sequence[str], typed: str) -> list[tuple[str, str]]:
    """Return the long names of the options that begin so and were not given yet, but those that may be given again."""
    return [
        (name, (each.help or "").partition(".")[0])
        for each in command.get_params(context)
        if each.param_type_name == "option" and (each.multiple or not set(before).intersection(each.opts))
        for name in (*each.opts, *each.secondary_opts)
        if name.startswith("--") and name.startswith(typed)
    ]


def _values(parameter: Any, context: Any, typed: str) -> list[tuple[str, str]]:
    return [(item.value, item.help or "") for item in parameter.shell_complete(context, typed) if item.type == "plain"]


def lines(found: Sequence[tuple[str, str]], shell: str) -> str:
    """Return what the shell reads: bash words alone, fish a tab before the meaning, zsh a colon, which names escape."""
    if shell == "bash":
        return "".join(f"{name}\n" for name, _ in found)
    if shell == "fish":
        return "".join(f"{name}\t{text}\n" for name, text in found)
    return "".join(f"{name.replace(':', chr(92) + ':')}:{text}\n" for name, text in found)
