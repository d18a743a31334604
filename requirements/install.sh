#!/bin/sh
# Pinned requirements into the environment of $PYTHON: those of the file named, else the project's and the project, editable.
set -eu
cd "$(dirname "$0")/.."
wanted=${1:-requirements/requirements.txt}
# uv does not read pip's configuration: hand over the index a person has set there.
value() { "$PYTHON" -m pip config get "$1" 2>/dev/null || true; }
project() {
  [ $# -gt 0 ] && [ "$wanted" = requirements/requirements.txt ] || return 0
  "$@" --no-deps --no-build-isolation -e .
}
if "$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt; then
  : "${UV_DEFAULT_INDEX:=${PIP_INDEX_URL:-$(value global.index-url)}}"
  if [ -n "$UV_DEFAULT_INDEX" ]; then export UV_DEFAULT_INDEX; else unset UV_DEFAULT_INDEX; fi
  if "$PYTHON" -m uv pip install --quiet --python "$PYTHON" --require-hashes -r "$wanted"; then
    project "$PYTHON" -m uv pip install --quiet --python "$PYTHON" --offline
    exit
  fi
  echo "uv could not install; trying pip, which takes minutes" >&2
fi
"$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$wanted"
project "$PYTHON" -m pip install --quiet --disable-pip-version-check
