"""Attacks on whole runs: kills and signals at any moment, full disks, clocks that jump, secrets planted everywhere.

`make test-all` draws a few of each from a fixed seed, `make chaos` many; both print what was tried and what was wrong.
"""
