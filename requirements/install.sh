#!/bin/sh
# Pinned requirements into the environment of $PYTHON, then this project, editable. Run by `make setup`.
set -eu
cd "$(dirname "$0")/.."
# uv does not read pip's configuration: hand over the index a person has set there.
value() { "$PYTHON" -m pip config get "$1" 2>/dev/null || true; }
if "$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt; then
  : "${UV_DEFAULT_INDEX:=${PIP_INDEX_URL:-$(value global.index-url)}}"
  if [ -n "$UV_DEFAULT_INDEX" ]; then export UV_DEFAULT_INDEX; else unset UV_DEFAULT_INDEX; fi
  if "$PYTHON" -m uv pip install --quiet --python "$PYTHON" --require-hashes -r requirements/requirements.txt; then
    exec "$PYTHON" -m uv pip install --quiet --python "$PYTHON" --no-deps --no-build-isolation --offline -e .
  fi
  echo "uv could not install; trying pip, which takes minutes" >&2
fi
"$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/requirements.txt
exec "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
