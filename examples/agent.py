"""An assistant for a library of renders, or of any files, whose memory is one DynamoDB table, and nothing else.

It searches with tools, talks with a person in the terminal, and keeps every user's conversations. Each turn builds a
new saver and a new graph, as a Lambda function would: "show me the first one" works because the state comes back from
the table.

    python examples/agent.py           # renders, a table inside this process, and no language model
    python examples/agent.py --demo    # a dialogue that plays itself, a process for each step, and checks the table
    python examples/agent.py --folder ~/Videos --user alice
    python examples/agent.py --model openai:gpt-4.1    # any LangChain chat model, with its package and key
    python examples/agent.py --table my-conversations --region eu-central-1
    python examples/agent.py --table test --endpoint-url http://localhost:8000 --setup
    python examples/agent.py --table my-conversations --say "Show me 4K renders" --say "Show me the first one"

In the chat: /list /open N /new /history /help /quit
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assistant import build_graph, model_maker
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from library import FileLibrary, Library
from offline_model import OfflineFileModel
from plan_runs import run_turn
from renders import RenderLibrary
from table import Table, open_table
from terminal import safe

from langgraph_dynamo_conv.errors import ConversationNotFoundError

COMMANDS = """\
  /list      your conversations, newest first
  /open N    go on with number N of that list
  /new       start another conversation
  /history   this conversation as it is stored
  /help      this
  /quit      leave; the conversation stays in the table"""
EMBEDDED = "embedded in this process; it vanishes at exit. A real one: --table NAME"
LISTED_CONVERSATIONS = 20


# The terminal.


class Chat:
    """One user at the terminal. It holds which conversation is open; all else is in the table."""

    def __init__(
        self,
        table: Table,
        user: str,
        library: Library,
        make_model: Callable[[], BaseChatModel] = OfflineFileModel,
    ) -> None:
        self.table, self.user, self.files, self.make_model = table, user, library, make_model
        self.config = self._new_config()
        self._commands: dict[str, Callable[[str], None]] = {
            "/list": lambda _: self.list_conversations(),
            "/open": self.open,
            "/new": lambda _: self.new(),
            "/history": lambda _: self.show_history(),
            "/help": lambda _: print(COMMANDS),
        }

    @property
    def conversation_id(self) -> str:
        """The open conversation."""
        return str(self.config["configurable"]["thread_id"])

    def handle(self, line: str) -> bool:
        """Do what was typed; False if that was to leave."""
        command, _, rest = line.strip().partition(" ")
        if command in ("/quit", "/exit"):
            return False
        if command in self._commands:
            self._commands[command](rest.strip())
        elif command.startswith("/"):
            print(f"There is no command {command}. These are:\n{COMMANDS}")
        elif command:
            self.say(line.strip())
        return True

    def say(self, text: str) -> None:
        """One turn, with a saver and a graph of its own."""
        with self.table.saver() as saver:
            graph = build_graph(self.make_model(), self.files, saver)
            for message in run_turn(graph, self.config, text):
                _print_message(message)

    def resume(self) -> bool:
        """Open the user's newest conversation; False if there is none."""
        try:
            with self.table.saver() as saver:
                self.config = saver.resume(self.user)
        except ConversationNotFoundError:
            return False
        return True

    def new(self) -> None:
        """Open a new conversation; the table has it from its first message on."""
        self.config = self._new_config()
        print("A new conversation.")

    def list_conversations(self) -> None:
        """Print the user's conversations, found through the index."""
        summaries = self._summaries()
        for number, each in enumerate(summaries, start=1):
            here = "  <- open" if each.conversation_id == self.conversation_id else ""
            facts = f"{each.message_count} messages, since {each.created_at[:16]}Z, {each.status}"
            print(safe(f"{number:3}. {each.title} ({facts}){here}"))
        if not summaries:
            print("No conversations yet.")

    def open(self, number: str) -> None:
        """Open the conversation with this number in the list."""
        summaries = self._summaries()
        if not number.isdecimal() or not 1 <= int(number) <= len(summaries):
            print(f"Which one? /open takes a number of /list, which has {len(summaries)}.")
            return
        chosen = summaries[int(number) - 1]
        self.config = {"configurable": {"thread_id": chosen.conversation_id, "user_id": self.user}}
        print(safe(f'Opened "{chosen.title}".'))

    def show_history(self) -> None:
        """Print the open conversation as any reader of the table finds it."""
        try:
            with self.table.saver() as saver:
                messages = saver.conversations.get(self.conversation_id, self.user).messages
        except ConversationNotFoundError:
            print("Nothing was said yet.")
            return
        for message in messages:
            for call in message.tool_calls or ():
                print(_call_line(call.tool, call.args))
            _print_said("you" if message.role == "user" else message.role, message.content)

    def _new_config(self) -> RunnableConfig:
        with self.table.saver() as saver:
            return saver.new_conversation(user_id=self.user)

    def _summaries(self) -> list[Any]:
        with self.table.saver() as saver:
            return list(saver.conversations.list(self.user, limit=LISTED_CONVERSATIONS))


def _print_message(message: BaseMessage) -> None:
    if isinstance(message, AIMessage):
        for call in message.tool_calls:
            print(_call_line(call["name"], call["args"]))
    if message.text and not isinstance(message, ToolMessage):
        _print_said("assistant", message.text)


def _call_line(tool: str, args: Any) -> str:
    return safe(f"    [{tool}({', '.join(f'{name}={value!r}' for name, value in args.items())})]")


def _print_said(who: str, text: str) -> None:
    print(safe(f"{who}> " + text.replace("\n", "\n" + " " * (len(who) + 2))))


def talk(chat: Chat) -> None:
    """Read lines until /quit or the end of the input."""
    if chat.resume():
        print("Going on with your newest conversation (/history shows it, /new starts another).")
    print(f"Talking as {chat.user} about {chat.files.name}. /help shows the commands.")
    while True:
        try:
            line = input("you> ")
        except EOFError:
            print()
            break
        if not chat.handle(line):
            break
    print("Goodbye.")


def say(chat: Chat, lines: Sequence[str]) -> None:
    """Type these lines, the user's newest conversation open, and no others."""
    chat.resume()
    for line in lines:
        print(f"you> {safe(line)}")
        if not chat.handle(line):
            break


# The command line.


def make_parser() -> argparse.ArgumentParser:
    """The options, with their defaults."""
    parser = argparse.ArgumentParser(description="An assistant with a DynamoDB table as its memory.")
    add, user = parser.add_argument, os.environ.get("CHAT_USER")
    add("--folder", type=Path, help="talk about the files of a folder (default: a small library of renders)")
    add("--user", default=user or "demo", help="whose conversations (default: $CHAT_USER, or demo)")
    add("--model", metavar="PROVIDER:NAME", help="a LangChain chat model (default: rules, without a key)")
    add("--table", metavar="NAME", help="a real DynamoDB table (default: one inside this process)")
    add("--region", help="the table's AWS region (default: as the AWS environment says)")
    add("--endpoint-url", help="another endpoint, such as DynamoDB Local's")
    add("--setup", action="store_true", help="create the table and its index first if they are missing")
    add("--say", action="append", metavar="LINE", help="type this into the newest conversation; may be repeated")
    add("--demo", action="store_true", help="play a dialogue, show what is stored and what it cost, and check it")
    add("--traceback", action="store_true", help="show where an error comes from")
    return parser


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The options given, refused where they contradict each other."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.table is None and (args.endpoint_url or args.region or args.setup):
        parser.error("--region, --endpoint-url and --setup need --table")
    if args.demo and (args.folder or args.say):
        parser.error("--demo has lines and a library of its own: leave out --folder and --say")
    return args


def play_demo(args: argparse.Namespace) -> int:
    """The demo on the table that is named, or on one that outlives each of its processes."""
    from demo import dialogue, screen  # with the extra `cli`: what it needs for colours and prices

    options = [f"--model={args.model}"] if args.model else []
    if args.table is None:
        with dialogue.embedded_table() as (table, meter):
            return dialogue.Demo(table, args.user, options, screen.Screen(), meter).run()
    with open_table(args.table, args.region, args.endpoint_url, create=args.setup) as table:
        return dialogue.Demo(table, args.user, options, screen.Screen()).run()


def chat_with(args: argparse.Namespace) -> None:
    """A talk with the person, or the lines that are to be said."""
    with open_table(args.table, args.region, args.endpoint_url, create=args.setup) as table:
        library = FileLibrary(args.folder) if args.folder else RenderLibrary()
        chat = Chat(table, args.user, library, model_maker(args.model))
        if args.say:
            say(chat, args.say)
            return
        print(f"Table: {table.place if args.table else EMBEDDED}")
        talk(chat)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the result is the exit code."""
    args = parse_arguments(argv)
    try:
        if args.demo:
            return play_demo(args)
        chat_with(args)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except Exception as error:  # the person gets one line, whatever it is
        if args.traceback:
            raise
        print(safe(f"Error ({type(error).__name__}): {' '.join(str(error).split())}"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
