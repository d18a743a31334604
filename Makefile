# `make drill` shows the runbook at work; `make test` checks everything. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
SLOW := $(VENV)/.ready-slow

# Tests wait for servers and processes a third of their time, which a third worker uses on two cores.
WORKERS := -n 3 --dist worksteal

# Where bytecode is not kept, as in many containers, each of the suite's thousands of starts compiles its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup drill test test-all chaos coverage lint bench notebook dist lock clean
.DEFAULT_GOAL := help

help:
	@echo "make drill     the whole runbook against an embedded outage; prints the path of the report"
	@echo "make test      the fast tests      make test-all  the slow ones too      make lint  ruff, mypy, layers"
	@echo "make notebook  JupyterLab on the notebooks      make bench  ratios      make coverage  make chaos  many kills at random moments      make dist  both wheels      make setup  only .venv"

# uv resolves nothing here (the pins carry hashes) and is ten times faster than pip; pip is the way where uv cannot be had.
$(STAMP): requirements/requirements.txt requirements/bootstrap.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, found %d.%d. Hint: make PYTHON=python3.12 setup" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@PYTHON=$(BIN)/python sh requirements/install.sh
	@touch $@

setup: $(STAMP)

drill: $(STAMP)
	@$(BIN)/resilience drill database-unavailable

test: $(STAMP)
	@$(BIN)/python -m pytest $(WORKERS)

$(SLOW): $(STAMP) requirements/slow.txt
	@PYTHON=$(BIN)/python sh requirements/install.sh requirements/slow.txt
	@touch $@

test-all: $(SLOW)
	@$(BIN)/python -m pytest -m "slow or not slow" $(WORKERS)

# `make chaos MOMENTS=10 SEED=7`: so many moments of each signal, from this seed on, then full disks and clocks that jump.
MOMENTS ?= 60
SEED ?= 1
chaos: $(STAMP)
	@$(BIN)/python -m tests.chaos.attacks $(MOMENTS) $(SEED)

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/python -m pytest -q tests/test_layers.py

coverage: $(STAMP)
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -x $(WORKERS); code=$$?; $(BIN)/coverage combine -q; $(BIN)/coverage report --format=total; exit $$code

bench: $(STAMP)
	@code=0; for b in benchmarks/*.py; do echo "== $$b"; $(BIN)/python $$b || code=1; done; exit $$code

dist: $(STAMP)
	@$(BIN)/python -m hatchling build -t wheel -d dist
	@cd pytest-plugin && ../$(BIN)/python -m hatchling build -t wheel -d ../dist

notebook: $(STAMP)
	@$(BIN)/resilience notebook

lock:
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate pyproject.toml requirements/requirements.in -o requirements/requirements.txt
	@cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate slow.in -o slow.txt

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
