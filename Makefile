# Everything a person does here; `make help` lists it. PYTHON=… chooses the interpreter that makes .venv, JOBS=… how
# many processes share the test suite: tests mostly wait, so more than there are cores.
PYTHON ?= python3
JOBS ?= 3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests start hundreds of processes; each would compile all that it imports, a second of work, where this is set.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types format chaos bench bench-pace lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP)  ## Run a whole campaign here, ringing nobody
	$(BIN)/dialer demo

test: $(STAMP)  ## Run the test suite
	$(BIN)/python -m pytest -m "not chaos" -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: $(STAMP) lint types test  ## Check format, lint and types, then run the test suite

lint: $(STAMP)  ## Check format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)  ## Check types
	$(BIN)/mypy

format: $(STAMP)  ## Put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

chaos: $(STAMP)  ## Run the slow tests that kill processes
	$(BIN)/python -m pytest -m chaos --timeout=900

bench: $(STAMP)  ## Measure how fast it is, beside references, in 20 minutes: needs PostgreSQL and a C compiler
	$(BIN)/python -m benchmarks

bench-pace: $(STAMP)  ## Measure how exactly the pace is kept, in 15 minutes
	$(BIN)/python -m benchmarks b7

lock:  ## Write constraints.txt anew: the newest versions that pyproject.toml allows
	@$(OLD_ENOUGH)
	rm -rf $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet -e '.[dev]'
	{ echo "# Versions that were tested together; \`make lock\` writes this file."; \
	  $(VENV)-lock/bin/python -m pip freeze --exclude-editable --exclude dialer | grep -v '^#'; } > constraints.txt
	rm -rf $(VENV)-lock

clean:  ## Remove .venv and what tools have left
	rm -rf $(VENV) $(VENV)-lock build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The tests start hundreds of processes, which must not compile the program each time.
unexport PYTHONDONTWRITEBYTECODE

OLD_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=/path/to/python3.11." >&2; exit 1; }

# Made anew when the requirements change, and only then.
$(STAMP): pyproject.toml constraints.txt
	@$(OLD_ENOUGH)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
