"""`python -m sdft.config [FILE]`: check a configuration. The types are in sdft/study/schema.py."""

from __future__ import annotations

from sdft.common.errors import run_main
from sdft.study.load import json_schema as json_schema
from sdft.study.load import load_config as load_config
from sdft.study.load import main
from sdft.study.load import parse_config as parse_config

if __name__ == "__main__":
    run_main(main)
