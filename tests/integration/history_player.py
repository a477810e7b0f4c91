"""Plays a plan: workers take turns in one conversation, and every reader is asked after each turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import RemoveMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv.errors import DynamoConvError
from tests.conftest import MakeSaver
from tests.integration.histories import Again, Ask, AtOnce, Edit, Fault, History, Remove, Resume, Turn, brief
from tests.integration.history_checks import Reader, compare_state
from tests.integration.history_graphs import Script, ScriptedFailure, agent, given_to
from tests.integration.history_workers import Baton, WaitingClient, Worker, apart
from tests.integration.spoken import Effect, Log, Run, Said, held_by
from tests.integration.transcripts import TableReader


class Player:
    """One conversation.

    Args:
        plan: What happens.
        make_saver: Makes savers with an undisturbed client.
        clients: One for each worker.
        table: The table as another program sees it.
    """

    def __init__(
        self, plan: History, make_saver: MakeSaver, clients: Sequence[WaitingClient], table: TableReader
    ) -> None:
        self.plan = plan
        self.log = Log()
        self.reader = Reader(table)
        channel = "__previous__" if plan.kind.channel == "function" else "messages"
        options: dict[str, Any] = {"messages_channel": channel}
        options |= {} if plan.row_bytes is None else {"row_bytes": plan.row_bytes}
        self._make_saver = lambda: make_saver(cache_bytes=0, **options)
        pairs = zip(plan.workers, clients, strict=False)
        self.workers = [Worker(memory, client, make_saver, options) for memory, client in pairs]
        self.config: RunnableConfig = self._make_saver().new_conversation("alice")
        self._asks: dict[int, Ask] = {}
        self._state_is_known = plan.kind.keeps_all
        self._has_crashed = self._is_waiting = False

    def play(self) -> None:
        """All turns. Raises an `AssertionError` that says what a reader was told, and what was said."""
        for number, turn in enumerate(self.plan.turns):
            try:
                self._turn(number, turn)
            except Exception as error:
                raise AssertionError(f"turn {number}: {brief(turn)}\n{type(error).__name__}: {error}") from error

    def _turn(self, number: int, turn: Turn) -> None:
        if isinstance(turn, Ask):
            self._ask(number, turn)
        elif isinstance(turn, AtOnce):
            self._at_once(number, turn)
        elif isinstance(turn, Resume):
            if self._is_waiting and not self._has_crashed:
                self._run(number, turn, Command(resume=turn.answer), self.log.begin(goes_on=True))
        elif isinstance(turn, Again):
            self._again(number, turn)
        elif not self._has_crashed:
            self._update(number, turn)

    def _script(self, number: int, run: Run) -> Script:
        return Script(self.plan.kind, self._asks, number, run, self.log)

    def _place(self, fork: float | None) -> str | None:
        """The checkpoint to fork from; None for the newest."""
        others = (place for place in sorted(self.log.places) if place != self.log.newest)
        places = [place for place in others if self.log.is_told_of(place)]
        return places[int(fork * len(places))] if fork is not None and places else None

    def _at(self, place: str | None) -> RunnableConfig:
        """The config that names a checkpoint."""
        if place is None:
            return self.config
        return {"configurable": {**self.config["configurable"], "checkpoint_id": place}}

    def _ask(self, number: int, turn: Ask) -> None:
        self._asks[number] = turn
        place = self._place(turn.fork)
        run, given = self._input(number, place)
        self._run(number, turn, given, run, place)

    def _input(self, number: int, place: str | None = None) -> tuple[Run, Any]:
        """What a run is given, and what the log knows of it."""
        run = self.log.begin(place, Effect(()))
        script = self._script(number, run)
        if self.plan.kind.channel == "function":
            return run, {"ask": number}
        run.given = Effect(script.question(number))
        return run, given_to(script, number, self._held(script, place))

    def _again(self, number: int, turn: Again) -> None:
        place = None if self._has_crashed else self._place(turn.fork)
        run = self.log.begin(place, goes_on=place is None)
        if self.log.newest and agent(self._script(number, run), self._make_saver()).get_state(self._at(place)).next:
            self._run(number, turn, None, run, place)

    def _run(self, number: int, turn: Ask | Again | Resume, given: Any, run: Run, place: str | None = None) -> None:
        def invoke(saver: DynamoDBConversationSaver) -> str:
            return invoked(agent(self._script(number, run), saver), given, self._at(place), turn.durability)

        status, is_hit = self._suffer(self.workers[turn.worker], turn.fault, invoke)
        self.log.ended(run, self._stored())
        self._has_crashed, self._is_waiting = status is None, status == "waiting"
        if not is_hit:
            self._compare(number, status)

    def _suffer(
        self, worker: Worker, fault: Fault | None, work: Callable[[DynamoDBConversationSaver], str | None]
    ) -> tuple[str | None, bool]:
        """What some work gives, None if it crashed; and whether a request has failed."""
        saver = worker.saver()
        with worker.suffering(fault) as is_hit:
            try:
                return work(saver), is_hit()
            except DynamoConvError:
                if not is_hit():
                    raise
                return None, True

    def _at_once(self, number: int, turn: AtOnce) -> None:
        asks = (turn.first, turn.second)
        numbers = (number, number + len(self.plan.turns))
        self._asks |= dict(zip(numbers, asks, strict=True))
        inputs = [self._input(one) for one in numbers]
        savers = [self.workers[ask.worker].saver() for ask in asks]
        scripts = [self._script(one, run) for one, (run, _) in zip(numbers, inputs, strict=True)]

        def job(which: int) -> None:
            given = inputs[which][1]
            if which == 1 and turn.during is not None:
                given = given_to(scripts[1], numbers[1], self._held(scripts[1], None)) if "done" in given else given
            invoked(agent(scripts[which], savers[which]), given, self.config, asks[which].durability)

        if turn.during is not None:
            scripts[0].meanwhile[turn.during] = lambda: apart(lambda: job(1))
            job(0)
        else:
            self._alternate(turn, job)
        self._stored_beside([run for run, _ in inputs])
        self._has_crashed = self._is_waiting = self._state_is_known = False
        self._compare(number, "idle")

    def _alternate(self, turn: AtOnce, job: Callable[[int], None]) -> None:
        baton = Baton(turn.seed)
        clients = [self.workers[ask.worker].client for ask in (turn.first, turn.second)]

        def work(which: int) -> None:
            clients[which].gate = baton.gate(which)
            try:
                job(which)
            finally:
                clients[which].gate = None
                baton.end(which)

        apart(lambda: work(0), lambda: work(1))

    def _stored_beside(self, runs: Sequence[Run]) -> None:
        newest, _ = self._stored()[-1]
        self.log.ended_beside(runs, newest, self.reader.told(self._make_saver(), self.config))

    def _update(self, number: int, turn: Edit | Remove) -> None:
        place = self._place(turn.fork) if isinstance(turn, Edit) else None
        branch = self.log.now if place is None else self.log.places[place]
        whose = [str(said.id) for said in branch if said.text]
        script = self._script(number, self.log.begin(place))
        held = self._held(script, place)
        if not whose or (self.plan.kind.channel == "plain" or isinstance(turn, Remove)) and not held:
            return
        said = held_by(branch, whose[int(turn.nth * len(whose))])
        if isinstance(turn, Remove):
            self._state_is_known = False
            messages, effect = self._removed(held, str(held[int(turn.nth * len(held))].id)), Effect()
        elif self.plan.kind.channel == "plain" and said.id not in {message.id for message in held}:
            return
        else:
            messages, effect = self._edited(held, said, turn.text), Effect(edits=((str(said.id), turn.text),))
        run = self.log.begin(place, effect)

        def update(saver: DynamoDBConversationSaver) -> str | None:
            graph = agent(self._script(number, run), saver)
            graph.update_state(self._at(place), {"messages": messages}, as_node="act")
            return "updated"

        status, is_hit = self._suffer(self.workers[turn.worker], getattr(turn, "fault", None), update)
        self.log.ended(run, self._stored())
        self._has_crashed, self._is_waiting = status is None, False
        if not is_hit:
            self._compare(number, None)

    def _removed(self, held: Sequence[Any], message_id: str) -> list[Any]:
        if self.plan.kind.channel == "plain":
            return [message for message in held if message.id != message_id]
        return [RemoveMessage(id=message_id)]

    def _edited(self, held: Sequence[Any], said: Said, text: str) -> list[Any]:
        message = said.message().model_copy(update={"content": text})
        if self.plan.kind.channel == "plain":
            return [message if one.id == said.id else one for one in held]
        return [message]

    def _held(self, script: Script, place: str | None) -> list[Any]:
        """The agent's messages at a checkpoint, without what tasks have written there that no step has taken up."""
        if self.plan.kind.channel == "delta":
            return list(agent(script, self._make_saver()).get_state(self._at(place)).values.get("messages") or [])
        found = self._make_saver().get_tuple(self._at(place))
        channel = "__previous__" if self.plan.kind.channel == "function" else "messages"
        return list(found.checkpoint["channel_values"].get(channel) or []) if found else []

    def _stored(self) -> list[tuple[str, str]]:
        """The checkpoints that are new, oldest first, with what made them."""
        found: list[tuple[str, str]] = []
        for one in self._make_saver().list(self.config):
            checkpoint_id = one.config["configurable"]["checkpoint_id"]
            if checkpoint_id <= self.log.newest:
                break
            found.append((checkpoint_id, one.metadata.get("source", "")))
        return found[::-1]

    def _compare(self, number: int, status: str | None) -> None:
        if not self.log.newest:
            return
        if self._state_is_known:
            compare_state(self._held(self._script(number, self.log.begin()), None), self.log.now)
        self.reader.compare(self._make_saver(), self.config, self.log.now)
        self.reader.compare_status(self.config, status)


def invoked(graph: Any, given: Any, config: RunnableConfig, durability: Any) -> str:
    """Run a graph; gives the status that the conversation must have."""
    try:
        result = graph.invoke(given, config, durability=durability)
    except ScriptedFailure:
        return "failed"
    return "waiting" if isinstance(result, dict) and "__interrupt__" in result else "idle"
