# `make demo` and `make test` need Python 3.11 or newer and make, nothing else: the first run makes .venv.
# Another Python:  make PYTHON=python3.12 test         Another environment:  make VENV=.venv313 PYTHON=python3.13 test

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
# Tests run in as many processes as there are cores, or in 8; the slow ones of a file in one, which share a server. Each
# process computes with one thread: where there are more threads than cores, they mostly wait for each other.
PYTEST_AT_ONCE = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses 8 --dist worksteal
NOTEBOOKS = tests/course/test_notebooks_run.py
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test test-slow test-oldest test-newest test-gpu fuzz bench dist lint fix types notebooks notebooks-answered \
	check requirements clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.ready  ## make the environment and install what a student needs

demo: $(VENV)/.ready  ## draw digits with the shipped weights, then train from scratch; pictures go to demo/
	@$(VENV)/bin/tinydiff demo

test: $(VENV)/.ready  ## run the tests
	@$(PYTEST_AT_ONCE)

test-slow: $(VENV)/.ready  ## run the tests that take longer
	@$(PYTEST_AT_ONCE) --dist loadfile --durations=20 -m "slow and not gpu" --ignore=$(NOTEBOOKS) || [ $$? -eq 5 ]  # 5: there are none

# An environment of its own each, beside $(VENV); uv finds the oldest versions that pyproject.toml declares.
test-oldest: $(VENV)/.ready  ## run the tests with the oldest versions that pyproject.toml allows
	@$(RUN) -m pip install --quiet uv
	@$(RUN) -m uv pip compile --quiet pyproject.toml --extra test --extra notebooks --resolution lowest-direct \
		--no-annotate -o $(VENV)/oldest.txt
	@$(PYTHON) -m venv $(VENV)-oldest
	@$(VENV)-oldest/bin/python -m pip install --quiet -r $(VENV)/oldest.txt
	@$(VENV)-oldest/bin/python -m pip install --quiet --no-deps -e .
	@$(VENV)-oldest/bin/python -m pytest -W ignore::DeprecationWarning  # of what they import, and what came after them

test-newest:  ## run the tests with the newest versions that can be had
	@$(PYTHON) -m venv $(VENV)-newest
	@$(VENV)-newest/bin/python -m pip install --quiet --upgrade -e ".[test,notebooks]"
	@$(VENV)-newest/bin/python -m pytest

test-gpu: $(VENV)/.ready  ## run the tests on a GPU (needs CuPy and a CUDA device)
	@if why=$$($(RUN) -c "from tinydiff.base.arrays import select_device; select_device('cuda')" 2>&1); \
		then $(RUN) -m pytest -m gpu; \
		else echo "$$why" | tail -n 1 | sed 's/^[A-Za-z.]*: //' >&2; \
		echo "No test was run: there is no GPU here that CuPy can use."; fi

fuzz: $(VENV)/.ready  ## run commands on 2,000 strange and damaged inputs
	@$(RUN) tools/fuzz.py --cases 2000

bench: $(VENV)/.ready  ## time a train step and a sampling step against PyTorch (needs PyTorch)
	@$(RUN) tests/benchmarks/bench.py

lint: $(VENV)/.ready-dev  ## check style and format
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

fix: $(VENV)/.ready-dev  ## format, and mend what ruff can mend by itself
	@$(RUN) -m ruff check --fix-only .
	@$(RUN) -m ruff format .

types: $(VENV)/.ready-dev  ## check types
	@$(RUN) -m mypy

notebooks: $(VENV)/.ready-dev  ## check that notebooks fit their sources; run them, each exercise with its answer, then without
	@$(RUN) tools/notebooks.py --check
	@$(PYTEST_AT_ONCE) --durations=20 -m "" $(NOTEBOOKS)

notebooks-answered: $(VENV)/.ready-dev  ## run the notebooks as teachers have them, with all answers
	@$(PYTEST_AT_ONCE) -m "" --nbmake --nbmake-timeout=900 notebooks/solutions/*.ipynb

check: lint types notebooks test-slow test  ## all of the above that continuous integration runs

dist: $(VENV)/.ready  ## build both packages into dist/, and say what is large in them
	@$(RUN) -m pip install --quiet build
	@$(RUN) -m build --outdir dist .
	@$(RUN) -m build --outdir dist --wheel packages/scenes
	@$(RUN) tools/dist_size.py dist

requirements:  ## pin requirements.txt anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra notebooks --extra test --universal --python-version 3.11 \
		--no-annotate --upgrade --custom-compile-command "make requirements" -o requirements.txt

clean:  ## remove the environment, builds and caches; what was drawn and trained stays
	rm -rf "$(VENV)" "$(VENV)-oldest" "$(VENV)-newest" build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are written last, so an interrupted installation is taken up again.
$(VENV)/.ready: requirements.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || { \
		version=$$($(PYTHON) --version 2>&1) || version="not found"; \
		echo "tinydiff needs Python 3.11 or newer, but '$(PYTHON)' is $$version." \
			"Choose another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Setting up $(VENV) (once; this takes a minute or two) ..."
	@$(PYTHON) -m venv "$(VENV)" || { \
		echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(RUN) -m pip install --quiet -r requirements.txt
	@$(RUN) -m pip install --quiet --no-deps -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@$(RUN) -m pip install --quiet --constraint requirements.txt -e ".[dev]"
	@touch $@
