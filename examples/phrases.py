"""What a line that somebody typed asks of the file library, found by patterns: `parse` gives a `Request`.

Patterns are taken out of the line one after the other, so that no word counts twice; what is left over at the
end is a name to search for. Order matters: "more than 3 days old" is a date before it could be a size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from library import KIND_OF_EXTENSION

Intent = Literal["greeting", "thanks", "goodbye", "help", "list", "more", "pick", "about", "note", "unknown"]
Topic = Literal["", "size", "modified", "lines", "sha256", "kind"]
IT = "it"  # the position of the file that the talk is about


@dataclass(frozen=True)
class Request:
    """One line, understood.

    `args` are the arguments of a search or filter; `of_them` says that they narrow the list shown last.
    `positions` are numbers in that list, or "last", "it", or an order ("largest") whose first file is meant.
    """

    intent: Intent
    args: dict[str, Any] = field(default_factory=dict)
    of_them: bool = False
    positions: tuple[int | str, ...] = ()
    path: str = ""
    note: str = ""
    topic: Topic = ""


SMALL_TALK: tuple[tuple[Intent, str], ...] = (
    ("help", r"help( me)?|(and )?what (else )?can (you|i) (do|ask)( here)?|who are you|how does this work"),
    ("greeting", r"(hi|hello|hey|good (morning|afternoon|evening))( there)?"),
    ("thanks", r"(many )?(thanks|thank you|thx)( a lot| very much)?|great|ok(ay)?|cool|perfect"),
    ("goodbye", r"(good ?)?bye|see you( later)?"),
    (
        "more",
        r"(and |show |give |list |me |some |the )*(more|next( page| ones)?|rest|others)( of them| please)*",
    ),
)
NOTE = (
    r"\W*(?:please )?(?:(?:(?:keep|make|save|take|write) (?:a|the|this) note(?: that\b|:)?)|note(?: that\b|:))\s+(.+)"
)
OPENERS = r"^\W*(?:(?:hi|hello|hey|thanks|thank you|ok|okay|please|now|so|and|but|then)\b[\s,!.]*)+"

KIND_WORDS = {
    "archive": r"archives?|zips?",
    "audio": r"audios?|music|songs?|sounds?",
    "code": r"(?:source )?code|sources",
    "config": r"config(?:uration)?s?|settings",
    "data": r"data|tables|spreadsheets?",
    "document": r"documents?",
    "image": r"images?|pictures?|photos?",
    "markdown": r"markdown|documentation|docs",
    "python": r"python(?: modules?| scripts?| code)?",
    "scene": r"scenes?",
    "text": r"(?:plain )?text|logs",
    "video": r"videos?|movies?|films?|clips?",
}
FILES = r"(?: ?\b(?:files?|ones?)\b)?"
EXTENSION_WORDS = "|".join(sorted(KIND_OF_EXTENSION, key=len, reverse=True))

RESOLUTION = r"\d+x\d+|\d+p|[248]k|uhd|hd"
RENDERS = r"renders?"

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
SIZE = r"(\d+(?:\.\d+)?) ?(bytes?|[kmg]i?b?|b)?\b"
AT_LEAST = rf"\b(?:larger|bigger|greater|heavier|more|over|above|at least|from)(?: than)? {SIZE}"
AT_MOST = rf"\b(?:smaller|lighter|less|under|below|at most|up to)(?: than)? {SIZE}"
BETWEEN = rf"\bbetween {SIZE} and {SIZE}"

CHANGED = (
    r"(?:\b(?:(?:that|which) )?(?:(?:were|was|have been|has been|are) )?(?:last )?"
    r"(?:changed|modified|updated|edited|touched|written|rendered)\b )?"
)
SPAN = r"(\d+|an?|one) (hour|day|week|month|year)s?"
DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 30, "year": 365}
DATE = r"(\d{4}-\d\d-\d\d)"
OLDER = rf"{CHANGED}\b(?:older than|more than|over) {SPAN}(?: old| ago)?"
LAST = r"(?:\b(?:in|within|during) )?(?:\bthe )?\b(?:last|past|newer than)"
NEWER = rf"{CHANGED}{LAST} (?:{SPAN}|({'|'.join(DAYS)})\b)"
THIS_PERIOD = rf"{CHANGED}\b(?:since )?(?:this (week|month|year)|(today|yesterday))\b"
SINCE = rf"{CHANGED}\b(?:since|after|newer than|from) {DATE}"
BEFORE = rf"{CHANGED}\b(?:before|until|older than) {DATE}"

ORDERS = {
    "largest": r"largest|biggest|heaviest",
    "smallest": r"smallest|tiniest|lightest",
    "newest": r"newest|latest|most recent(?:ly changed)?|recent(?:ly changed)?",
    "oldest": r"oldest",
}
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
ORDINAL = rf"(?:\bthe )?\b(?:({'|'.join(ORDINALS)}|last)|(\d+)(?:st|nd|rd|th))\b(?: (?:one|file|result|entry))?"
COUNTS = ["zero", "one", "two", "three", "four", "five"]
FIRST_FEW = rf"(?:\bthe )?\bfirst ({'|'.join(COUNTS[2:])}|\d+)\b"
NUMBER = r"(?:\b(?:number|no\.?|file|open|show) |#)(\d+)\b|^\W*(\d+)\W*$"

ITS = r"(?:\b(?:the|its) )"
TOPICS: tuple[tuple[Topic, str], ...] = (
    ("size", r"how (?:large|big|long|heavy)|\bsize of\b|(?:its|'s) size"),
    ("modified", r"\bwhen (?:was|were|did)\b|\bhow old\b"),
    ("lines", rf"{ITS}?\b(?:first|top) (?:few )?lines(?: of)?|\bhow many lines\b|\b(?:start|begin)s?\b"),
    ("sha256", rf"{ITS}?\b(?:sha-?256|checksum|hash|digest)(?: of)?"),
    ("kind", r"what (?:kind|type|sort)(?: of file)? is"),
)
THEM = r"\b(?:(?:any |some |which )?of )?(?:them|those|these)\b|\b(?:only|just) (?:the )?|\b(?:the )?ones\b"
THIS = r"\b(?:it|its|(?:this|that)(?: one| file)?)\b"
NAMED = (
    r"\b(?:named|called|with the name|whose name (?:is|contains|has)) "
    r"[\"'`]?([\w.\-/ ]+?)[\"'`]?(?=$|[?!,]|\.$| and | that | which )"
)
PATH = r"[\"'`]?((?:[~.\w\-]*[/\\])+[\w.\-]+|[\w\-]+(?:\.[\w\-]+)*\.[a-z]\w*)[\"'`]?"
SEARCHES = r"\b(?:find|search|look(?:ing)? for|where|which|any|files|list|named|called)\b"
ASKS = rf"{SEARCHES}|\b(?:show|file|get|give|have|see|display|how many|got|(?:is|are) there)\b"
CANNOT = (
    r"^\W*(?:(?:please|can you|could you) )*(?:who|why|delete|remove|rename|move|copy|write|edit|change"
    r"|create|make|upload|download|run|execute|send)\b"
    r"|\b(?:did|do) (?:i|we|you) (?:ask|say|think|mean)|\d (?:lines?|words?|pages?)\b"
)
ABOUT = r"\b(?:details?|about|describe|info(?:rmation)?|inspect|open|what is in|what's in|what is|what's)\b"
FILLERS = """
    a about all also am an and and's any anything are at be by called can changed contain containing
    contains could display do does ever everything exist file files find for from get give got has have
    here how i if in inside is it item items know larger library like list look looking many me modified
    my named of on one ones only or our out please really result results search see show some tell than
    that the them then there there's these this those to us want was we were what what's where whether
    which with would you your
"""  # words that are no part of a name


def of_renders(args: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a search as one of renders: a resolution among the words of the name is one."""
    words = [word for word in args.get("name", "").split() if not re.fullmatch(RENDERS, word, re.IGNORECASE)]
    found = [word.upper() for word in words if re.fullmatch(RESOLUTION, word, re.IGNORECASE)]
    name = " ".join(word for word in words if word.upper() not in found)
    others = {key: value for key, value in args.items() if key != "name"}
    return others | ({"resolution": found[0].replace("X", "x")} if found else {}) | ({"name": name} if name else {})


class _Line:
    """A line from which patterns are taken."""

    def __init__(self, text: str) -> None:
        self.rest = " ".join(re.sub(OPENERS, "", text.strip(), flags=re.IGNORECASE).split())

    def take(self, pattern: str) -> re.Match[str] | None:
        found = re.search(pattern, self.rest, re.IGNORECASE)
        if found:
            self.rest = " ".join(f"{self.rest[: found.start()]} {self.rest[found.end() :]}".split())
        return found


def parse(text: str, now: datetime) -> Request:
    """What `text` asks for; `now` is what "this week" is counted from."""
    for intent, pattern in SMALL_TALK:
        if re.fullmatch(rf"\W*(?:{pattern})\W*", text.strip(), re.IGNORECASE):
            return Request(intent)
    if note := re.fullmatch(NOTE, text.strip(), re.IGNORECASE | re.DOTALL):
        return Request("note", note=note[1])
    if re.search(CANNOT, text, re.IGNORECASE):
        return Request("unknown")
    line = _Line(text)
    asks = bool(re.search(ASKS, line.rest, re.IGNORECASE))
    args = _times(line, now) | _sizes(line)
    named = line.take(NAMED)
    topic = _first_of(TOPICS, line)
    searches = bool(re.search(SEARCHES, line.rest, re.IGNORECASE)) and not line.take(ABOUT)
    if not named and (path := line.take(PATH)):
        if topic or not searches:
            return Request("about", path=path[1], topic=topic)
        args["name"] = path[1]
    return _list_or_pick(line, args, named[1] if named else "", asks, topic)


def _list_or_pick(line: _Line, args: dict[str, Any], name: str, asks: bool, topic: Topic) -> Request:
    count = line.take(rf"\b(?:top )?(\d+)(?= (?:{'|'.join(ORDERS.values())})\b)")
    positions, order, of_them = _positions(line), _first_of(ORDERS.items(), line), bool(line.take(THEM))
    single = bool(re.search(r"\bfile\b|\bone\b", line.rest))
    args |= _types(line)
    if order and not args and not name and (of_them or (single and "file" not in line.rest)):
        return Request("pick", positions=(order,), topic=topic)
    if positions and not args and not name:
        return Request("pick", positions=positions, topic=topic)
    if order:
        args |= {"order": order} | ({"limit": int(count[1])} if count else {"limit": 1} if single else {})
    if not args and not name and not of_them and (line.take(THIS) or topic):
        return Request("pick", positions=(IT,), topic=topic)
    if name := name or (_left_over(line) if asks or args else ""):
        args["name"] = f"{args.get('name', '')} {name}".strip()
    return Request("list", args, of_them) if args or asks else Request("unknown")


def _times(line: _Line, now: datetime) -> dict[str, Any]:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {"week": today - timedelta(today.weekday()), "month": today.replace(day=1)}
    starts |= {"year": today.replace(month=1, day=1), "today": today, "yesterday": today - timedelta(1)}
    args = {}
    if found := line.take(OLDER):
        args["modified_before"] = _ago(now, found[1], found[2])
    if found := line.take(NEWER):
        args["modified_after"] = _ago(now, found[1] or "1", found[2] or found[3])
    if found := line.take(THIS_PERIOD):
        args["modified_after"] = starts[(found[1] or found[2]).lower()].date().isoformat()
    if found := line.take(SINCE):
        args["modified_after"] = found[1]
    if found := line.take(BEFORE):
        args["modified_before"] = found[1]
    return args


def _ago(now: datetime, count: str, unit: str) -> str:
    number = int(count) if count.isdigit() else 1
    moment = now - timedelta(days=number * DAYS[unit.lower()])
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if unit.lower() == "hour" else moment.date().isoformat()


def _sizes(line: _Line) -> dict[str, Any]:
    args: dict[str, Any] = {}
    if found := line.take(BETWEEN):
        args |= {"min_bytes": _bytes(found[1], found[2] or found[4]), "max_bytes": _bytes(found[3], found[4])}
    if found := line.take(AT_LEAST):
        args["min_bytes"] = _bytes(found[1], found[2])
    if found := line.take(AT_MOST):
        args["max_bytes"] = _bytes(found[1], found[2])
    return args


def _bytes(number: str, unit: str | None) -> int:
    return round(float(number) * UNITS[(unit or "")[:1].lower()])


def _types(line: _Line) -> dict[str, Any]:
    for kind, words in KIND_WORDS.items():
        if line.take(rf"\b(?:{words})\b{FILES}"):
            return {"kind": kind}
    if found := line.take(rf"(?:\*?\.({EXTENSION_WORDS})\b|\b({EXTENSION_WORDS})\b(?= files?\b)){FILES}"):
        return {"extension": (found[1] or found[2]).lower()}
    return {}


def _positions(line: _Line) -> tuple[int | str, ...]:
    positions: list[int | str] = []
    if found := line.take(FIRST_FEW):
        word = found[1].lower()
        positions.extend(range(1, 1 + min(COUNTS.index(word) if word in COUNTS else int(word), len(ORDINALS))))
    while found := line.take(ORDINAL):
        word = (found[1] or found[2]).lower()
        positions.append(ORDINALS.index(word) + 1 if word in ORDINALS else "last" if word == "last" else int(word))
    while found := line.take(NUMBER):
        positions.append(int(found[1] or found[2]))
    return tuple(positions)


def _first_of(patterns: Any, line: _Line) -> Any:
    return next((word for word, pattern in patterns if line.take(pattern)), "")


def _left_over(line: _Line) -> str:
    words = [word.strip("?!.,;:\"'`()") for word in line.rest.lower().split()]
    return " ".join(_singular(word) for word in words if word and word not in FILLERS.split())


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word
