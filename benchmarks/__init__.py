"""Measurements: `make bench` beside peers, `make steps` alone. None of them is a test: compare ratios within a run."""
