"""Trains runs one after another in the processes that torchrun starts: `sharded.py RUN.json OUT [RUN.json OUT ...]`."""

import sys

import torch

from sdft.learning.spec import read_spec
from sdft.train import train

torch.set_num_threads(1)
names = sys.argv[1:]
for run, out in zip(names[::2], names[1::2], strict=True):
    train(read_spec(run), out, quiet=True)
