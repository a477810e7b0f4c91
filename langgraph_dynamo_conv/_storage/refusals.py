"""What AWS's words say of a refusal: which action of which service, by what kind of policy, or for want of what.

The forms are those of the IAM User Guide, "Troubleshoot access denied error messages", DynamoDB's words of a key that
it can't use, and the API Reference's `ThrottlingReason`. A policy that only a person outside the account can change is
told so: no policy of the role's own helps there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

PolicyKind = Literal[
    "identity-based policy",
    "permissions boundary",
    "resource-based policy",
    "resource control policy",
    "service control policy",
    "session policy",
    "VPC endpoint policy",
]
"""AWS's words for the kinds of policies that can deny a request."""

_ACTION = re.compile(r"(?<![:\w])(?:dynamodb|s3|kms):[A-Z]\w+")
_ARN = re.compile(r"arn:[\w-]+:[\w-]*:[^\s,]*[\w/*]")
_POLICY = re.compile(f"({'|'.join(get_args(PolicyKind))})", re.IGNORECASE)
_EXPLICIT = "explicit deny"
_KEY = re.compile(r"KMS key|AWSKMS|\bkms[:.]\w+|customer master key", re.IGNORECASE)
_KEY_IS_OUT = re.compile(r"disabled|pending deletion|does not exist|invalid ?state|not ?found", re.IGNORECASE)
"""What AWS says of a key that nobody can use."""

_WHOSE: dict[PolicyKind, tuple[str, str]] = {
    "permissions boundary": ("the permissions boundary of the role", "change it there"),
    "resource control policy": ("a resource control policy", "the organization's administrators can change it"),
    "service control policy": ("a service control policy", "the organization's administrators can change it"),
    "session policy": ("the session policy", "change what the role is assumed with"),
    "VPC endpoint policy": ("the policy of the VPC endpoint that was used", "change it there"),
}
"""Policies that a policy of the role does not help against: how they are called here, and what does help."""

_LIMITS = {
    "KeyRangeThroughputExceeded": "one partition key takes more than a partition gives: spread the load over more "
    "{spread}, or wait until DynamoDB has split the partition",
    "AccountLimitExceeded": "the account's quota for a table is used up: ask AWS for a higher one (Service Quotas)",
    "MaxOnDemandThroughputExceeded": "the maximum that was set for the {what} is used up: raise it",
    "ProvisionedThroughputExceeded": "the provisioned capacity of the {what} is used up: raise it, or bill by request",
}
"""Remedies by the last part of DynamoDB's reasons, `<Table or Index><Read or Write><limit>`."""

_THROTTLED = "slow down, and repeat it later"


class Denial(NamedTuple):
    """A request that was not allowed.

    Args:
        action: What was not allowed, such as "dynamodb:Query".
        policy: The kind of policy that denies or does not allow it; None where AWS does not say.
        remedy: What to do.
    """

    action: str
    policy: PolicyKind | None
    remedy: str


def is_of_key(message: str) -> bool:
    """Whether DynamoDB or S3 speak of the key that what they store is encrypted with."""
    return _KEY.search(message) is not None


def denial(message: str, action: str, resource: str) -> Denial:
    """What is to be allowed, and where.

    Args:
        message: AWS's words.
        action: What was asked for, if they do not name it.
        resource: What a policy of the role must allow it on.
    """
    named = _ACTION.search(message)
    action = named[0] if named else "kms:Decrypt" if is_of_key(message) else action
    found = _POLICY.search(message)
    policy = next((kind for kind in get_args(PolicyKind) if found and kind.lower() == found[0].lower()), None)
    is_denied = _EXPLICIT in message
    if action.startswith("kms:"):
        return Denial(action, policy, _of_key(message, action, policy, is_denied=is_denied))
    return Denial(action, policy, _of_policy(policy, action, resource, is_denied=is_denied))


def _of_policy(policy: PolicyKind | None, action: str, resource: str, *, is_denied: bool) -> str:
    if policy in _WHOSE:
        whose, help_ = _WHOSE[policy]
        return f"{whose} {'denies' if is_denied else 'does not allow'} {action}: {help_}"
    if is_denied:
        whose = "of the table or bucket" if policy == "resource-based policy" else "of the role"
        return f"a statement with Effect Deny in a policy {whose} denies {action}: remove or narrow it"
    return f"allow {action} on {resource}"


def _of_key(message: str, action: str, policy: PolicyKind | None, *, is_denied: bool) -> str:
    key = next((arn for arn in _ARN.findall(message) if ":kms:" in arn), None)
    which = f"the KMS key {key}" if key is not None else "the KMS key that it is encrypted with"
    if policy in _WHOSE or is_denied:
        return _of_policy(policy, f"{action} on {which}", which, is_denied=is_denied)
    allowed = f"allow {action} on {which} to the role, in the role's policy and in the key's"
    if _KEY_IS_OUT.search(message):
        return f"enable {which}, or cancel its deletion, at once: after seven days a table is archived. Else {allowed}"
    return allowed


class Shortage(NamedTuple):
    """Why a request was throttled.

    Args:
        reason: DynamoDB's word, such as "IndexWriteKeyRangeThroughputExceeded"; None where it gives none.
        resource: The ARN of the table or index; None likewise.
        remedy: What to do.
    """

    reason: str | None
    resource: str | None
    remedy: str


def shortage(answer: Mapping[str, Any]) -> Shortage:
    """What DynamoDB says of its reasons, from the answer as botocore has taken it apart."""
    reasons = answer.get("ThrottlingReasons") or answer.get("throttlingReasons") or ()
    first: Mapping[str, Any] = next(iter(reasons), {})
    reason, resource = first.get("reason"), first.get("resource")
    if reason is None:
        return Shortage(None, None, _THROTTLED)
    limit = next((text for name, text in _LIMITS.items() if str(reason).endswith(name)), _THROTTLED)
    is_index = str(reason).startswith("Index")
    what, spread = ("index", "users") if is_index else ("table", "conversations")
    return Shortage(str(reason), resource, limit.format(what=what, spread=spread))
