"""The outside worlds of the two programs: HTTP servers in processes of their own, which survive every kill."""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.request import Request, urlopen

from examples.demo.processes import Process, Processes, wait_for

__all__ = ["get_json", "start_aws", "start_shop"]

_DATABASE_SECONDS = 2
_DISTRIBUTION_SECONDS = 2


def start_shop(processes: Processes) -> tuple[Process, str]:
    """Start the payment provider and the mail server; returns the process and its URL."""
    shop = processes.python("shop", "examples.demo.shop", env={})
    return shop, _url(shop)


def start_aws(processes: Processes) -> tuple[Process, dict[str, str]]:
    """Start the AWS API; returns the process, and the environment variables by which boto3 finds it."""
    aws = processes.python("aws", "moto.server", "-p", "0", env={})
    url = _url(aws)
    # moto has everything ready at once. Real databases and distributions take their time: so do these.
    for kind, seconds in (("dsql::cluster", _DATABASE_SECONDS), ("cloudfront::distribution", _DISTRIBUTION_SECONDS)):
        transition = {"progression": "time", "seconds": seconds}
        _post_json(f"{url}/moto-api/state-manager/set-transition", {"model_name": kind, "transition": transition})
    return aws, {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def get_json(url: str) -> Any:
    """Return what an HTTP server answers."""
    with urlopen(url, timeout=10) as response:
        return json.load(response)


def _post_json(url: str, value: object) -> None:
    with urlopen(Request(url, json.dumps(value).encode()), timeout=30) as response:
        response.read()


def _url(server: Process) -> str:
    """Wait until a server has written at which address it listens."""

    def look() -> str | None:
        found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", server.output())
        return found[1] if found else None

    return wait_for(f"the address of {server.name}", look, server)
