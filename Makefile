# Two commands do all the set-up on a fresh machine with git, make and Python 3.11:
#   make demo    two organisations on this machine hand files to each other
#   make test    installs what the tests need, and runs them
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Tests wait more than they compute: one process more than there are cores
WORKERS ?= $(shell expr $$(nproc) + 1)
# shared and ordered by tests/sharing.py; a process that hangs is ended by tests/hanging.py, and its test tried once more
SHARED := -n $(WORKERS) --no-loadscope-reorder --max-worker-restart 6
# The tests start the program a thousand times: what is compiled is kept, whatever the environment says
export PYTHONDONTWRITEBYTECODE :=
# Where CI is set, pytest compares what a failed assertion is about line by line: hours for two that are a MiB long
unexport CI BUILD_NUMBER

.PHONY: demo test test-collect coverage lint docs bench faults powerloss simulate soak rotations lock clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	$(BIN)/handover demo

test: $(VENV)/tested
	tests/setup
	$(BIN)/pytest $(SHARED)

# The same tests of two organisations where only one of them has an SFTP server, and the other collects
test-collect: $(VENV)/tested
	tests/setup
	$(BIN)/pytest $(SHARED) --topology ofsted-hosts --topology lgsco-hosts tests/exchange tests/system

# Which lines no test reaches: a place to look, and slower than the tests alone
coverage: $(VENV)/tested
	tests/setup
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report --skip-covered --skip-empty

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Writes every generated page: docs/configuration.md, docs/architecture.md, docs/states.svg
docs: $(VENV)/tested
	$(BIN)/python -m config.sample --write-docs
	$(BIN)/python -m tests.house --write
	$(BIN)/python -m tests.states --write

# Ratios against peers on this machine; never part of the tests
bench: $(VENV)/tested
	for script in tests/bench/bench_*.py; do $(BIN)/python -m tests.bench.$$(basename $$script .py) || exit 1; done

# The program dies, or a call fails, at every system call of the way of a file: hours, unless SECONDS=… ends it before;
# the next one goes on where this one ended
faults: $(VENV)/tested
	tests/setup
	$(BIN)/python -m tests.faults.sweep $(if $(SECONDS),--seconds $(SECONDS)) $(if $(TOPOLOGY),--topology $(TOPOLOGY))

# Two or three organisations in one process under simulated faults, one run a seed: SEEDS=1000 is 0 to 999, SEEDS=17-40
# a range, and the seed draws who has a server, what happens, and what is kept.
# Prints days, faults and violations, and how to see the run of a seed that showed one
SEEDS ?= 1000
simulate: $(VENV)/tested
	$(BIN)/python -m tests.simulation $(SEEDS)

# Two organisations under load and faults at random for SECONDS (1800), drawn from SEED (1); prints figures, and fails if
# anything was lost, doubled, or grew
soak: $(VENV)/tested
	tests/setup
	$(BIN)/python -m tests.soak.run $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

# Every key of two organisations is replaced, ROUNDS (10) times, while files go both ways, daemons die and messages are
# late, drawn from SEED (1)
rotations: $(VENV)/tested
	tests/setup
	$(BIN)/python -m tests.rotation.storm $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED))

# The power goes after every step of the way of a file, of every command and of what people order, and each state that it
# may leave is started again: hours, or with STATES=… that many of each recording
powerloss: $(VENV)/tested
	tests/setup
	$(BIN)/python -m tests.powerloss.sweep $(if $(STATES),--states $(STATES))

# Renews the lock files after a change of setup.cfg: versions and hashes, no addresses
lock: $(VENV)/tested
	$(BIN)/pip install --quiet 'uv >= 0.9, < 1'
	echo 'setuptools >= 77' | $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-annotate --no-header setup.cfg - -o requirements.lock
	echo 'setuptools >= 77' | $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-annotate --no-header --all-extras setup.cfg - -o requirements-test.lock

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); tests/setup python3.11-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/installed: $(VENV)/bin/pip requirements.lock setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/tested: $(VENV)/installed requirements-test.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
