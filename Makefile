# Everything a newcomer types. Each target sets up the environment by itself.
PYTHON ?= python3
CORES ?= 2
# Of the whole suite: one more than cores, since the tests of the cluster mostly wait.
WORKERS ?= $(shell expr $(CORES) + 1 2>/dev/null || echo $(CORES))
VENV := .venv
RUN := $(VENV)/bin
TOOLS := .tools
LOCK := $(TOOLS)/bin/uv pip compile --quiet --no-deps --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-header --no-strip-extras --default-index https://pypi.org/simple

.PHONY: env table5 smoke quick test lint schema docs lock audit sbom

# The environment alone; `source .venv/bin/activate` enters it.
env: $(VENV)/ready

table5: $(VENV)/ready
	$(RUN)/snakemake --cores $(CORES) table5

smoke: $(VENV)/ready
	$(RUN)/snakemake --cores $(CORES) smoke

# What a change needs while it is made; the slow tests are left to `make test`.
quick: $(VENV)/ready
	$(RUN)/python -m pytest -n $(CORES) --dist loadgroup -m "not slow"

test: $(VENV)/ready lint docs
	$(RUN)/python -m pytest -n $(WORKERS) --dist loadgroup --durations=20

lint: $(VENV)/ready
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/snakefmt --check --no-format-shell Snakefile rules
	$(RUN)/snakemake --lint
	$(RUN)/lint-imports --no-logo

# The documentation as a site, in site/; a broken link is an error.
docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict

schema: $(VENV)/ready
	$(RUN)/python -m sdft.config --schema config > config.schema.json
	$(RUN)/python -m sdft.config --schema scale > config/scale.schema.json

# The hashes of what requirements.txt names; locks/README.md says which file is for whom.
lock: $(TOOLS)/ready
	(grep -v '^torch==' requirements.txt | $(LOCK) -; $(LOCK) locks/extras.txt) > locks/packages.lock
	(echo '-r packages.lock'; $(LOCK) locks/cuda.txt) > locks/cuda.lock

# Known vulnerabilities of the locked versions; needs a network.
audit: $(TOOLS)/ready
	$(TOOLS)/bin/pip-audit --disable-pip --require-hashes -r locks/cuda.lock

# What is installed, as a CycloneDX bill of materials.
sbom: $(VENV)/ready $(TOOLS)/ready
	$(TOOLS)/bin/cyclonedx-py environment --output-reproducible --output-file sbom.json $(VENV)

$(TOOLS)/ready: locks/tools.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet -r locks/tools.txt
	touch $@

# torch is installed first: another package's range would otherwise take whatever build is newest.
$(VENV)/ready: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install --quiet "$$(grep '^torch==' requirements.txt)"
	$(RUN)/pip install --quiet -r requirements.txt
	touch $@
