"""Ask the AWS API itself what exists in an environment, and in which state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from examples.provision.cloud import aws
from examples.provision.plan import Kind

__all__ = ["Found", "census"]


@attrs.frozen
class Found:
    """A resource that the API knows."""

    kind: Kind
    name: str
    id: str
    ready: bool = True


def census(environment: str) -> list[Found]:
    """List all resources of an environment that the API knows, twice those that exist twice."""
    return [found for look in _LOOKS for found in look(environment)]


def _networks(environment: str) -> Iterator[Found]:
    for vpc in _tagged("describe_vpcs", "Vpcs", environment):
        yield Found(Kind.NETWORK, _name(vpc["Tags"]), vpc["VpcId"], vpc["State"] == "available")


def _subnets(environment: str) -> Iterator[Found]:
    for subnet in _tagged("describe_subnets", "Subnets", environment):
        yield Found(Kind.SUBNET, _name(subnet["Tags"]), subnet["SubnetId"], subnet["State"] == "available")


def _security_groups(environment: str) -> Iterator[Found]:
    for group in _tagged("describe_security_groups", "SecurityGroups", environment):
        yield Found(Kind.SECURITY_GROUP, group["GroupName"], group["GroupId"])


def _queues(environment: str) -> Iterator[Found]:
    for url in _pages("sqs", "list_queues", "QueueUrls", QueueNamePrefix=f"{environment}-"):
        yield Found(Kind.QUEUE, url.rpartition("/")[2], url)


def _tables(environment: str) -> Iterator[Found]:
    for name in _pages("dynamodb", "list_tables", "TableNames"):
        if name.startswith(f"{environment}-"):
            table = aws("dynamodb").describe_table(TableName=name)["Table"]
            yield Found(Kind.TABLE, name, name, table["TableStatus"] == "ACTIVE")


def _buckets(environment: str) -> Iterator[Found]:
    for bucket in aws("s3").list_buckets()["Buckets"]:
        if bucket["Name"].startswith(f"{environment}-"):
            yield Found(Kind.BUCKET, bucket["Name"], bucket["Name"])


def _databases(environment: str) -> Iterator[Found]:
    for item in _pages("dsql", "list_clusters", "clusters"):
        cluster = aws("dsql").get_cluster(identifier=item["identifier"])
        if cluster["tags"]["environment"] == environment:
            yield Found(Kind.DATABASE, cluster["tags"]["Name"], item["identifier"], cluster["status"] == "ACTIVE")


def _distributions(environment: str) -> Iterator[Found]:
    for page in aws("cloudfront").get_paginator("list_distributions").paginate():
        for item in page["DistributionList"].get("Items", []):
            if item["Comment"].startswith(f"{environment}-"):
                yield Found(Kind.DISTRIBUTION, item["Comment"], item["Id"], item["Status"] == "Deployed")


_LOOKS: tuple[Callable[[str], Iterator[Found]], ...] = (
    _networks,
    _subnets,
    _security_groups,
    _queues,
    _tables,
    _buckets,
    _databases,
    _distributions,
)


def _pages(service: str, operation: str, part: str, **arguments: Any) -> Iterator[Any]:
    for page in aws(service).get_paginator(operation).paginate(**arguments):
        yield from page.get(part, [])


def _tagged(operation: str, part: str, environment: str) -> Iterator[Any]:
    return _pages("ec2", operation, part, Filters=[{"Name": "tag:environment", "Values": [environment]}])


def _name(tags: list[dict[str, str]]) -> str:
    return next(tag["Value"] for tag in tags if tag["Key"] == "Name")
