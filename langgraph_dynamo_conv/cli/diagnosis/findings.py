"""What a check found, in words, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from langgraph_dynamo_conv.errors import AccessDeniedError, DynamoConvError, RequestFailedError

OK, NOTE, WRONG = "ok", "note", "wrong"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Args:
        check: What was checked, in a word or two.
        verdict: `OK`, `NOTE` (it works, but deserves a thought) or `WRONG`.
        said: The result in words.
        remedy: What to do; None if nothing.
    """

    check: str
    verdict: str
    said: str
    remedy: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them; a missing remedy is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def setting(check: str, look: Callable[[], Finding]) -> Finding:
    """The finding about a setting; a note if this role or this endpoint does not let it be read."""
    try:
        return look()
    except AccessDeniedError as error:
        return Finding(check, NOTE, "this role may not look", allow(error))
    except RequestFailedError as error:
        return Finding(check, NOTE, f"the endpoint does not tell ({error})", "none needed if it is not AWS")
    except DynamoConvError as error:
        return Finding(check, WRONG, str(error), "run `doctor` again")


def allow(error: AccessDeniedError) -> str:
    """What to do where whoever sets up may not look at something."""
    printed = "" if str(error.action).startswith("s3:") else ": `iam-policy --for setup`"
    return f"allow {error.action} to those who set up, not to agents{printed}"
