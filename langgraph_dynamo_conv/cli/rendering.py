"""Documents are filled-in files of `templates/`. HTML is escaped by itself, other text by the filter `quoted`."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from langgraph_dynamo_conv._format.visible import visible
from langgraph_dynamo_conv.cli.output import pretty, quoted


@cache
def template(name: str) -> Template:
    """A file of `templates/`, whose conversations, tags and names may hold anything.

    Its filters: `visible` for text of a page, `pretty` for values as JSON on a page, `quoted` for a string of YAML or
    Terraform, `literal` for text in which Terraform would find expressions.
    """
    environment = Environment(
        loader=PackageLoader("langgraph_dynamo_conv.cli"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(visible=visible, pretty=pretty, quoted=quoted, literal=_literal)
    return environment.get_template(name)


def _literal(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")
