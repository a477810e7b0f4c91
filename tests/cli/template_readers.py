"""What templates of the command line say: parsed, Terraform's own syntax as its JSON, and in the words of neither."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from langgraph_dynamo_conv.cli.infrastructure import TemplateOptions, cloudformation, terraform_json


def of_cloudformation(options: TemplateOptions) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(cloudformation(options))
    return document


def cloudformation_table(options: TemplateOptions) -> dict[str, Any]:
    properties: dict[str, Any] = of_cloudformation(options)["Resources"]["ConversationsTable"]["Properties"]
    return properties


def cloudformation_statements(options: TemplateOptions) -> list[dict[str, Any]]:
    policy = of_cloudformation(options)["Resources"]["RuntimePolicy"]["Properties"]["PolicyDocument"]
    statements: list[dict[str, Any]] = policy["Statement"]
    return statements


def of_terraform(options: TemplateOptions) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(terraform_json(options))
    return document


def terraform_table(options: TemplateOptions) -> dict[str, Any]:
    table: dict[str, Any] = of_terraform(options)["resource"]["aws_dynamodb_table"]["conversations"]
    return table


def terraform_statements(options: TemplateOptions) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = of_terraform(options)["data"]["aws_iam_policy_document"]["runtime"]["statement"]
    return statements


def from_hcl(text: str) -> dict[str, Any]:
    """A document in Terraform's own syntax as in its JSON syntax; for what the template uses of it."""
    body = of_hcl(iter(text.splitlines()))
    body["terraform"] = body["terraform"][0]
    return body


def of_hcl(lines: Iterator[str]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for line in lines:
        if line.strip() == "}":
            break
        if argument := re.fullmatch(r' *(\w+|"(?:[^"\\]|\\.)*") *= (.+)', line):
            name, value = argument.groups()
            key = yaml.safe_load(name) if name.startswith('"') else name
            if value.startswith("<<-"):
                body[key] = of_heredoc(lines, value[3:])
            elif key == "ignore_changes":  # JSON has names here, and no references
                body[key] = value[1:-1].split(", ")
            else:
                body[key] = of_hcl(lines) if value == "{" else value_of_hcl(value)
        elif opened := re.fullmatch(r' *(\w+)((?: "\w+")*) \{', line):
            kind, *labels = [opened[1], *re.findall(r"\w+", opened[2])]
            if not labels:
                body.setdefault(kind, []).append(of_hcl(lines))
                continue
            place = body.setdefault(kind, {})
            for label in labels[:-1]:
                place = place.setdefault(label, {})
            place[labels[-1]] = of_hcl(lines)
        else:
            assert line.strip() == "", line
    return body


def of_heredoc(lines: Iterator[str], end: str) -> str:
    text = []
    while (line := next(lines)).strip() != end:
        text.append(line + "\n")
    return textwrap.dedent("".join(text))


def value_of_hcl(text: str) -> Any:
    if text.startswith("["):
        return [value_of_hcl(one) for one in text[1:-1].split(", ")]
    if text.startswith('"') or text in ("true", "false") or text.isdigit():
        return yaml.safe_load(text)  # Terraform has the escapes of YAML that the template uses
    return text if text in ("string", "number") else f"${{{text}}}"


# --- what a template says, in the words of neither ----------------------------------------------------------


def said_by_cloudformation(options: TemplateOptions) -> dict[str, Any]:
    document = of_cloudformation(options)
    resources, parameters = document["Resources"], document["Parameters"]
    table = resources.get("ConversationsTable", {}).get("Properties", {})
    index = table.get("GlobalSecondaryIndexes", [{}])[0]
    named = {name: one["Properties"] for name, one in resources.items()}
    said = {
        "billing": table.get("BillingMode"),
        "protected": table.get("DeletionProtectionEnabled"),
        "key": table.get("SSESpecification", {}).get("KMSMasterKeyId"),
        "stream": table.get("StreamSpecification", {}).get("StreamViewType"),
        "limits": [one.get("OnDemandThroughput", {}).get("MaxWriteRequestUnits") for one in (table, index)],
        "units": [
            sorted(one["Ref"].lower() for one in place.get("ProvisionedThroughput", {}).values())
            for place in (table, index)
        ],
        "bounds": {name.lower(): one["Default"] for name, one in parameters.items() if name.endswith("Units")},
        "scaled": {
            name.removesuffix("Capacity").lower(): (
                one["ScalableDimension"],
                one["ResourceId"]["Fn::Sub"].partition("}")[2],
                one["MinCapacity"]["Ref"].lower(),
                one["MaxCapacity"]["Ref"].lower(),
            )
            for name, one in named.items()
            if name.endswith("Capacity")
        },
        "targets": {
            name.removesuffix("Scaling").lower(): (
                one["ScalingTargetId"]["Ref"].removesuffix("Capacity").lower(),
                one["TargetTrackingScalingPolicyConfiguration"]["TargetValue"],
                one["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"][
                    "PredefinedMetricType"
                ],
            )
            for name, one in named.items()
            if name.endswith("Scaling")
        },
        "runtime": allowed_in_cloudformation(named["RuntimePolicy"]["PolicyDocument"]),
    }
    if not options.consumer:
        return said
    source = named["ExpiredObjectsSource"]
    (policy,) = named["ExpiredObjectsRole"]["Policies"]
    return said | {
        "consumer": allowed_in_cloudformation(policy["PolicyDocument"]),
        "code": named["ExpiredObjects"]["Code"]["ZipFile"],
        "runs": [named["ExpiredObjects"][name] for name in ("Runtime", "Handler", "Timeout")],
        "bucket": [named["ExpiredObjects"]["Environment"]["Variables"][name] for name in ("BUCKET", "PREFIX")],
        "answers": source["FunctionResponseTypes"],
        "retries": (source["StartingPosition"], source["BisectBatchOnFunctionError"], source["MaximumRetryAttempts"]),
        "filter": [json.loads(one["Pattern"]) for one in source["FilterCriteria"]["Filters"]],
    }


def allowed_in_cloudformation(policy: dict[str, Any]) -> dict[str, Any]:
    return {one["Sid"]: (one["Action"], one.get("Condition", {})) for one in policy["Statement"]}


def said_by_terraform(options: TemplateOptions) -> dict[str, Any]:
    document = of_terraform(options)
    resources, variables, data = document["resource"], document["variable"], document["data"]
    table = resources.get("aws_dynamodb_table", {}).get("conversations", {})
    (index,) = table.get("global_secondary_index", [{}])
    targets, policies = resources.get("aws_appautoscaling_target", {}), resources.get("aws_appautoscaling_policy", {})
    said = {
        "billing": table.get("billing_mode"),
        "protected": table.get("deletion_protection_enabled"),
        "key": table.get("server_side_encryption", [{}])[0].get("kms_key_arn"),
        "stream": table.get("stream_view_type"),
        "limits": [one.get("on_demand_throughput", [{}])[0].get("max_write_request_units") for one in (table, index)],
        "units": [
            sorted(variable(place[name]) for name in ("read_capacity", "write_capacity") if name in place)
            for place in (table, index)
        ],
        "bounds": {name.replace("_", ""): one["default"] for name, one in variables.items() if name.endswith("units")},
        "scaled": {
            name.replace("_", ""): (
                one["scalable_dimension"],
                one["resource_id"].partition("}")[2],
                variable(one["min_capacity"]),
                variable(one["max_capacity"]),
            )
            for name, one in targets.items()
        },
        "targets": {
            name.replace("_", ""): (
                one["resource_id"].split(".")[1].replace("_", ""),
                one["target_tracking_scaling_policy_configuration"][0]["target_value"],
                one["target_tracking_scaling_policy_configuration"][0]["predefined_metric_specification"][0][
                    "predefined_metric_type"
                ],
            )
            for name, one in policies.items()
        },
        "runtime": allowed_in_terraform(data["aws_iam_policy_document"]["runtime"]),
    }
    if not options.consumer:
        return said
    function, source = (
        resources["aws_lambda_function"]["consumer"],
        resources["aws_lambda_event_source_mapping"]["consumer"],
    )
    return said | {
        "consumer": allowed_in_terraform(data["aws_iam_policy_document"]["consumer"]),
        "code": data["archive_file"]["consumer"]["source"][0]["content"],
        "runs": [function[name] for name in ("runtime", "handler", "timeout")],
        "bucket": [function["environment"][0]["variables"][name] for name in ("BUCKET", "PREFIX")],
        "answers": source["function_response_types"],
        "retries": (
            source["starting_position"],
            source["bisect_batch_on_function_error"],
            source["maximum_retry_attempts"],
        ),
        "filter": [json.loads(one["pattern"]) for one in source["filter_criteria"][0]["filter"]],
    }


def variable(reference: str) -> str:
    return reference.removeprefix("${var.").removesuffix("}").replace("_", "")


def allowed_in_terraform(policy: dict[str, Any]) -> dict[str, Any]:
    return {
        one["sid"]: (
            one["actions"],
            {met["test"]: {met["variable"]: met["values"][0]} for met in one.get("condition", [])},
        )
        for one in policy["statement"]
    }
