# `make demo` segments the sample scans; `make test` runs every check but the long ones, `make long` those;
# `make quick` is for while you work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet

.PHONY: demo test quick pytest long coverage lint style types figures clean

demo: $(VENV)/core.stamp
	@$(BIN)/sonoseg demo --out demo

test: $(VENV)/dev.stamp style
	@$(MAKE) --no-print-directory --jobs 2 types pytest

quick: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not long and not process"

pytest: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not long" -rs --durations 20

long: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m long -rs

coverage: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist loadfile -m "not long" --cov --cov-report=term

lint: style types

style: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/python tools/lint_words.py

types: $(VENV)/dev.stamp
	$(BIN)/mypy

figures: $(VENV)/dev.stamp
	$(BIN)/python research/scripts/make_figures.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("sonoseg needs Python 3.11 or newer, and $(PYTHON) is %d.%d: say make PYTHON=python3.12, or whichever you have" % v[:2])'
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/core.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing sonoseg (a minute)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing sonoseg with everything the tests need (some minutes)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/core.stamp

clean:
	rm -rf $(VENV) demo build dist
