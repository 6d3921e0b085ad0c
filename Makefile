# Everything a newcomer types. Each target sets up the environment by itself.
PYTHON ?= python3
CORES ?= 2
VENV := .venv
RUN := $(VENV)/bin

.PHONY: table5 smoke quick test lint schema docs

table5: $(VENV)/ready
	$(RUN)/snakemake --cores $(CORES) table5

smoke: $(VENV)/ready
	$(RUN)/snakemake --cores $(CORES) smoke

# What a change needs while it is made; the slow tests are left to `make test`.
quick: $(VENV)/ready
	$(RUN)/python -m pytest -n $(CORES) --dist loadgroup -m "not slow"

test: $(VENV)/ready lint docs
	$(RUN)/python -m pytest -n $(CORES) --dist loadgroup

lint: $(VENV)/ready
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/snakefmt --check --no-format-shell Snakefile rules
	$(RUN)/snakemake --lint
	$(RUN)/lint-imports --no-logo

# The documentation as a site, in site/; a broken link is an error.
docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict --quiet

schema: $(VENV)/ready
	$(RUN)/python -m sdft.config --schema config > config.schema.json
	$(RUN)/python -m sdft.config --schema scale > config/scale.schema.json

# torch is installed first: another package's range would otherwise take whatever build is newest.
$(VENV)/ready: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install --quiet "$$(grep '^torch==' requirements.txt)"
	$(RUN)/pip install --quiet -r requirements.txt
	touch $@
