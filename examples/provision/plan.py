"""What an environment consists of: a pure function from its name and services to its resources.

The workflow computes the plan again at every replay, and it always comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import attrs

__all__ = ["Environment", "Kind", "Resource", "inner_resources", "networks", "public_resources", "resources"]


class Kind(StrEnum):
    """The kinds of resources; each is created by an activity of its own."""

    NETWORK = "network"
    SUBNET = "subnet"
    SECURITY_GROUP = "security group"
    QUEUE = "queue"
    TABLE = "table"
    BUCKET = "bucket"
    DATABASE = "database"
    DISTRIBUTION = "distribution"


@attrs.frozen
class Environment:
    """What is asked for: a name, and the services that live there."""

    name: str
    services: tuple[str, ...]


@attrs.frozen
class Resource:
    """One resource to be created.

    Attributes:
        kind: What it is.
        name: Unique in the account: it begins with the name of the environment.
        environment: The environment it belongs to.
        service: The service it belongs to.
        cidr: The addresses of a network or subnet.
        network: The id of the network it lies in, where it lies in one; known when that exists.
    """

    kind: Kind
    name: str
    environment: str
    service: str
    cidr: str = ""
    network: str = ""


# What each service gets, beside one network and one distribution.
_INNER = {
    Kind.SUBNET: 4,
    Kind.SECURITY_GROUP: 3,
    Kind.QUEUE: 4,
    Kind.TABLE: 4,
    Kind.BUCKET: 4,
    Kind.DATABASE: 1,
}


def networks(environment: Environment) -> list[Resource]:
    """List the networks, one for each service: everything else comes after them."""
    return [
        _resource(Kind.NETWORK, environment, service, cidr=f"10.{number}.0.0/16")
        for number, service in enumerate(environment.services)
    ]


def inner_resources(environment: Environment, network_ids: dict[str, str]) -> list[Resource]:
    """List what lies inside: nobody can reach it before the distributions are there.

    Args:
        environment: The environment.
        network_ids: The network of each service.
    """
    return [
        attrs.evolve(resource, network=network_ids[resource.service])
        for number, service in enumerate(environment.services)
        for resource in _inner(environment, service, number)
    ]


def public_resources(environment: Environment) -> list[Resource]:
    """List what the public sees."""
    return [_resource(Kind.DISTRIBUTION, environment, service) for service in environment.services]


def resources(environment: Environment) -> list[Resource]:
    """List everything, without the ids that only the cloud knows."""
    unknown = dict.fromkeys(environment.services, "")
    return networks(environment) + inner_resources(environment, unknown) + public_resources(environment)


def _inner(environment: Environment, service: str, service_number: int) -> Iterator[Resource]:
    for kind, count in _INNER.items():
        for number in range(count):
            cidr = f"10.{service_number}.{number}.0/24" if kind is Kind.SUBNET else ""
            yield _resource(kind, environment, service, number=number + 1, cidr=cidr)


def _resource(kind: Kind, environment: Environment, service: str, *, number: int = 1, cidr: str = "") -> Resource:
    name = f"{environment.name}-{service}-{kind.replace(' ', '-')}-{number}"
    return Resource(kind, name, environment.name, service, cidr)
