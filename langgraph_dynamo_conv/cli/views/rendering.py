"""Documents are filled-in files of `templates/`.

The rule: every expression of an HTML template is made `visible` and then escaped, by the environment and not by the
template, which can't forget it. In other documents it is `quoted`.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from langgraph_dynamo_conv._visible import visible
from langgraph_dynamo_conv.cli.output import pretty, quoted


@cache
def template(name: str) -> Template:
    """A file of `templates/`, whose conversations, tags and names may hold anything.

    Its filters: `pretty` for values as JSON on a page, `quoted` for a string of YAML or Terraform, `literal` for text
    in which Terraform would find expressions.
    """
    environment = Environment(
        loader=PackageLoader("langgraph_dynamo_conv.cli"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(pretty=pretty, quoted=quoted, literal=_literal)
    return environment.get_template(name)


def _literal(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")
