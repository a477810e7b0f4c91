"""Clients for the command line, by profile, region and endpoint. Their errors name the options that mend them."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoRegionError,
    ProfileNotFound,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from langgraph_dynamo_conv._storage.client import new_client
from langgraph_dynamo_conv.errors import CredentialsError, EndpointError

_ATTEMPTS = 3
"""Fewer than a saver's: a person is waiting."""


def client_of(
    service: str, *, region_name: str | None = None, endpoint_url: str | None = None, profile_name: str | None = None
) -> Any:
    """A boto3 client. Sends nothing.

    Args:
        service: "dynamodb", "sts", ….
        region_name: The region; that of the profile or the environment if None.
        endpoint_url: The endpoint; AWS's, or that of the environment, if None.
        profile_name: The profile of the AWS configuration; `AWS_PROFILE`, or none, if None.

    Raises:
        CredentialsError: There is no such profile, or no region.
        ValueError: The endpoint is no URL.
    """
    try:
        return new_client(
            service,
            region_name=region_name,
            endpoint_url=endpoint_url,
            profile_name=profile_name,
            attempts=_ATTEMPTS,
        )
    except ProfileNotFound as error:
        raise CredentialsError(f"{error}: give another --profile, or add it with `aws configure --profile`") from error
    except NoRegionError as error:
        raise CredentialsError("no AWS region is known: give --region, or set AWS_REGION") from error
    except BotoCoreError as error:
        raise CredentialsError(f"no client can be made: {error}. Check --profile, and the AWS_* variables") from error


def table_arn(client: Any, account: str, table_name: str) -> str:
    """The ARN of a table in a client's region."""
    return f"arn:{client.meta.partition}:dynamodb:{client.meta.region_name}:{account}:table/{table_name}"


def caller(sts: Any) -> tuple[str, str]:
    """The account and the ARN that a client of STS has. Needs no permission.

    Raises:
        CredentialsError: There are no credentials, or AWS does not accept them.
        EndpointError: STS did not answer.
    """
    try:
        answer: dict[str, Any] = sts.get_caller_identity()
    except (BotoConnectionError, HTTPClientError) as error:
        raise EndpointError(f"no answer from STS at {sts.meta.endpoint_url}: {error}. Check the network") from error
    except (ClientError, BotoCoreError) as error:
        raise CredentialsError(
            f"can't find your AWS account: {error}. Configure credentials, or pass --account where a command has it"
        ) from error
    return str(answer["Account"]), str(answer["Arn"])
