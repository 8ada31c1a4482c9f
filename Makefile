# make demo: set up and watch the built-in experiment. make test: set up and check everything that is quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test slow study captures lint format clean

demo: $(READY)
	$(BIN)/qcrd demo

test: $(READY) lint
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal tests

slow: $(READY)
	$(BIN)/python -m pytest -m slow tests

study: $(READY)
	$(BIN)/python studies/study.py studies/first_figures.toml

captures: $(READY)
	$(BIN)/python -m tests.captures

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("qcrd needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info
