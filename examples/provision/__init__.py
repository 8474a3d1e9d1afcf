"""Provision an environment on AWS: over a hundred resources of eight kinds, with an approval before the last ones.

`plan` says what there shall be (pure), `workflow` in which order (pure), `cloud` makes it, `inventory` writes it down.
Run it with `python -m examples.provision`.
"""
