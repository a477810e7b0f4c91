"""A small chat model that needs no key and no network: rules, and so the same answer every time.

It stands where a real model would: it is given the messages and the tools, and it chooses tools and their
arguments, or answers. It has no memory of its own: what "the first one" is, it reads from the tool results in
the messages.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from answers import count, file_answer, list_answer
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from phrases import IT, Request, of_renders, parse

Args = dict[str, Any]
Calls = list[tuple[str, Args]]

FILTER_ARGS = frozenset({"min_bytes", "max_bytes", "modified_after", "modified_before", "order"})
PAGE_ARGS = frozenset({"offset", "limit", "order"})
SMALL_TALK = {
    "greeting": "Hello! I know {subject}. What are you looking for?",
    "thanks": "You are welcome.",
    "goodbye": "Goodbye. The conversation is kept: it goes on where we left it.",
    "help": "{help}",
    "unknown": "I did not understand that, or cannot do it: without a language model I follow simple rules. {help}",
}


@dataclass(frozen=True)
class Subject:
    """What the talk is about: its name, lines to try, and whether the library's tools are those of renders."""

    name: str
    lines: str
    of_renders: bool = False

    def says(self, intent: str) -> str:
        """The answer to small talk."""
        what_it_does = (
            f"I search {self.name}. For example: {self.lines}. Then: the first one; number 3; the largest of them;"
            " which of them changed today; how large is it; more."
        )
        return SMALL_TALK[intent].format(subject=self.name, help=what_it_does)

    def call(self, tool: str, args: Args) -> tuple[str, Args]:
        """The call as the library's tools have it."""
        if not self.of_renders or tool == "save_note":
            return tool, args
        return ("render_details", args) if tool == "file_details" else ("search_renders", of_renders(args))


FILES = Subject(
    "the files of this folder",
    "show me the Python files; files larger than 10 KB; what changed this week; files named delta; the largest file",
)
RENDERS = Subject(
    "this library of renders",
    "show me 4K renders; HD images of the watch; videos larger than 50 MB; the newest file",
    of_renders=True,
)


class OfflineFileModel(BaseChatModel):
    """Chooses among the file library's tools by rules; `now` is the clock behind "this week".

    Where its answers are streamed, they come word by word, each `seconds_per_word` after the one before. `words` makes
    another form of an answer's plain text.
    """

    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    seconds_per_word: float = 0.0
    words: Callable[[str], str] = str

    @property
    def _llm_type(self) -> str:
        return "offline-file-model"

    def bind_tools(
        self,
        tools: Sequence[Any],
        *,
        tool_choice: str | None = None,  # noqa: ARG002 (the rules choose)
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with these tools to choose from."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        offered = {tool["function"]["name"] for tool in kwargs.get("tools", ())}
        decision = decide(messages, self.now(), RENDERS if "search_renders" in offered else FILES)
        if isinstance(decision, str):
            answer = AIMessage(self.words(decision))
        elif missing := {name for name, _ in decision} - offered:
            answer = AIMessage(f"For that I would need the tool {', '.join(sorted(missing))}, which I was not given.")
        else:
            answer = AIMessage("", tool_calls=_numbered(decision, len(messages)))
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        answer = self._generate(messages, stop, run_manager, **kwargs).generations[0].message
        assert isinstance(answer, AIMessage)
        pieces = re.findall(r"\S+\s*|\s+", answer.text) or [""]
        for place, piece in enumerate(pieces):
            calls = [
                tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=number)
                for number, call in enumerate(answer.tool_calls if place == len(pieces) - 1 else ())
            ]
            yield self._told(AIMessageChunk(content=piece, tool_call_chunks=calls), run_manager)
            time.sleep(self.seconds_per_word)

    def _told(self, chunk: AIMessageChunk, run_manager: CallbackManagerForLLMRun | None) -> ChatGenerationChunk:
        made = ChatGenerationChunk(message=chunk)
        if run_manager:
            run_manager.on_llm_new_token(chunk.text, chunk=made)
        return made


def _numbered(calls: Calls, place: int) -> list[Any]:
    return [
        {"type": "tool_call", "name": name, "args": args, "id": f"call_{place}_{number}"}
        for number, (name, args) in enumerate(calls)
    ]


def decide(messages: Sequence[BaseMessage], now: datetime, subject: Subject = FILES) -> Calls | str:
    """The next step of the agent: tools to call, or the answer."""
    step = _step(messages, now, subject)
    return step if isinstance(step, str) else [subject.call(*call) for call in step]


def _step(messages: Sequence[BaseMessage], now: datetime, subject: Subject) -> Calls | str:
    start = max((place for place, message in enumerate(messages) if isinstance(message, HumanMessage)), default=None)
    if start is None:
        return subject.says("greeting")
    request, memory = parse(str(messages[start].text), now), Memory.of(messages)
    if request.intent in SMALL_TALK:
        return subject.says(request.intent)
    results: list[ToolMessage] = []
    for message in reversed(messages[start + 1 :]):
        if not isinstance(message, ToolMessage):
            break
        results.insert(0, message)
    if request.intent == "note":
        return _kept(results[-1]) if results else [("save_note", {"text": request.note})]
    if not results:
        return _first_step(request, memory)
    return _second_step(request, memory) or "\n\n".join(_report(memory, result, request) for result in results)


# What the conversation has shown so far.


@dataclass(frozen=True)
class Shown:
    """A tool call of the conversation and what came of it."""

    args: Args
    result: Args
    call_id: str

    @property
    def files(self) -> list[Args]:
        """The files of a list; none if this was about one file."""
        return list(self.result.get("files", ()))

    @property
    def query(self) -> Args:
        """What was asked for, whichever page of it."""
        return {name: value for name, value in self.args.items() if name != "offset"}


@dataclass(frozen=True)
class Memory:
    """What the tools of this conversation have shown, oldest first, read from its messages."""

    shown: tuple[Shown, ...]

    @classmethod
    def of(cls, messages: Sequence[BaseMessage]) -> Memory:
        """Pair the calls of the messages with their results; failed calls have shown nothing."""
        calls = {call["id"]: call["args"] for message in messages for call in getattr(message, "tool_calls", ())}
        return cls(
            tuple(
                Shown(calls[message.tool_call_id], result, message.tool_call_id)
                for message in messages
                if isinstance(message, ToolMessage) and message.status != "error" and message.tool_call_id in calls
                if (result := _json_object(message.content)) is not None
            )
        )

    @property
    def listing(self) -> Shown | None:
        """The last list that had files in it; "the largest of them" (one file) does not take its place."""
        lists = [shown for shown in self.shown if shown.files]
        return next((shown for shown in reversed(lists) if shown.args.get("limit") != 1), lists[-1] if lists else None)

    def numbered(self) -> dict[int, Args]:
        """The files of the last list by their number, with all of its pages that were shown."""
        last = self.listing
        pages = [shown for shown in self.shown if last and shown.files and shown.query == last.query]
        return {file["number"]: file for page in pages for file in page.files}

    def focus(self) -> str | None:
        """The path of the one file that was shown last, if it was one."""
        shown = self.shown[-1] if self.shown else None
        files = (shown.files or [shown.result]) if shown else []
        return files[0].get("path") if len(files) == 1 else None


def _json_object(content: Any) -> Args | None:
    try:
        value = json.loads(content)
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


# Choosing tools.


def _first_step(request: Request, memory: Memory) -> Calls | str:
    if request.intent == "list":
        last = memory.listing if request.of_them else None
        kept = {name: value for name, value in last.args.items() if name not in PAGE_ARGS} if last else {}
        return [_listing(kept | request.args)]
    if request.intent == "about":
        direct = "/" in request.path or "\\" in request.path
        return [("file_details", {"path": request.path}) if direct else ("search_files", {"name": request.path})]
    if request.intent == "more":
        return _next_page(memory)
    return _picked(request, memory)


def _second_step(request: Request, memory: Memory) -> Calls | None:
    """One file was asked for, and had to be found first: if that has succeeded, show it."""
    paths = [file["path"] for file in memory.shown[-1].files] if memory.shown else []
    if request.intent not in ("about", "pick") or not paths:
        return None
    path = paths[0] if len(paths) == 1 else request.path
    return [("file_details", {"path": path})] if path in paths else None


def _listing(args: Args) -> tuple[str, Args]:
    return ("filter_files" if FILTER_ARGS & args.keys() else "search_files", args)


def _next_page(memory: Memory) -> Calls | str:
    last = memory.listing
    if last is None:
        return "There is no list to show more of. What are you looking for?"
    seen, total = last.files[-1]["number"], last.result["total"]
    if seen >= total:
        return f"That was all: {count(total)}."
    return [_listing(last.query | {"offset": seen})]


def _picked(request: Request, memory: Memory) -> Calls | str:
    files = memory.numbered()
    if request.positions == (IT,):
        focus = memory.focus()
        return [("file_details", {"path": focus})] if focus else "Which file do you mean? Give me its name or number."
    if not files:
        return "I have shown no files in this conversation yet. What are you looking for?"
    calls: Calls = []
    for position in request.positions:
        number = max(files) if position == "last" else position
        if isinstance(number, str):
            return [_foremost(number, memory)]
        if number not in files:
            return f"I have shown no number {number}: the list goes from {min(files)} to {max(files)}."
        calls.append(("file_details", {"path": files[number]["path"]}))
    return calls


def _foremost(order: str, memory: Memory) -> tuple[str, Args]:
    """The largest, newest, … of the last list: from memory if all of it was shown, else by asking for it."""
    last, files = memory.listing, list(memory.numbered().values())
    assert last is not None
    if len(files) < last.result["total"]:
        kept = {name: value for name, value in last.args.items() if name not in PAGE_ARGS}
        return _listing(kept | {"order": order, "limit": 1})
    field = "size_bytes" if order in ("largest", "smallest") else "modified"
    choose = max if order in ("largest", "newest") else min
    return ("file_details", {"path": choose(files, key=lambda file: file[field])["path"]})


def _kept(result: ToolMessage) -> str:
    return "I kept the note." if result.status != "error" else f"I did not keep the note. {result.text}"


def _report(memory: Memory, message: ToolMessage, request: Request) -> str:
    shown = next((shown for shown in memory.shown if shown.call_id == message.tool_call_id), None)
    if shown is None:
        return f"That did not work: {message.text}."
    if "files" in shown.result:
        return list_answer(shown.args, shown.result)
    return file_answer(shown.result, request.topic)
