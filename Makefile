# Every target sets up what it needs in $(VENV), with the stock python3 and pip alone. The second run starts at once.

PYTHON ?= python3
VENV ?= .venv
# Further arguments, of pytest or of the benchmarks: make test ARGS=tests/core, make bench ARGS='--rounds 3'
ARGS ?=
# How many tests run at once: make test JOBS=0 for one after the other, in this process.
JOBS ?= auto

python := $(VENV)/bin/python

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:  # two pips must not write one environment
.PHONY: help demo test coverage soak bench bench-explore steps sleepers check lint types layers docs notebooks images format clean

help:  ## list the targets
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / { printf "  make %-9s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-demo  ## kill two real programs, start them again, and ask the outside what happened
	@$(python) -m examples.demo

test: $(VENV)/.installed-test  ## run the tests, the documentation's examples among them
	$(python) -m pytest -n $(JOBS) $(ARGS)

coverage: $(VENV)/.installed-test  ## run the tests and tell which branches they missed
	$(python) -m coverage erase
	$(python) -m coverage run -m pytest
	$(python) -m coverage combine --quiet
	$(python) -m coverage report

soak: $(VENV)/.installed-test  ## run the tests that take long
	HYPOTHESIS_PROFILE=night $(python) -m pytest -m soak

bench: $(VENV)/.installed-test  ## measure interp beside its peers, for an hour or two, and write the page on it
	$(python) -m benchmarks.bench $(ARGS)
	$(python) -m benchmarks.bench --report

steps: $(VENV)/.installed-test  ## measure durable steps per second
	$(python) benchmarks/steps.py

bench-explore: $(VENV)/.installed-test  ## measure how long it takes to look into runs
	$(python) benchmarks/explore.py

sleepers: $(VENV)/.installed-test  ## measure a million sleeping runs
	$(python) benchmarks/sleepers.py

check: lint types layers docs  ## what has to hold besides the tests

lint: $(VENV)/.installed-lint  ## style and format
	$(python) -m ruff check
	$(python) -m ruff format --check

format: $(VENV)/.installed-lint  ## repair style and format where a tool can
	$(python) -m ruff check --fix
	$(python) -m ruff format

types: $(VENV)/.installed-lint $(VENV)/.installed-test  ## types, by both checkers
	$(python) -m mypy
	$(python) -m pyright --pythonpath $(python)

layers: $(VENV)/.installed-lint  ## who may import whom
	$(VENV)/bin/lint-imports --no-logo

docs: $(VENV)/.installed-docs  ## build the documentation into docs/_build/html
	$(python) -m sphinx --fresh-env --fail-on-warning --keep-going --quiet docs docs/_build/html

notebooks: $(VENV)/.installed-lab  ## execute every notebook, also in JupyterLab in a browser (Chromium)
	$(python) -m pytest -n $(JOBS) -m lab tests/explore tests/notebooks $(ARGS)

images: $(VENV)/.installed-lab  ## take the pictures of the documentation anew, with Chromium
	$(python) -m docs.images.make $(ARGS)

clean:  ## remove what the other targets made
	rm -rf $(VENV) .venvs .peers docs/_build build dist .coverage* .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# One stamp for each extra, so that the demo does not wait for what only developers need.
$(VENV)/.installed-%: pyproject.toml | $(python)
	@echo "Installing interp[$*] into $(VENV) ..."
	@$(python) -m pip install -qq --disable-pip-version-check --editable '.[$*]' || { \
		echo >&2; \
		echo 'pip could not install what interp[$*] needs; its own message is above.' >&2; \
		echo 'If it could not connect: the first run needs the network and a package index (PyPI, or a mirror' >&2; \
		echo 'named in PIP_INDEX_URL). What is installed already stays; run make again when it is reachable.' >&2; \
		exit 1; }
	@touch $@

$(python):
	@$(PYTHON) -c '' >/dev/null 2>&1 || { \
		echo 'There is no $(PYTHON) on the PATH that runs. interp needs Python 3.11 or newer; if it has another name' >&2; \
		echo 'here, say which:  make PYTHON=/path/to/python3 $(MAKECMDGOALS)' >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "interp needs Python 3.11 or newer, and $(PYTHON) is `$(PYTHON) --version 2>&1`. If a newer one" >&2; \
		echo 'is installed, say where:  make PYTHON=/path/to/python3 $(MAKECMDGOALS)' >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) cannot make virtual environments: its module venv or ensurepip is missing. On Debian and' >&2; \
		echo 'Ubuntu they are a package of their own:  apt install python3-venv' >&2; \
		exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
