"""Talk with `resilience judge --follow`, a line of JSON each way, without ever waiting longer than is said."""

import json
import os
import queue
import subprocess
import threading

from resilience_light import tool
from resilience_light.errors import ResilienceError, ToolMissingError

BEGIN_WITHIN_S = 60.0
"""A look costs at most the slowest probe, whose deadline the configuration sets; this is for one that never ends."""


class Judge:
    """The runbook's process beside one session of pytest. It ends when we do: its input ends then."""

    def __init__(self, folder, run, key, command, cwd):
        exe = tool.find()
        if exe is None:
            raise ToolMissingError()
        self._said = queue.Queue()
        self._log = os.path.join(folder, "judge.log")
        environ = tool.environment()
        with open(self._log, "wb") as log:
            try:
                # Ctrl-C is for the tests; the runbook ends by the end of its input.
                self._process = subprocess.Popen(
                    [exe, "judge", "--follow"],
                    cwd=cwd,
                    env=environ,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as exc:
                raise ResilienceError("%s could not be started: %s" % (exe, exc.strerror))
        threading.Thread(target=self._listen, daemon=True).start()
        self.say({"folder": folder, "run": run, "key": key, "command": command})

    def _listen(self):
        with self._process.stdout as stream:
            for line in stream:
                self._said.put(line)
        self._said.put(None)

    def say(self, message):
        """Send a message. Raises ResilienceError where the runbook is gone, with its own last line."""
        try:
            self._process.stdin.write(json.dumps(message).encode("utf-8") + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise ResilienceError(self._why())

    def hear(self, within_s=None):
        """Return the next message. Raises ResilienceError where none comes, with the runbook's own last line."""
        try:
            line = self._said.get(timeout=within_s)
        except queue.Empty:
            raise ResilienceError("the runbook did not answer within %d s. Hint: resilience assess" % within_s)
        if line is None:
            raise ResilienceError(self._why())
        try:
            message = json.loads(line.decode("utf-8"))
        except ValueError:
            raise ResilienceError("what is called `resilience` here is not the runbook. Hint: RESILIENCE_EXE=…")
        return message

    def _why(self):
        self.close()
        try:
            with open(self._log, encoding="utf-8", errors="replace") as file:
                line = tool.last_line(file.read())
        except OSError:
            line = ""
        if "no such verb" in line:
            return (
                "the runbook is too old for this package (it has no `judge`). Hint: uv tool upgrade resilience-runbook"
            )
        return line or "the runbook ended without a word. Hint: resilience doctor"

    def close(self):
        """Let the runbook's process end, and end it where it does not."""
        try:
            self._process.stdin.close()
        except OSError:
            pass  # it is gone already
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
