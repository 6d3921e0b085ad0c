# Everything a newcomer types. `make table5` and `make test` set up the environment themselves.
PYTHON ?= python3
CORES ?= 2
VENV := .venv
RUN := $(VENV)/bin

.PHONY: table5 smoke test lint schema

table5: $(VENV)/ready
	$(RUN)/snakemake --cores $(CORES) table5

smoke: $(VENV)/ready
	$(RUN)/snakemake --cores $(CORES) smoke

test: $(VENV)/ready lint
	$(RUN)/python -m pytest

lint: $(VENV)/ready
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/snakefmt --check --no-format-shell Snakefile rules
	$(RUN)/snakemake --lint

schema: $(VENV)/ready
	$(RUN)/python -m sdft.config --schema config > config.schema.json
	$(RUN)/python -m sdft.config --schema scale > config/scale.schema.json

# torch is installed first: another package's range would otherwise take whatever build is newest.
$(VENV)/ready: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install --quiet "$$(grep '^torch==' requirements.txt)"
	$(RUN)/pip install --quiet -r requirements.txt
	touch $@
