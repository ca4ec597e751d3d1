"""The level of engines: sessions stepped purely, without a loop, against models of backend and
storages. A schedule takes milliseconds.

What comes next is drawn: a request arrives, fails, hangs, or its outcome is told; a link tells
something, or is lost; the clock goes on to what is due; somebody calls; a process dies. The same
judge looks at it as at real sessions.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final, cast

from ...chart.model import Chart
from ...engine import Engine, Expired, Heard, Hinted, LimitReachedError, Outcome, OutOfTime
from ...errors import NetworkError, StorageError, SupportChatError
from ...lifecycle import requests as r
from ...lifecycle.chart import CHART
from ...lifecycle.names import Timer, Trigger as T
from ...settings import Settings
from .frontends import DISTURBED, Event, Move, moves_of
from .identical import Identical
from .judge import Asks, Judge, Opens
from .model import Line, ModelBackend, lost
from .performing import ON_LINKS, STORAGE, perform
from .plan import Plan
from .stepping import SteppedTab, Under
from .tally import Tally, verdict
from .verdict import Verdict, Violation
from .witness import Made, Use, Witness

MOVES: Final = 12
"""How many moves a schedule of engines has."""
MOST_STEPS: Final = 4_000
"""Steps that no schedule takes, unless it goes round in circles."""
USERS: Final = ("ada", "bob")
_LATENCIES: Final = (0.0, 0.0, 0.001, 0.02)
_IDLE: Final = frozenset({str(Timer.SILENCE), str(Timer.RENEW)})
"""Timers that run for ever, however well everything is."""
_SOON: Final = 60.0
"""A token that is renewed within so many seconds has expired."""


def simulate_engines(
    plan: Plan, settings: Settings | None = None, *, chart: Chart = CHART
) -> Verdict:
    """Plays this schedule with engines of `chart`, and judges it."""
    return _Schedule(plan, settings or Settings(), chart).play()


class _Schedule:
    def __init__(self, plan: Plan, settings: Settings, chart: Chart) -> None:
        self.plan, self.settings, self.chart = plan, settings, chart
        self.choose = plan.chance("engines")
        self.now = 0.0
        self.healed = False
        self.tally = Tally()
        self.backend = ModelBackend()
        self.judge = Judge(self.backend, settings, chart)
        self.story: list[str] = []
        self.all: list[SteppedTab] = []
        self.alive: list[SteppedTab] = []
        self.gone: list[SteppedTab] = []
        self.tabs: dict[int, SteppedTab] = {}
        self._later: list[tuple[float, Callable[[], None]]] = []

    def play(self) -> Verdict:
        plan = self.plan
        used = sorted({plan.tab_of(number) for number in plan.moves})
        self.tabs = {index: self._open(f"scope {index % plan.scopes}") for index in used}
        moves = list(plan.moves)
        try:
            while moves:
                if self.choose.random() < 0.15 or not self._goes_on():
                    self._move(moves.pop(0))
            self._judged()
        except _EndlessError as endless:
            self.judge.found.append(Violation("a schedule comes to its end", str(endless)))
        witnesses = [tab.witness for tab in self.all]
        for witness in witnesses:
            self.judge.ended(witness)
        return verdict(plan, self.story, self.judge.found, self.tally, witnesses)

    # --- what happens by itself -------------------------------------------------------------------

    def _goes_on(self) -> bool:
        """One thing happens; or nothing does, and nothing will that does not come round for good:
        returns whether something did.
        """
        if self.tally.steps > MOST_STEPS:
            raise _EndlessError("the tabs take steps without end")
        choose, work = self.choose, self._work()
        if not work:
            return not self._is_idle() and self._time_goes_on()
        later = self.now + choose.choice(_LATENCIES)
        hangs = not self.healed and choose.random() < 0.12
        if hangs or (later > self.now and self._next() <= later):
            return self._time_goes_on()
        self.now = later
        tab, what = work[int(choose.random() * len(work))]
        if isinstance(what, int):
            self._tells(tab, what)
        else:
            self._arrives(tab, what)
        return True

    def _work(self) -> list[tuple[SteppedTab, Under | int]]:
        """The requests and the links that may go on."""
        work: list[tuple[SteppedTab, Under | int]] = []
        for tab in self.alive:
            for under in tab.under:
                if not under.hangs or self.healed:
                    work.append((tab, under))
            for number, line in tab.kept.items():
                if line.waiting or not line.open:
                    work.append((tab, number))
        return work

    def _next(self) -> float:
        """When something is due."""
        due = [at for at, _ in self._later]
        for tab in self.alive:
            due += tab.timers.values()
            due += tab.bounds.values()
            due += [under.due for under in tab.under]
        return min(due, default=math.inf)

    def _time_goes_on(self) -> bool:
        """What is due next happens."""
        at = self._next()
        if at == math.inf:
            return False
        self.now = max(self.now, at)
        for due, happens in self._later:
            if due == at:
                happens()
                return True
        for tab in self.alive:
            for timer, due in tab.timers.items():
                if due == at:
                    del tab.timers[timer]
                    tab.take(Expired(timer))
                    return True
            for call, due in tab.bounds.items():
                if due == at:
                    del tab.bounds[call]
                    tab.take(OutOfTime(call))
                    return True
            for under in tab.under:
                if under.due == at:
                    self._overdue(tab, under)
                    return True
        return False

    def _is_idle(self) -> bool:
        """Nothing is due but what comes round for good."""
        return not self._later and all(
            not tab.under
            and not tab.bounds
            and tab.timers.keys() <= _IDLE
            and tab.timers.get(Timer.RENEW, math.inf) > self.now + _SOON
            and not self._is_silent(tab)
            for tab in self.alive
        )

    def _is_silent(self, tab: SteppedTab) -> bool:
        return any(line.silent for line in tab.kept.values())

    def _overdue(self, tab: SteppedTab, under: Under) -> None:
        """The limit of a request has come; some end all the same."""
        self.tally.fault("a request hangs")
        self.given_up(tab, under)
        limit = LimitReachedError(0.0)
        tab.take(Outcome(under.request, error=limit))

    def given_up(self, tab: SteppedTab, under: Under) -> None:
        """Nobody waits for this request any more. It has arrived by now, or will, or never does;
        what cannot be called back is reported all the same, if it succeeds.
        """
        if under.asked is not None and under.asked.ended_at is None:
            under.asked.ended_at = self.now
        under.over, under.hangs, under.due = True, False, self.now + 60.0
        # what goes out on a link keeps its order: it arrives before what follows, or never
        is_stuck = isinstance(under.request.payload, ON_LINKS) and not under.arrived
        if not self.healed and not is_stuck and self.choose.random() < 0.3:
            return
        tab.under.remove(under)
        is_storage = isinstance(under.request.payload, STORAGE)
        if not under.arrived and not is_storage and self.choose.random() < 0.3:
            self._does(tab, under)
        if under.arrived and isinstance(under.result, Line):
            under.result.close()

    def _tells(self, tab: SteppedTab, number: int) -> None:
        """A link tells what is next, or that it is lost."""
        line = tab.kept[number]
        if line.waiting:
            tab.take(Heard(number, line.waiting.popleft()))
        else:
            del tab.kept[number]
            error = self.choose.choice((None, NetworkError("The link broke.")))
            tab.take(Heard(number, None, error))

    def _arrives(self, tab: SteppedTab, under: Under) -> None:
        """A request gets on: to its adapter, or back; or something goes wrong."""
        choose = self.choose
        if not under.arrived:
            fate = 1.0 if self.healed else choose.random()
            payload = under.request.payload
            if self._on_dead_line(tab, under) or fate < 0.06:
                if fate < 0.03:
                    self._does(tab, under)
                    self._fails(tab, under, "an answer is lost")
                else:
                    self._fails(tab, under, "a request fails")
                return
            line = tab.lines.get(under.request.link or 0)
            if fate < 0.1 or (line is not None and line.silent and not isinstance(payload, r.Part)):
                under.hangs = True
                return
            self._does(tab, under)
            if choose.random() < 0.4:
                return
        self._answers(tab, under)

    def _on_dead_line(self, tab: SteppedTab, under: Under) -> bool:
        if not isinstance(under.request.payload, ON_LINKS):
            return False
        line = tab.lines.get(under.request.link or 0)
        return line is None or not line.open

    def _fails(self, tab: SteppedTab, under: Under, kind: str) -> None:
        if not self.healed:
            self.tally.fault(kind)
        payload = under.request.payload
        if isinstance(under.result, Line):
            under.result.close()
        if isinstance(payload, r.Identify) and not tab.remembers:
            asked, line = payload.request, tab.lines.get(under.request.link or 0)
            if line is not None:  # it lands late
                at = self.now + 1.5
                self._later.append((at, partial(self._lands, line, asked)))
        if isinstance(payload, ON_LINKS) and not isinstance(payload, r.UseLink):
            line = tab.lines.get(under.request.link or 0)
            if line is not None:
                line.close()
        is_storage = isinstance(payload, STORAGE)
        error = StorageError("The disk is full.") if is_storage else lost()
        under.result, under.error = None, error
        self._answers(tab, under)

    def _lands(self, line: Line, asked: Any) -> None:
        self._later = [each for each in self._later if each[0] > self.now]
        with contextlib.suppress(SupportChatError):
            self.backend.identify(line.session, asked)

    def _answers(self, tab: SteppedTab, under: Under) -> None:
        """The outcome is told; of one that nobody waits for any more, its success alone."""
        tab.under.remove(under)
        if under.asked is not None and under.asked.ended_at is None:
            under.asked.ended_at = self.now
        result = under.result
        if under.error is not None:
            if not under.over:
                tab.take(Outcome(under.request, error=under.error))
            return
        if isinstance(result, Line):
            tab.lines[under.request.number] = result
            result = result.welcome
        tab.take(Outcome(under.request, result))

    def _does(self, tab: SteppedTab, under: Under) -> None:
        """The request is done, or refused."""
        under.arrived = True
        try:
            under.result = perform(self.backend, tab, under.request, well=self.healed)
        except SupportChatError as error:
            under.error = error

    # --- what others do ---------------------------------------------------------------------------

    def _open(self, scope: str) -> SteppedTab:
        number = len(self.all) + 1
        engine = _engine(Identical(self.chart), self.settings, scope)
        tab = SteppedTab(self, engine, Witness(number, scope), remembers=number % 2 == 1)
        self.all.append(tab)
        self.alive.append(tab)
        return tab

    def _tell(self, what: str) -> None:
        self.story.append(f"{self.now:9.3f} {what}")

    def ended(self, tab: SteppedTab, made: Made) -> None:
        self.tally.ended(made, not self.healed)
        came = made.result if made.error is None else f"{type(made.error).__name__}: {made.error}"
        self._tell(f"{tab.witness.name}: {made.use} ends: {came}")

    def _move(self, number: int) -> None:
        roll = self.plan.move(number)
        index = roll.randrange(self.plan.tabs)
        if roll.random() < DISTURBED:
            self._disturb(roll)
            return
        for move in moves_of(roll, str(number), self.tabs[index], USERS):
            self._do(self.tabs[index], index, move)

    def _disturb(self, roll: random.Random) -> None:
        kinds = ("links break", "links fall silent", "tokens expire", "a session is revoked")
        kind = roll.choice(kinds)
        self.tally.fault(kind)
        self._tell(kind)
        lines = self.backend.open_lines
        match kind:
            case "links break":
                for line in lines:
                    line.close()
            case "links fall silent":
                for line in lines:
                    line.waiting.clear()
                    line.silent, line.heard_at = True, self.now
            case "tokens expire":
                self.backend.expire_tokens()
            case _:
                if lines:
                    self.backend.revoke(roll.choice(lines).session.name)

    def _do(self, tab: SteppedTab, index: int, move: Move) -> None:
        name, what = tab.witness.name, str(move)
        match move:
            case Use():
                self._tell(f"{name}: {move}")
                tab.make(move)
                if move.call == "destroy":
                    self._replace(index)
                return
            case Event("online" | "offline"):
                tab.take(Hinted(T.GO_ONLINE if move.what == "online" else T.GO_OFFLINE))
                what = f"set_online({move.what == 'online'})"
            case Event("answered"):
                if tab.identity is not None:
                    self.backend.answer(tab.identity, move.text)
                what = f"is answered: {move.text}"
            case Event("given up"):
                what = tab.give_up()
                self.tally.fault("a caller leaves")
            case Event("withdraw"):
                tab.withdraw(move.text)
                what = f"takes {move.text} back"
            case Event():  # it is killed
                self._kill(tab)
                self._replace(index)
                what = f"is killed; {self.tabs[index].witness.name} begins in its place"
        self._tell(f"{name}: {what}")

    def _kill(self, tab: SteppedTab) -> None:
        """What it has asked may arrive all the same."""
        self.tally.fault("a process dies")
        for under in tab.under:
            if not under.arrived and self.choose.random() < 0.5:
                self._does(tab, under)
            if isinstance(under.result, Line):
                under.result.close()
        for line in tab.lines.values():
            line.close()
        tab.witness.dead = True
        self.alive.remove(tab)

    def _replace(self, index: int) -> None:
        gone = self.tabs[index]
        self.gone.append(gone)
        self.tabs[index] = self._open(gone.witness.scope)

    # --- what is wrong ----------------------------------------------------------------------------

    def _heal(self) -> None:
        self.healed = True
        for tab in self.alive:
            for line in tab.kept.values():
                line.close()
            tab.take(Hinted(T.GO_ONLINE))
        self._quiet()

    def _quiet(self) -> None:
        while self._goes_on():
            pass

    def _judged(self) -> None:
        self.judge.healed_at = self.now
        self._heal()
        self._tell("everything has been well for long")
        tabs = list(self.tabs.values())
        self.judge.judged(tabs, [tab.witness for tab in self.gone])
        scopes = list(dict.fromkeys(tab.witness.scope for tab in tabs))
        examination = self.judge.examined(tabs, scopes)
        answer: Any = None
        with contextlib.suppress(StopIteration):
            while True:
                asked = examination.send(answer)
                answer = None
                if isinstance(asked, Asks):
                    answer = cast("SteppedTab", asked.tab).make(asked.use)
                    self._quiet()
                elif isinstance(asked, Opens):
                    answer = self._open(asked.scope)
                elif asked.healed:
                    self._heal()
                else:
                    self._quiet()


class _EndlessError(Exception):
    pass


@cache
def _engine(key: Identical[Chart], settings: Settings, scope: str) -> Engine:
    return Engine(key.value, settings, r.Keys("acme", "help", scope))
