"""Clients for the command line, by profile, region and endpoint. Their errors name the options that mend them."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoRegionError,
    ProfileNotFound,
    UnknownRegionError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.session import Session

from langgraph_dynamo_conv._arguments import shown
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
        raise _no_profile(error) from error
    except NoRegionError as error:
        raise CredentialsError("no AWS region is known: give --region, or set AWS_REGION") from error
    except BotoCoreError as error:
        raise CredentialsError(f"no client can be made: {error}. Check --profile, and the AWS_* variables") from error


def table_arn(
    table_name: str, account: str | None = None, region_name: str | None = None, profile_name: str | None = None
) -> str:
    """The ARN of a table; account and region are `*` where nothing says which. Sends nothing.

    Args:
        table_name: The table.
        account: The account's number, if it is known.
        region_name: The region; that of the profile or the environment if None.
        profile_name: The profile of the AWS configuration; `AWS_PROFILE`, or none, if None.

    Raises:
        CredentialsError: There is no such profile.
        ValueError: AWS has no region of that name.
    """
    session = Session(profile=profile_name)
    try:
        region_name = region_name or session.get_config_variable("region")
        partition = session.get_partition_for_region(region_name) if region_name else "aws"
    except ProfileNotFound as error:
        raise _no_profile(error) from error
    except UnknownRegionError as error:
        raise ValueError(f"AWS has no region {shown(region_name)}: check --region and AWS_REGION") from error
    return f"arn:{partition}:dynamodb:{region_name or '*'}:{account or '*'}:table/{table_name}"


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
            f"can't find your AWS account: {error}. Configure credentials, or choose another --profile"
        ) from error
    return str(answer["Account"]), str(answer["Arn"])


def _no_profile(error: ProfileNotFound) -> CredentialsError:
    return CredentialsError(f"{error}: give another --profile, or add it with `aws configure --profile`")
