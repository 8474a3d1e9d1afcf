"""The activities that talk to AWS.

An activity whose process dies between its effect and its record is called again. So each of them must be able to find
what an earlier attempt of the same call has left. AWS offers four ways, and each is shown once: see `create_database`
(a token), `create_queue` (a name, and asking again is fine), `create_table` (a name, and asking again is refused), and
`create_network` (nothing at all).
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from examples.provision.attempts import logged
from examples.provision.plan import Kind, Resource
from interp import Retry, activity, current_call

__all__ = ["CREATORS", "KEY_TAG", "NameTaken", "aws", "is_ready"]

# Every resource carries the idempotency key of the call that has made it.
KEY_TAG = "interp:key"

_RETRY = Retry(attempts=6, initial=timedelta(seconds=0.5), maximum=timedelta(seconds=20))
_TIMEOUT = timedelta(seconds=60)

_log = logging.getLogger("provision")


class NameTaken(Exception):
    """Something else has the name: a person must look at it, so that trying again would be wrong."""


@activity(retry=_RETRY, timeout=_TIMEOUT)
@logged
def create_database(resource: Resource) -> str:
    """Create a DSQL cluster."""
    # Way 1, the API takes a token. Asked twice with the same one, it answers with the first cluster.
    answer = aws("dsql").create_cluster(
        clientToken=current_call().idempotency_key, tags=_tags(resource), deletionProtectionEnabled=False
    )
    return str(answer["identifier"])


@activity(retry=_RETRY, timeout=_TIMEOUT)
@logged
def create_distribution(resource: Resource) -> str:
    """Create a CloudFront distribution in front of the service's first bucket."""
    # Way 1 again, with a twist: asked twice with the same token it refuses, and the refusal is our answer. Nobody else
    # has the token, so that what exists must be ours.
    key = current_call().idempotency_key
    try:
        answer = aws("cloudfront").create_distribution_with_tags(
            DistributionConfigWithTags={
                "DistributionConfig": _distribution(resource, key),
                "Tags": {"Items": _tag_list(resource)},
            }
        )
    except ClientError as error:
        if _code(error) != "DistributionAlreadyExists":
            raise
        _found(resource)
        return _distribution_of(key)
    return str(answer["Distribution"]["Id"])


@activity(retry=_RETRY, timeout=_TIMEOUT)
@logged
def create_queue(resource: Resource) -> str:
    """Create an SQS queue."""
    # Way 2, the name is the identity. A queue that exists with the same name and attributes is returned, so that there
    # is nothing to do: but the name must be the same in every attempt. It comes from the plan; never from a clock or
    # a random number in here.
    answer = aws("sqs").create_queue(
        QueueName=resource.name, Attributes={"VisibilityTimeout": "60"}, tags=_tags(resource)
    )
    return str(answer["QueueUrl"])


@activity(retry=_RETRY, timeout=_TIMEOUT)
@logged
def create_bucket(resource: Resource) -> str:
    """Create an S3 bucket."""
    # Way 2 again; outside us-east-1 S3 says BucketAlreadyOwnedByYou instead, which is as good. The tags are a request
    # of their own. A crash between the two leaves a bucket without tags, and the next attempt makes both again.
    try:
        aws("s3").create_bucket(Bucket=resource.name)
    except ClientError as error:
        if _code(error) != "BucketAlreadyOwnedByYou":
            raise
    aws("s3").put_bucket_tagging(Bucket=resource.name, Tagging={"TagSet": _tag_list(resource)})
    return resource.name


@activity(retry=_RETRY, timeout=_TIMEOUT, raises=NameTaken)
@logged
def create_table(resource: Resource) -> str:
    """Create a DynamoDB table."""
    # Way 3, the name is unique, and a second request is refused. Either an earlier attempt of this call has made the
    # table, or somebody else: the tag tells, and it is set in the same request that creates.
    table = aws("dynamodb")
    try:
        table.create_table(
            TableName=resource.name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            Tags=_tag_list(resource),
        )
    except ClientError as error:
        if _code(error) != "ResourceInUseException":
            raise
        arn = table.describe_table(TableName=resource.name)["Table"]["TableArn"]
        _check_ours(resource, table.list_tags_of_resource(ResourceArn=arn)["Tags"])
    return resource.name


@activity(retry=_RETRY, timeout=_TIMEOUT, raises=NameTaken)
@logged
def create_security_group(resource: Resource) -> str:
    """Create a security group."""
    # Way 3 again: names are unique within a network.
    ec2 = aws("ec2")
    try:
        answer = ec2.create_security_group(
            GroupName=resource.name,
            Description=f"{resource.service} of {resource.environment}",
            VpcId=resource.network,
            TagSpecifications=_tag_specification("security-group", resource),
        )
    except ClientError as error:
        if _code(error) != "InvalidGroup.Duplicate":
            raise
        named = [{"Name": "vpc-id", "Values": [resource.network]}, {"Name": "group-name", "Values": [resource.name]}]
        group = ec2.describe_security_groups(Filters=named)["SecurityGroups"][0]
        _check_ours(resource, group.get("Tags", []))
        return str(group["GroupId"])
    return str(answer["GroupId"])


@activity(retry=_RETRY, timeout=_TIMEOUT, raises=NameTaken)
@logged
def create_subnet(resource: Resource) -> str:
    """Create a subnet."""
    # Way 3 once more: two subnets of a network cannot have the same addresses.
    ec2 = aws("ec2")
    try:
        answer = ec2.create_subnet(
            VpcId=resource.network,
            CidrBlock=resource.cidr,
            TagSpecifications=_tag_specification("subnet", resource),
        )
    except ClientError as error:
        if _code(error) != "InvalidSubnet.Conflict":
            raise
        there = [{"Name": "vpc-id", "Values": [resource.network]}, {"Name": "cidr-block", "Values": [resource.cidr]}]
        subnet = ec2.describe_subnets(Filters=there)["Subnets"][0]
        _check_ours(resource, subnet.get("Tags", []))
        return str(subnet["SubnetId"])
    return str(answer["Subnet"]["SubnetId"])


@activity(retry=_RETRY, timeout=_TIMEOUT)
@logged
def create_network(resource: Resource) -> str:
    """Create a VPC."""
    # Way 4, neither token nor unique name: every request makes another VPC. So look first whether an earlier attempt of
    # this call has made one; it would carry our key, because the tag is set in the same request that creates. This
    # way has a gap: a request that an attempt has sent, and that AWS has not carried out yet when the next one looks.
    # Where that may happen, wait a while before you look (`current_call().attempt` and the worker's death tell when).
    ec2 = aws("ec2")
    ours = [{"Name": f"tag:{KEY_TAG}", "Values": [current_call().idempotency_key]}]
    for vpc in ec2.describe_vpcs(Filters=ours)["Vpcs"]:
        _found(resource)
        return str(vpc["VpcId"])
    answer = ec2.create_vpc(CidrBlock=resource.cidr, TagSpecifications=_tag_specification("vpc", resource))
    return str(answer["Vpc"]["VpcId"])


CREATORS: Mapping[Kind, Callable[[Resource], str]] = {
    Kind.NETWORK: create_network,
    Kind.SUBNET: create_subnet,
    Kind.SECURITY_GROUP: create_security_group,
    Kind.QUEUE: create_queue,
    Kind.TABLE: create_table,
    Kind.BUCKET: create_bucket,
    Kind.DATABASE: create_database,
    Kind.DISTRIBUTION: create_distribution,
}


@activity(retry=_RETRY, timeout=_TIMEOUT)
@logged
def is_ready(kind: Kind, resource_id: str) -> bool:
    """Ask whether a resource can be used."""
    # It only reads, and may be called any number of times. The waiting is the workflow's: a `sleep` there costs no
    # thread, and goes on while no process runs.
    match kind:
        case Kind.NETWORK:
            return bool(aws("ec2").describe_vpcs(VpcIds=[resource_id])["Vpcs"][0]["State"] == "available")
        case Kind.SUBNET:
            return bool(aws("ec2").describe_subnets(SubnetIds=[resource_id])["Subnets"][0]["State"] == "available")
        case Kind.SECURITY_GROUP:
            return bool(aws("ec2").describe_security_groups(GroupIds=[resource_id])["SecurityGroups"])
        case Kind.QUEUE:
            return bool(aws("sqs").get_queue_attributes(QueueUrl=resource_id, AttributeNames=["QueueArn"]))
        case Kind.TABLE:
            return bool(aws("dynamodb").describe_table(TableName=resource_id)["Table"]["TableStatus"] == "ACTIVE")
        case Kind.BUCKET:
            return bool(aws("s3").head_bucket(Bucket=resource_id))
        case Kind.DATABASE:
            return bool(aws("dsql").get_cluster(identifier=resource_id)["status"] == "ACTIVE")
        case Kind.DISTRIBUTION:
            return bool(aws("cloudfront").get_distribution(Id=resource_id)["Distribution"]["Status"] == "Deployed")


_making_clients = threading.Lock()


def aws(service: str) -> Any:
    """Return this process's client of an AWS service; clients may be used from any thread."""
    with _making_clients:  # making them may not, and takes so long that each is made once
        return _client(service)


@functools.cache
def _client(service: str) -> Any:
    # Retries are interp's: with two policies on top of each other nobody could say how often something is tried, and
    # only ours are in the history.
    return boto3.client(service, config=Config(retries={"total_max_attempts": 1}))


def _tags(resource: Resource) -> dict[str, str]:
    return {
        "Name": resource.name,
        "environment": resource.environment,
        KEY_TAG: current_call().idempotency_key,
    }


def _tag_list(resource: Resource) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in _tags(resource).items()]


def _tag_specification(ec2_type: str, resource: Resource) -> list[dict[str, Any]]:
    return [{"ResourceType": ec2_type, "Tags": _tag_list(resource)}]


def _check_ours(resource: Resource, tags: list[dict[str, str]]) -> None:
    """Accept what exists when this very call has made it, and nothing else."""
    key = current_call().idempotency_key
    if {"Key": KEY_TAG, "Value": key} not in tags:
        raise NameTaken(f"{resource.kind} {resource.name} exists, and was not made by {key}")
    _found(resource)


def _found(resource: Resource) -> None:
    _log.info("found %s %s: an earlier attempt has made it", resource.kind, resource.name)


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _distribution(resource: Resource, key: str) -> dict[str, Any]:
    bucket = f"{resource.environment}-{resource.service}-bucket-1.s3.amazonaws.com"
    return {
        "CallerReference": key,
        "Comment": resource.name,
        "Enabled": True,
        "Origins": {
            "Quantity": 1,
            "Items": [{"Id": "bucket", "DomainName": bucket, "S3OriginConfig": {"OriginAccessIdentity": ""}}],
        },
        "DefaultCacheBehavior": {
            "TargetOriginId": "bucket",
            "ViewerProtocolPolicy": "redirect-to-https",
            "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",  # AWS's own policy CachingOptimized
        },
    }


def _distribution_of(key: str) -> str:
    """Return the id of the distribution with a token; the list does not show tokens, so each is asked for."""
    cloudfront = aws("cloudfront")
    for page in cloudfront.get_paginator("list_distributions").paginate():
        for item in page["DistributionList"].get("Items", []):
            found = cloudfront.get_distribution(Id=item["Id"])["Distribution"]
            if found["DistributionConfig"]["CallerReference"] == key:
                return str(item["Id"])
    raise LookupError(f"CloudFront says that {key} exists, and does not list it")
