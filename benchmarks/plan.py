"""The plan of a run: which contender answers which questions, in which order. Peers take turns within a round."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from peers.notifications_hq.environment import store as notifications_hq

from .amounts import FULL, Amounts
from .contenders import CONTENDERS, FAST, OURS, PLAIN, STORED, TUTORIAL
from .project.peer import Livebell
from .questions import broadcast, connect, idle, latency, memory, neighbour, storm, targeted
from .stage import Session, Stage

CROWD = 1000
FIFTY_A_SECOND, TEN_A_SECOND, FIVE_A_SECOND = 0.02, 0.1, 0.2
DATABASE_BUS = "Livebell, database bus"
HQ = "django-notifications-hq"


@dataclass(frozen=True)
class Step:
    """Something to do with one contender."""

    title: str
    questions: frozenset[str]
    """What it answers."""
    contender: str
    run: Callable[[Stage, frozenset[str]], None]
    """``run(stage, wanted)``: answers those of its questions that are wanted."""


def plan(amounts: Amounts, wanted: frozenset[str]) -> list[Step]:
    """All steps that answer something that is wanted; with nothing wanted, all of them."""
    return [step for make in MAKERS for step in make(amounts) if step.questions & wanted or not wanted]


def questions() -> frozenset[str]:
    """Everything that can be asked."""
    return frozenset().union(*(step.questions for step in plan(FULL, frozenset())))


def crowds(amounts: Amounts) -> Iterator[Step]:
    """1,000 connections: what each takes, how late it is at 50 messages a second, how fast when 500 come at once."""
    for turn in range(amounts.rounds):
        for name in taking_part(amounts):
            if turn < amounts.slow_rounds or name in FAST:
                yield from crowd(amounts, name, turn)


def taking_part(amounts: Amounts) -> list[str]:
    """Everybody, but not all variants of one design in a quick run."""
    variants = [name for name in CONTENDERS if name.startswith(TUTORIAL)] + [STORED]
    return [name for name in CONTENDERS if name not in variants[amounts.variants :]]


def crowd(amounts: Amounts, name: str, turn: int) -> Iterator[Step]:
    asked: dict[str, Callable[[Session], dict[str, float]]] = {
        "memory": memory.measure,
        "connect": connect.measure,
        "latency": lambda s: latency.measure(
            s, every=FIFTY_A_SECOND, seconds=amounts.latency_seconds, limit=amounts.latency_limit
        ),
        "broadcast": lambda s: broadcast.measure(s, limit=amounts.broadcast_limit),
    }
    if name == OURS:
        asked["neighbour"] = lambda s: neighbour.measure(s, every=FIFTY_A_SECOND, seconds=amounts.latency_seconds)
    title = f"{CROWD:,} connections, round {turn + 1}: {name}"
    if name in FAST or name == PLAIN:
        yield Step(title, frozenset(asked), name, ask(name, CROWD, asked))
        return
    for part in (
        {"broadcast": asked.pop("broadcast")},
        asked,
    ):  # what is left over from one would stand before the other
        yield Step(f"{title}: {', '.join(part)}", frozenset(part), name, ask(name, CROWD, part))


def many(amounts: Amounts) -> Iterator[Step]:
    """5,000 connections at ten messages a second; and then nothing at all."""
    for name in FAST[: amounts.compared]:
        asked: dict[str, Callable[[Session], dict[str, float]]] = {
            "many": lambda s: latency.measure(s, every=TEN_A_SECOND, seconds=amounts.many_seconds),
        }
        if name == OURS:
            asked = {"idle": lambda s: idle.measure(s, seconds=amounts.idle_seconds), **asked}
        title = f"{amounts.many:,} connections: {name}"
        yield Step(title, frozenset(asked), name, ask(name, amounts.many, asked))
    yield Step(
        f"{amounts.many:,} connections: {DATABASE_BUS}", frozenset({"idle"}), DATABASE_BUS, idle_database(amounts)
    )


def idle_database(amounts: Amounts) -> Callable[[Stage, frozenset[str]], None]:
    def run(stage: Stage, wanted: frozenset[str]) -> None:
        peer = Livebell(redis=stage.redis.url, database=stage.database(DATABASE_BUS), bus="database")
        with stage.session(peer, amounts.many) as session:
            stage.record.add("idle", DATABASE_BUS, idle.measure(session, seconds=amounts.idle_seconds))

    return run


def targets(amounts: Amounts) -> Iterator[Step]:
    """A message to each of 1,000 users in turn."""
    for turn in range(amounts.rounds):
        asked = {"targeted": lambda s: targeted.measure(s, number=amounts.targeted)}
        yield Step(f"one message each, round {turn + 1}: {OURS}", frozenset(asked), OURS, ask(OURS, CROWD, asked))


def storms(amounts: Amounts) -> Iterator[Step]:
    """5,000 come back at once."""
    for turn in range(amounts.storm_rounds):

        def run(stage: Stage, wanted: frozenset[str]) -> None:
            peer = Livebell(redis=stage.redis.url, database=stage.database("storm"), counting=True)
            stage.record.add("storm", OURS, storm.measure(stage, peer, connections=amounts.storm, in_flight=500))

        yield Step(f"storm of {amounts.storm:,}, round {turn + 1}: {OURS}", frozenset({"storm"}), OURS, run)


def growth(amounts: Amounts) -> Iterator[Step]:
    """From 100 to 10,000 connections, five messages a second."""
    for connections in amounts.crowds:
        for name in FAST[: amounts.compared]:
            asked = {"growth": lambda s: grown(s, amounts)}
            title = f"growth, {connections:,} connections: {name}"
            yield Step(title, frozenset(asked), name, ask(name, connections, asked, at=connections))


def grown(session: Session, amounts: Amounts) -> dict[str, float]:
    found = latency.measure(session, every=FIVE_A_SECOND, seconds=amounts.crowd_seconds)
    return {**found, **memory.measure(session), "connects/s": connect.measure(session)["connects/s"]}


def stores(amounts: Amounts) -> Iterator[Step]:
    """What publishing, counting, reading and marking cost, in the store alone."""
    yield program("publish", OURS, "publishing", amounts.publish_blocks)
    for number in amounts.audiences:
        yield program("audience", OURS, "audience", number, 3, at=number)
    for number in amounts.everyone:
        yield program("everyone", OURS, "everyone", number, at=number)
    for number in amounts.stored:
        yield program("reading", OURS, "reading", number, at=number, database=f"reading {number}")
    yield hq("publish", "publish", 500)
    yield hq("audience", "audience", 5_000, at=5_000)
    for number in amounts.stored:
        yield hq("reading", "reading", number, at=number)


def program(question: str, name: str, module: str, *arguments: int, at: float = 0.0, database: str = "store") -> Step:
    """A step that runs one of the programs in ``store/`` in Livebell's site."""

    def run(stage: Stage, wanted: frozenset[str]) -> None:
        peer = Livebell(redis=stage.redis.url, database=stage.database(database))
        try:
            peer.logins(1)
            said = peer.run_module(f"benchmarks.store.{module}", *map(str, arguments))
        finally:
            peer.close()
        stage.record.add(question, name, json.loads(said), at)

    return Step(f"{question}{f', {at:,.0f}' if at else ''}: {name}", frozenset({question}), name, run)


def hq(question: str, what: str, number: int, at: float = 0.0) -> Step:
    """The same question to django-notifications-hq."""

    def run(stage: Stage, wanted: frozenset[str]) -> None:
        stage.record.add(question, HQ, notifications_hq(stage.database(HQ), what, number), at)

    return Step(f"{question}{f', {at:,.0f}' if at else ''}: {HQ}", frozenset({question}), HQ, run)


def ask(
    name: str, connections: int, asked: dict[str, Callable[[Session], dict[str, float]]], at: float = 0.0
) -> Callable[[Stage, frozenset[str]], None]:
    """A step that opens a session of this contender and asks it those of the questions that are wanted."""

    def run(stage: Stage, wanted: frozenset[str]) -> None:
        with stage.session(stage.make(name), connections) as session:
            for question, measure in asked.items():
                if question in wanted:
                    stage.record.add(question, name, measure(session), at)

    return run


MAKERS = (crowds, many, targets, storms, stores, growth)
