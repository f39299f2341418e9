"""Benchmarks: every figure a ratio, measured beside its reference in the same run. `make bench` runs them."""
