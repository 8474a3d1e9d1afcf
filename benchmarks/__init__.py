"""Measurements: `make bench` beside peers, `make steps` alone. Nothing here is a test: compare ratios within one run."""
