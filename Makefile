# One command runs the main job (make demo), another passes the tests (make test).
# Both first make the environment .venv, with whatever Python 3.11 or newer is called $(PYTHON).
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-ray lint docs fuzz install clean

demo: install
	$(BIN)/gmsr demo

test: install
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# The engine for clusters, on this machine: a head and nodes in network namespaces. As root.
test-ray: install
	$(BIN)/python -m pytest -m ray tests/live/test_ray.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation site, in runs/site; open runs/site/docs/index.html.
docs: install
	$(BIN)/sphinx-build -q -E -W --keep-going -b html -c docs . runs/site

# Inputs a target (tests/fuzz/README.md). What is new goes to runs/fuzz, and so does an input that fails.
FUZZ_RUNS ?= 100000

fuzz: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@set -e; for target in decoder dispatcher server orders; do \
	  mkdir -p runs/fuzz/$$target; \
	  $(BIN)/python tests/fuzz/run.py $$target -runs=$(FUZZ_RUNS) -max_len=112 -timeout=10 \
	    -print_final_stats=1 -artifact_prefix=runs/fuzz/$$target- runs/fuzz/$$target tests/fuzz/corpus/$$target; \
	done

install: .venv/installed

.venv/installed: pyproject.toml
	@test -L .package/gmsr/agents || { echo "error: .package/gmsr/agents is no symbolic link: clone with 'git clone -c core.symlinks=true'" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than 3.11: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
