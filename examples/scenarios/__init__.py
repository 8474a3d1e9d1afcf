"""Short programs that people bring from other systems, one file each; docs/how-to/scenarios.md lists them all.

What their activities do to the outside world is a line in a file: see `world`. Each is proved by a test of the same
name in tests/scenarios, which kills it where it hurts.
"""
