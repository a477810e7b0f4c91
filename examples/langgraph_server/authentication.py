"""Who asks: the server calls `authenticate` for every request, and one of the others before it does anything.

The tokens of this example are those of the variable `PEOPLE`, such as `{"a long secret": "alice"}`. With Cognito,
verify the access token's signature, issuer and expiry here instead, and take its `sub`.
"""

from __future__ import annotations

import json
import os
from typing import Any

from langgraph_sdk import Auth

auth = Auth()
people: dict[str, str] = json.loads(os.environ.get("PEOPLE", "{}"))


@auth.authenticate
async def authenticate(authorization: str | None) -> Auth.types.MinimalUserDict:
    """The user of a bearer token."""
    scheme, _, token = (authorization or "").partition(" ")
    user_id = people.get(token) if scheme.lower() == "bearer" else None
    if user_id is None:
        raise Auth.exceptions.HTTPException(status_code=401, detail="sign in: no valid token came with the request")
    return {"identity": user_id, "display_name": user_id.title()}


@auth.on
async def nothing_else(ctx: Auth.types.AuthContext, value: Any) -> bool:  # noqa: ARG001
    """Refuse what no function below allows."""
    return False


@auth.on.threads
async def only_ones_own(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> dict[str, str]:
    """Mark a thread that is made as its user's, and find no others."""
    value.setdefault("metadata", {})["owner"] = ctx.user.identity
    return {"owner": ctx.user.identity}


@auth.on.assistants.read
async def any_assistant(ctx: Auth.types.AuthContext, value: Any) -> bool:  # noqa: ARG001
    """Let everybody run the agents of `langgraph.json`."""
    return True


@auth.on.assistants.search
async def all_assistants(ctx: Auth.types.AuthContext, value: Any) -> bool:  # noqa: ARG001
    """Let everybody see which there are."""
    return True
