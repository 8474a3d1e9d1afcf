"""Provision an environment, or go on with it; or approve one that waits.

    python -m examples.provision run shop orders payments search
    python -m examples.provision approve shop ada

The journal is at `$INTERP_STORE`, the inventory at `$INVENTORY`, and AWS where boto3 looks for it (`$AWS_ENDPOINT_URL`,
`$AWS_DEFAULT_REGION`, credentials).
"""

from __future__ import annotations

import logging
import sys

from examples.provision.plan import Environment
from examples.provision.workflow import Approval, provision
from interp import Engine


def run(name: str, *services: str) -> None:
    """Start the run of an environment, or take it over from a process that died, and print what came of it."""
    with Engine() as engine:
        summary = engine.start(provision, Environment(name, services), id=f"provision-{name}").result()
    built = ", ".join(f"{count} x {kind}" for kind, count in summary.built.items())
    print(f"{summary.environment} stands, approved by {summary.approved_by}, after {summary.took}: {built}")


def approve(name: str, by: str) -> None:
    """Let a run that waits go on. The approval is in the journal when this returns, whoever dies after that."""
    with Engine() as engine:
        engine.get(f"provision-{name}").signal("approve", Approval(by))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    what, *arguments = sys.argv[1:]
    if what == "approve":
        approve(*arguments)
    else:
        run(*arguments)
