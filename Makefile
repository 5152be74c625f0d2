# `make demo` segments the sample scans; `make test` runs every check but the long ones, `make long` those;
# `make quick` is for while you work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet

# Python may keep what it compiles, also where the environment forbids it: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test quick pytest long coverage mutants lint style types page-test page-lint figures dist audit clean

demo: $(VENV)/core.stamp
	@$(BIN)/sonoseg demo --out demo

test: $(VENV)/dev.stamp style page-test
	@$(MAKE) --no-print-directory --jobs 2 types pytest

quick: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 SONOSEG_TEST_PROFILE=$${SONOSEG_TEST_PROFILE:-quick} \
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not long and not process"

pytest: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not long" --durations 20

long: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m long

coverage: $(VENV)/dev.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist loadfile -m "not long" --cov --cov-report=term

# Mutation testing of the rooms that [tool.mutmut] names: docs/testing.md.
mutants: $(VENV)/dev.stamp
	@$(PIP) --editable '.[mutation]'
	OMP_NUM_THREADS=1 $(BIN)/mutmut run
	$(BIN)/python tools/mutants.py report

lint: style types

style: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/python tools/lint_words.py

types: $(VENV)/dev.stamp
	$(BIN)/mypy

# Unit tests of the review page; node 20.19 is the first that loads its modules without a package.json beside them.
page-test:
	@if node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null; \
	then cd tests/page && node --test; \
	else echo "page-test skipped: node 20.19 or newer not found"; \
	     case " $$SONOSEG_REQUIRE " in *" node "*) exit 1;; esac; fi

# tsc and eslint over the review page; npm fetches both, in the versions of tests/page/package-lock.json.
page-lint: tests/page/node_modules/.package-lock.json
	@cd tests/page && npm run --silent lint

tests/page/node_modules/.package-lock.json: tests/page/package-lock.json
	@command -v npm >/dev/null || { echo "page-lint needs node and npm, which are not installed"; exit 1; }
	@cd tests/page && npm ci --silent

# The wheel, and beside it a software bill of materials (CycloneDX) of what a deployed node and server install.
dist: $(BIN)/python
	@$(PIP) --editable '.[release]'
	rm -rf dist build/deployed
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m build --wheel --outdir dist
	$(PYTHON) -m venv build/deployed
	PIP_CONSTRAINT=constraints.txt build/deployed/bin/python -m pip install --quiet "$$(ls dist/*.whl)[pacs,server]"
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON \
	--output-file "$$(ls dist/*.whl | sed 's/-py3.*//').cdx.json" build/deployed/bin/python

# Published advisories for the pinned versions: needs pypi.org.
audit: $(BIN)/python
	@$(PIP) --editable '.[release]'
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

figures: $(VENV)/dev.stamp
	$(BIN)/python research/scripts/phantom_figures.py

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
