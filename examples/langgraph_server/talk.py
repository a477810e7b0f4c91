"""A conversation with the server, in a terminal: `python talk.py TOKEN [--thread ID] TEXT...`."""

from __future__ import annotations

import argparse
from typing import Any

from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("token", help="one of those in PEOPLE")
    parser.add_argument("texts", nargs="+", help="what to say, one turn each")
    parser.add_argument("--thread", help="the conversation to go on with (default: a new one)")
    parser.add_argument("--url", default="http://127.0.0.1:2024", help="the server (default: %(default)s)")
    arguments = parser.parse_args()
    with get_sync_client(url=arguments.url, headers={"Authorization": f"Bearer {arguments.token}"}) as client:
        thread_id = arguments.thread or client.threads.create()["thread_id"]
        print(f"thread {thread_id}")
        for text in arguments.texts:
            print(f"\nyou: {text}")
            turn(client, thread_id, text)


def turn(client: SyncLangGraphClient, thread_id: str, text: str) -> None:
    """Say something, approve what the agent asks for, and print its answer."""
    said: Any = {"messages": [{"role": "user", "content": text}]}
    state: Any = client.runs.wait(thread_id, "assistant", input=said)
    while waiting := state.get("__interrupt__"):
        requests = waiting[0]["value"]["action_requests"]
        decisions = [{"type": "approve" if is_approved(request) else "reject"} for request in requests]
        answers: Any = {"decisions": decisions}
        state = client.runs.wait(thread_id, "assistant", command={"resume": answers})
    print(f"assistant: {state['messages'][-1]['content']}")


def is_approved(request: dict[str, Any]) -> bool:
    """Whether the person lets a tool be called."""
    return input(f"may it call {request['name']} with {request['args']}? [y/n] ").strip().lower() == "y"


if __name__ == "__main__":
    main()
