"""One drawing at a time, however many ask; a drawing that nobody waits for stops at its next step."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tinydiff.base import TinydiffError

MOST_WAITING = 8  # drawings in the queue
MOST_OF_ONE = 4  # of them, with the one being drawn, from one address: so that nobody fills the queue alone
MOST_SECONDS = 120  # that a drawing may take while others wait
PATIENCE = 10  # seconds until somebody must have come to read the answer
_END = object()


class Waiting(NamedTuple):
    """That a drawing waits, and how many are before it."""

    before: int


@dataclass(eq=False)
class Turn:
    """A drawing that somebody asked for.

    Parameters
    ----------
    work : callable
        ``work()`` returns a generator, which takes one step of the drawing for each value that it yields.
    client : str
        The address of who asks.
    keys : frozenset of str
        The names of the streams that carry the answer: it is waited for while one of them is read.
    why : str
        Why it ended early, as a sentence; empty as long as it did not.
    """

    work: Callable[[], Generator]
    client: str = ""
    keys: frozenset[str] = frozenset()
    why: str = ""
    news: asyncio.Queue = field(default_factory=asyncio.Queue)
    heard: asyncio.Event = field(default_factory=asyncio.Event)  # somebody reads the answer
    job: Future | None = None


class Easel:
    """The one place where pictures are drawn, by one thread of its own; all else here runs in the server's loop.

    A chain's steps all run in that thread, and the chain is closed there, so a drawing that is stopped leaves neither a
    thread, nor a process, nor memory behind, and the next one does not begin before it has ended.

    Parameters
    ----------
    most_waiting, most_of_one : int
    most_seconds, patience : float
    """

    def __init__(
        self,
        most_waiting: int = MOST_WAITING,
        most_of_one: int = MOST_OF_ONE,
        most_seconds: float = MOST_SECONDS,
        patience: float = PATIENCE,
    ):
        self.most_waiting, self.most_of_one = most_waiting, most_of_one
        self.most_seconds, self.patience = most_seconds, patience
        self.painter = ThreadPoolExecutor(1, "painter")
        self.turns: list[Turn] = []
        self.listeners: Counter[str] = Counter()

    async def steps(self, turn: Turn) -> AsyncGenerator[Any, None]:
        """Wait for the turn, and yield what its work yields; before that, `Waiting` whenever the queue has moved.

        It ends early, with the sentence `turn.why`, if the drawing is stopped. Whoever gives up this iterator, by
        closing it or by cancelling the task in it, stops the drawing.

        Raises
        ------
        TinydiffError
            If too many wait already, or the work raises.
        """
        if sum(other.client == turn.client for other in self.turns) >= self.most_of_one:
            raise TinydiffError(f"You have {self.most_of_one} drawings here already: wait for one of them, or stop it.")
        if len(self.turns) > self.most_waiting:
            raise TinydiffError(f"The queue is full: {self.most_waiting} drawings wait. Try again in a moment.")
        self.turns.append(turn)
        try:
            if not self._is_waited_for(turn):
                with suppress(TimeoutError):
                    await asyncio.wait_for(turn.heard.wait(), self.patience)
                if not turn.heard.is_set():
                    turn.why = "Nobody came to read the answer."
            if not turn.why:
                turn.job = self.painter.submit(self._paint, turn, asyncio.get_running_loop())
                self._say_who_is_before(turn)
            else:
                turn.news.put_nowait(_END)
            while (item := await turn.news.get()) is not _END:
                if isinstance(item, Exception):
                    raise item
                yield item
        except BaseException:  # it was given up
            self.end(turn, "Nobody waits for it.")
            raise
        finally:  # nothing is awaited here or above: both also run in a task that was cancelled
            if turn.job is None:
                self._leave(turn)

    def end(self, turn: Turn, why: str) -> None:
        """Stop a drawing: at its next step, or at once if it only waits."""
        turn.why = turn.why or why
        turn.heard.set()
        if turn.job is not None and turn.job.cancel():
            turn.news.put_nowait(_END)
            self._leave(turn)

    def stop(self, key: str, why: str) -> None:
        """Stop the drawings whose answer goes to this stream."""
        for turn in list(self.turns):
            if key in turn.keys:
                self.end(turn, why)

    @contextmanager
    def listening(self, key: str) -> Iterator[None]:
        """Say that somebody reads this stream inside; after the last reader, its drawings stop."""
        self.listeners[key] += 1
        for turn in self.turns:
            if key in turn.keys:
                turn.heard.set()
        try:
            yield
        finally:
            self.listeners[key] -= 1
            if not self.listeners[key]:
                del self.listeners[key]
            for turn in list(self.turns):
                if key in turn.keys and not self._is_waited_for(turn):
                    self.end(turn, "Nobody waits for it.")

    def close(self) -> None:
        """Stop all drawings, and wait until the one that is being drawn has ended."""
        for turn in list(self.turns):
            turn.why = turn.why or "The server ends."
        self.painter.shutdown(cancel_futures=True)

    def _is_waited_for(self, turn):
        return not turn.keys or any(self.listeners[key] for key in turn.keys)

    def _paint(self, turn, loop):
        """Draw, in the painter's thread, and send what there is to see to the loop."""

        def send(function, *args):
            with suppress(RuntimeError):  # the loop is closed, with the server
                loop.call_soon_threadsafe(function, *args)

        begun = time.monotonic()
        try:
            with closing(turn.work()) as chain:
                for item in chain:
                    if not turn.why and len(self.turns) > 1 and time.monotonic() - begun > self.most_seconds:
                        turn.why = f"Others wait, and it took more than {self.most_seconds:g} seconds: ask for less."
                    if turn.why:
                        break
                    send(turn.news.put_nowait, item)
        except TinydiffError as error:
            send(turn.news.put_nowait, error)
        except Exception as error:  # whatever it is, the page goes on
            send(turn.news.put_nowait, TinydiffError(f"The drawing failed ({type(error).__name__}: {error})."))
        finally:
            send(self._leave, turn)
            send(turn.news.put_nowait, _END)

    def _leave(self, turn):
        if turn in self.turns:
            self.turns.remove(turn)
            for other in self.turns:
                self._say_who_is_before(other)

    def _say_who_is_before(self, turn):
        before = self.turns.index(turn)
        if before and turn.job is not None and not turn.job.running():
            turn.news.put_nowait(Waiting(before))
