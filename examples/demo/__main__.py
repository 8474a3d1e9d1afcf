"""Run the demo.

    python -m examples.demo                      both programs; about half a minute
    python -m examples.demo checkout             only one of them
    python -m examples.demo provision --quick    a smaller environment

Exits with 0 when all checks hold, and with 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from examples.demo.checkout import tell_checkout
from examples.demo.processes import DemoFailed
from examples.demo.provision import QUICK, WHOLE, tell_provision
from examples.demo.story import Story

_PARTS = ("checkout", "provision")


def main() -> int:
    """Tell the whole story; returns the exit code."""
    options = _options()
    directory = Path(tempfile.mkdtemp(prefix="interp-demo-"))
    # Whatever the user has set up for other programs: the servers are on this machine.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"
    story = Story()
    story.title("Two programs that are killed in the middle, and started again")
    story.say(
        f"""Each is an ordinary process with its journal in an LMDB directory. It is killed by SIGKILL, of which a
        process learns nothing, and started again by the same command. Journals, logs and databases are in {directory},
        which {"stays" if options.keep else "is removed in the end (--keep keeps it)"}."""
    )
    try:
        for part in options.parts or _PARTS:
            (directory / part).mkdir()
            if part == "checkout":
                tell_checkout(story, directory / part)
            else:
                environment = QUICK if options.quick else WHOLE
                tell_provision(story, directory / part, environment, options.seed)
        return 0 if story.verdict() else 1
    except DemoFailed as error:
        print(f"\nThe demo could not go on: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo", description="Kill two programs, start them again, and ask the outside world."
    )
    parser.add_argument("parts", nargs="*", metavar="checkout|provision", help="which programs; both by default")
    parser.add_argument("--quick", action="store_true", help="a smaller environment in provision")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000), help="when provision is killed")
    parser.add_argument("--keep", action="store_true", help="keep the directory with journals, logs and databases")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(_PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
