"""AWS's words of a refusal, in the forms of its documents, and what a person is told to do."""

from __future__ import annotations

from typing import get_args

import pytest

from langgraph_dynamo_conv._storage.refusals import PolicyKind, denial, shortage

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/conversations"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = "arn:aws:sts::123456789012:assumed-role/chat/function"
ARNS = {
    "service control policy": "arn:aws:organizations::987654321098:policy/o-q/service_control_policy/p-2",
    "permissions boundary": "arn:aws:iam::123456789012:policy/boundary",
}

OUTSIDE_THE_ROLE = {
    "permissions boundary": "permissions boundary",
    "resource control policy": "organization's administrators",
    "service control policy": "organization's administrators",
    "session policy": "what the role is assumed with",
    "VPC endpoint policy": "policy of the VPC endpoint",
}


def implicit(kind: str, action: str = "dynamodb:GetItem", resource: str = TABLE) -> str:
    asked = f"User: {ROLE} is not authorized to perform: {action} on resource: {resource}"
    return f"{asked} because no {kind} allows the {action} action"


def explicit(kind: str, action: str = "dynamodb:GetItem", resource: str = TABLE) -> str:
    asked = f"User: {ROLE} is not authorized to perform: {action} on resource: {resource}"
    return f"{asked} with an explicit deny in a {kind}" + (f": {ARNS[kind]}" if kind in ARNS else "")


def told(message: str) -> str:
    return denial(message, "dynamodb:GetItem", "the table and its index/*").remedy


@pytest.mark.parametrize("form", [implicit, explicit])
@pytest.mark.parametrize("kind", get_args(PolicyKind))
def test_the_kind_of_policy_is_found_in_every_form(kind: str, form: object) -> None:
    message = implicit(kind) if form is implicit else explicit(kind)

    found = denial(message, "dynamodb:Scan", "the table")

    assert (found.action, found.policy) == ("dynamodb:GetItem", kind)


@pytest.mark.parametrize("kind", OUTSIDE_THE_ROLE)
def test_what_a_policy_of_the_role_does_not_help_against_is_not_told_to_allow_it_there(kind: str) -> None:
    for message, verb in ((implicit(kind), "does not allow"), (explicit(kind), "denies")):
        assert f"{verb} dynamodb:GetItem" in told(message)
        assert OUTSIDE_THE_ROLE[kind] in told(message)
        assert "allow dynamodb:GetItem on" not in told(message)


def test_what_the_roles_own_policy_lacks_is_to_be_allowed_there() -> None:
    assert told(implicit("identity-based policy")) == "allow dynamodb:GetItem on the table and its index/*"
    assert told("User: x is not authorized") == "allow dynamodb:GetItem on the table and its index/*"


@pytest.mark.parametrize(("kind", "whose"), [("identity-based policy", "role"), ("resource-based policy", "table")])
def test_an_explicit_deny_is_to_be_removed_and_not_outvoted(kind: str, whose: str) -> None:
    assert "Effect Deny" in told(explicit(kind))
    assert whose in told(explicit(kind))


def test_a_key_that_the_role_may_not_use_is_named_with_its_action() -> None:
    found = denial(implicit("identity-based policy", "kms:Decrypt", KEY), "dynamodb:GetItem", "the table")

    assert found.action == "kms:Decrypt"
    assert found.remedy == f"allow kms:Decrypt on the KMS key {KEY} to the role, in the role's policy and in the key's"


def test_a_key_that_an_organization_denies_is_no_affair_of_the_key() -> None:
    assert told(explicit("service control policy", "kms:Decrypt", KEY)).startswith(
        f"a service control policy denies kms:Decrypt on the KMS key {KEY}"
    )


@pytest.mark.parametrize(
    "said",
    [
        (
            "KMS key access denied error: com.amazonaws.services.kms.model.AWSKMSException: The ciphertext refers to a "
            "customer master key that does not exist, does not exist in this region, or you are not allowed to access. "
            "(Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException)"
        ),
        f"KMS key disabled error: {KEY} is disabled.",
        f"{KEY} is pending deletion (Service: AWSKMS; Status Code: 400; Error Code: KMSInvalidStateException)",
        f"KMS.DisabledException: {KEY} is disabled.",
        f"KMS.NotFoundException: Key '{KEY}' does not exist",
    ],
)
def test_a_key_that_is_gone_or_disabled_is_to_be_enabled_in_the_time_that_is_left(said: str) -> None:
    found = denial(said, "dynamodb:PutItem", "the table")

    assert found.action == "kms:Decrypt"
    assert found.remedy.startswith("enable the KMS key")
    assert "after seven days a table is archived" in found.remedy
    assert (KEY in found.remedy) == (KEY in said)


@pytest.mark.parametrize("name", ["kms:key", "dynamodb:table", "arn:aws:kms:eu-west-1:1:key/permissions"])
def test_a_part_of_an_arn_is_no_action(name: str) -> None:
    assert denial(f"User: {name} may not", "dynamodb:PutItem", "t").action in ("dynamodb:PutItem", "kms:Decrypt")


@pytest.mark.parametrize("what", ["Table", "Index"])
@pytest.mark.parametrize("operation", ["Read", "Write"])
@pytest.mark.parametrize(
    ("limit", "remedy"),
    [
        ("KeyRangeThroughputExceeded", "one partition key"),
        ("AccountLimitExceeded", "quota"),
        ("MaxOnDemandThroughputExceeded", "maximum that was set for the {what}"),
        ("ProvisionedThroughputExceeded", "provisioned capacity of the {what}"),
    ],
)
def test_each_of_dynamodbs_reasons_has_a_remedy(what: str, operation: str, limit: str, remedy: str) -> None:
    reason = f"{what}{operation}{limit}"

    for name in ("ThrottlingReasons", "throttlingReasons"):
        found = shortage({name: [{"reason": reason, "resource": TABLE}]})

        assert (found.reason, found.resource) == (reason, TABLE)
        assert remedy.format(what=what.lower()) in found.remedy


@pytest.mark.parametrize("answer", [{}, {"ThrottlingReasons": []}, {"ThrottlingReasons": [{"resource": TABLE}]}])
def test_without_a_reason_the_error_says_to_slow_down(answer: dict[str, object]) -> None:
    assert shortage(answer) == (None, None, "slow down, and repeat it later")
