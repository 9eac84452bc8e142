# What a person does with a checkout.  `make help` lists it.
#
# Everything runs in a virtual environment: the active one, otherwise .venv, which is made here.
# It is set up when pyproject.toml or a C source is newer than the stamp of the last set-up.

PYTHON ?= python3
ARGS ?=

ENVIRONMENT := $(or $(VIRTUAL_ENV),.venv)
BIN := $(ENVIRONMENT)/bin
# The name of a stamp holds the checkout, so that two checkouts can take turns in one environment.
STAMP := $(ENVIRONMENT)/.qda-accel$(subst /,-,$(CURDIR))

PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal
# What the twin is tried with each time: neither programs in C nor the older drivers are about it.
TWIN := tests/core src/qda/conformance tests/driver --ignore=tests/core/test_in_c.py -k "not legacy"

# What is compiled by the set-up.
C_SOURCES := $(wildcard native/*.[ch] native/*/*.[ch] native/cmake/CMakeLists.txt)

export PATH := $(abspath $(BIN)):$(PATH)
# The tests start Python some thousand times: each time without bytecode would compile it all.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DELETE_ON_ERROR:
.PHONY: help demo test test-twin test-kernel check bench docs site packages format clean

help:
	@echo "make demo     set up, and run the main job: an image filter on the virtual DSP"
	@echo "make test     set up, and run all checks and tests; ARGS='-k name' goes to pytest"
	@echo "make test-twin  all tests with the core in Python; make test has the most telling of them"
	@echo "make test-kernel  fetch a kernel of Debian, and run the tests that need one, in QEMU"
	@echo "make check    only the checks that need no test run: Ruff and mypy"
	@echo "make bench    set up, and measure calls beside pipes and other RPC packages"
	@echo "make docs     write the pages and headers that are made from code and data"
	@echo "make site     set up, and make a site of the documentation: build/site/index.html"
	@echo "make packages  source distribution and wheels in dist/, tried with the Pythons at hand"
	@echo "make format   let Ruff format the sources"
	@echo "make clean    remove what make and the tools have left here, .venv included"
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter of a new environment (now: $(PYTHON))."

demo: $(STAMP)+run
	$(BIN)/qda demo $(ARGS)

check: $(STAMP)+test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What the core does is tried with its twin in Python, too: calls, hostile ones, signals and deaths.
test: check
	$(PYTEST) $(ARGS)
	$(if $(ARGS),,QDA_CORE=python $(PYTEST) $(TWIN))

test-twin: $(STAMP)+test
	QDA_CORE=python $(PYTEST) $(ARGS)

test-kernel: $(STAMP)+test
	$(BIN)/qda kernel fetch trixie
	$(PYTEST) tests/kernel $(ARGS)

bench: $(STAMP)+bench
	$(BIN)/python -m benchmarks.invoke $(ARGS)
	$(BIN)/python -m benchmarks.interface
	$(BIN)/python -m benchmarks.programs
	$(BIN)/python -m benchmarks.pool

docs: $(STAMP)+test
	$(BIN)/python -m docs.generate

# What Sphinx cannot link or read is an error.
site: $(STAMP)+site
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env \
		-c docs/site -b html $(ARGS) . build/site
	@echo "The site is in build/site/index.html"

packages: $(STAMP)+packages
	$(BIN)/python -m packages
	QDA_PACKAGES=dist $(PYTEST) tests/test_packages.py

format: $(STAMP)+test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f $(STAMP)+* src/qda/*/*.so
	find native/cmake -mindepth 1 ! -name CMakeLists.txt -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One set-up for each of: run (the package), test (and the test tools), bench (and the peers).
$(STAMP)+run: extras :=
$(STAMP)+test: extras := [test]
$(STAMP)+site: extras := [test,site]
$(STAMP)+packages: extras := [test,packages]
$(STAMP)+bench: extras := [test,bench]

$(STAMP)+run $(STAMP)+test $(STAMP)+site $(STAMP)+packages: pyproject.toml $(C_SOURCES) | $(BIN)/python
	@$(install) || { echo "$(offline)"; exit 1; }
	@$(stamp)

# Not every machine can have every peer; the benchmark leaves out those that are missing.
$(STAMP)+bench: pyproject.toml $(C_SOURCES) | $(BIN)/python $(STAMP)+test
	@$(install) || echo "Not all peers can be installed here: measuring without the missing ones."
	@touch $@

define install
echo "Installing qda-accel$(extras) into $(ENVIRONMENT); the first time takes a minute ..." && \
$(BIN)/python -m pip install --quiet --editable ".$(extras)" && \
echo "Installed: $$($(BIN)/python -m pip list --format=freeze 2>/dev/null | wc -l) packages." && \
{ test -e src/qda/shim/libqda_preload.so || echo "$(without_c)"; }
endef

# Another checkout's stamps end here: the environment now holds this one.
define stamp
find $(ENVIRONMENT) -maxdepth 1 -name '.qda-accel-*' ! -name '$(notdir $(STAMP))+*' -delete; touch $@
endef

without_c := C could not be compiled: qda run and qda serve are missing, and their tests are skipped.
offline := Installing failed. pip says why above; it needs a package index that it can reach.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "QDA needs Python 3.11 or newer and '$(PYTHON)' is not: try make PYTHON=python3.12"; \
		exit 1; }
	@echo "Making the virtual environment $(ENVIRONMENT) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(ENVIRONMENT) || { \
		rm -rf .venv; \
		echo "$(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv"; \
		exit 1; }
