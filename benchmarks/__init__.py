"""Measurements, run by `make bench`. Nothing here is a test: these machines are noisy, compare ratios within one run."""
