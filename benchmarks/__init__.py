"""Measurements, run by `make bench`. Nothing here is a test: compare ratios within one run."""
