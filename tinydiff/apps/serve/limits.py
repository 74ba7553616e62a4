"""What the page's server refuses: strangers, files, large requests, and clients that keep it waiting."""

import asyncio
import ipaddress
import json
import logging
import re
import socket
import sys
import types
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs

from tinydiff.apps.serve.easel import Easel

MOST_BYTES = 2**16  # of a request: of words and numbers there are never so many
MOST_SECONDS = 10  # until a request has come, and until a client that does not read must have read on
MOST_CONNECTIONS = 200
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_ANY = ("0.0.0.0", "::", "")  # --host for all of the machine's addresses


class Guard:
    """An ASGI application around Gradio's, which lets through what it can read.

    - The header Host must be a name that the page is served under. Else a stranger's page could send its visitors'
      browsers here, under a name of the stranger's that leads to this machine ("DNS rebinding"), and read the answers.
      The port may be any: it differs where a tunnel leads here.
    - The header Origin, if there is one, must be the same as Host: other pages may not ask for pictures.
    - A request must have come after `seconds`, with at most `MOST_BYTES`, no file, and JSON where it says so. What is
      too large is read to its end and thrown away, since most clients read no answer before they have sent all.
    - Who reads which stream is told to the easel.

    Parameters
    ----------
    app : ASGI application
    easel : Easel
    host : str
        The address that the server listens on.
    seconds : float
    """

    def __init__(self, app: Any, easel: Easel, host: str, seconds: float = MOST_SECONDS):
        self.app, self.easel, self.host, self.seconds = app, easel, host.lower().strip("[]"), seconds
        self.names = {"localhost", "127.0.0.1", "::1", self.host} - set(_ANY)
        if self.host in _ANY:
            self.names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # the page has none
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope, receive, send):
        try:
            body, size = await asyncio.wait_for(_read(receive), self.seconds)
        except TimeoutError:
            await _refuse(send, 408, f"The request did not come within {self.seconds:g} seconds.")
            return
        if body is None:  # the client is gone
            return
        refusal = self._refusal(scope, body, size)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        again = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive_again():
            return next(again, None) or await receive()

        with ExitStack() as stack:
            for stream in _streams(scope):
                stack.enter_context(self.easel.listening(stream))
            await self.app(scope, receive_again, send)

    def _refusal(self, scope, body, size):
        """Return (status, sentence) for what is not let through, else None."""
        hosts, origins, kinds = (_values(scope, name) for name in (b"host", b"origin", b"content-type"))
        if len(hosts) != 1 or not self.is_own(hosts[0]):
            given = ", ".join(hosts) or "no name"
            return (
                403,
                f"The header Host is {given[:100]!r}, but this page is served as {', '.join(sorted(self.names))}.",
            )
        if any(
            origin.lower() not in (f"http://{hosts[0].lower()}", f"https://{hosts[0].lower()}") for origin in origins
        ):
            return 403, f"The header Origin is {origins[0][:100]!r}, but only this page itself may ask for pictures."
        if any("multipart" in kind.lower() for kind in kinds):
            return 415, "This page takes words and numbers, and no files."
        if size > MOST_BYTES:
            return 413, f"The request is larger than {MOST_BYTES:,} bytes, and is not read."
        if body and any("json" in kind.lower() for kind in kinds):
            try:
                json.loads(body)
            except (ValueError, RecursionError):
                return 422, "The request is no JSON."
        return None

    def is_own(self, host: str) -> bool:
        """Whether a header Host, such as ``localhost:7860``, is a name that the page is served under.

        If the server listens on all addresses of the machine, each number is: rebinding needs a name.
        """
        match = _HOST.fullmatch(host)
        if match is None or (match[2] and not 1 <= int(match[2]) <= 65535):
            return False
        name = match[1].strip("[]").lower()
        return name in self.names or (self.host in _ANY and _is_number(name))


def silence_tracebacks() -> None:
    """Let the server's loggers, and Gradio, write one line where they would write a traceback."""
    import gradio.queueing
    import gradio.routes

    for module in (gradio.queueing, gradio.routes):
        module.traceback = types.SimpleNamespace(print_exc=_print_one_line)  # what they call for each bad request
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(message)s"))
    for name in ("uvicorn.error", "uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.ERROR)


def _print_one_line(*_, **__):
    error = sys.exc_info()[1]
    print(f"A request failed: {type(error).__name__}: {str(error).partition(chr(10))[0][:200]}", file=sys.stderr)


class _OneLine(logging.Formatter):
    def format(self, record):
        what, error = record.getMessage().strip().partition("\n")[0], record.exc_info and record.exc_info[1]
        return f"The server goes on after an error: {what}" + (f" ({type(error).__name__}: {error})" if error else "")


def patient_protocol(seconds: float = MOST_SECONDS) -> type:
    """Return uvicorn's protocol of a connection, which does not wait for ever.

    It closes a connection over which no whole head of a request has come for `seconds`, or somewhat longer, and one
    whose client has not read for so long.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        unread: Any = None  # what ends the connection if nothing is read
        seen_waiting: Any = None  # the last request that was answered when it was looked at; None: none had come

        def connection_made(self, transport):
            super().connection_made(transport)
            self.look = self.loop.call_later(seconds, self.look_again)

        def look_again(self):
            waits = self.cycle is None or self.cycle.response_complete
            if waits and self.cycle is self.seen_waiting:
                self.transport.abort()
                return
            self.seen_waiting = self.cycle if waits else self
            self.look = self.loop.call_later(seconds, self.look_again)

        def connection_lost(self, exc):
            self.look.cancel()
            self.resume_writing()
            super().connection_lost(exc)

        def pause_writing(self):
            super().pause_writing()
            self.unread = self.unread or self.loop.call_later(seconds, self.transport.abort)

        def resume_writing(self):
            if self.unread is not None:
                self.unread.cancel()
                self.unread = None
            super().resume_writing()

    return Patient


async def _read(receive):
    """Return the body of a request and its size: of a large one only the beginning, and None if the client is gone."""
    body, size, more = b"", 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None, size
        piece, more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        if size <= MOST_BYTES:
            body += piece
    return body, size


async def _refuse(send, status, why):
    """Answer a request with an error, in the form of Gradio's own."""
    headers = [(b"content-type", b"application/json")]
    if status == 408:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": why}).encode()})


def _values(scope, name):
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _streams(scope):
    """Return the names of the streams that a request reads: a session's, or that of one event."""
    path = scope["path"].rstrip("/")
    if scope["method"] != "GET":
        return []
    if path.endswith("/queue/data"):
        return parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [])
    return [path.rpartition("/")[2]] if "/call/" in path else []


def _is_number(name):
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
