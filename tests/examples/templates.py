"""The example's templates as CloudFormation reads them: with parameters given, conditions decided, and choices made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

LAMBDA = Path(__file__).resolve().parents[2] / "examples" / "lambda"
NO_VALUE = {"Ref": "AWS::NoValue"}


class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref X` becomes `{"Ref": "X"}`."""


def short_form(loader: yaml.SafeLoader, name: str, node: Any) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {name: loader.construct_sequence(node, deep=True)}


TemplateLoader.add_multi_constructor("!", short_form)


class Stack:
    """A template with its parameters.

    Args:
        name: The template's file.
        given: Parameters; the others have their defaults.
    """

    def __init__(self, name: str, **given: Any) -> None:
        self.template = yaml.load((LAMBDA / name).read_text(), Loader=TemplateLoader)
        assert given.keys() <= self.template["Parameters"].keys()
        defaults = {key: one.get("Default") for key, one in self.template["Parameters"].items()}
        self._parameters = {**defaults, **given}

    @property
    def resources(self) -> dict[str, Any]:
        """The resources that are made."""
        made = {name: one for name, one in self.template["Resources"].items() if self._holds(one.get("Condition"))}
        return {name: self.value(one) for name, one in made.items()}

    @property
    def outputs(self) -> dict[str, Any]:
        """What the stack tells."""
        return {name: self.value(one["Value"]) for name, one in self.template["Outputs"].items()}

    def value(self, node: Any) -> Any:
        """A part of the template with parameters filled in and choices made; references to resources stay."""
        if isinstance(node, list):
            return [self.value(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "If" in node:
            condition, then, otherwise = node["If"]
            return self.value(then if self._holds(condition) else otherwise)
        if node.keys() == {"Ref"} and node["Ref"] in self._parameters:
            return self._parameters[node["Ref"]]
        if node.keys() == {"Sub"}:
            return {"Sub": re.sub(r"\$\{(\w+)\}", self._filled, node["Sub"])}
        values = {name: self.value(one) for name, one in node.items()}
        return {name: one for name, one in values.items() if one != NO_VALUE}

    def _filled(self, match: re.Match[str]) -> str:
        return str(self._parameters.get(match[1], match[0]))

    def _holds(self, condition: Any) -> bool:
        """Whether a condition holds; None always does."""
        if condition is None:
            return True
        if isinstance(condition, str):
            return self._holds(self.template["Conditions"][condition])
        ((kind, content),) = condition.items()
        if kind == "Equals":
            one, other = self.value(content)
            return str(one) == str(other)
        if kind == "Condition":
            return self._holds(content)
        parts = [self._holds(one) for one in content]
        return not parts[0] if kind == "Not" else all(parts)
