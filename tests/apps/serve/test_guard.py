"""What the page's server refuses: strangers, other pages, malformed requests, and clients that keep it waiting."""

import asyncio
import json
import socket
import time

import pytest
from demo_page import ASKED
from demo_server import ask, post, raw

from tinydiff.apps.serve.easel import PATIENCE, Easel, Turn, Waiting
from tinydiff.apps.serve.limits import Guard
from tinydiff.base import TinydiffError

BODY = json.dumps({"data": [*ASKED.values()]}).encode()
LOOPBACK = ["localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]:7860", "[::1]", "localhost:8080"]
STRANGERS = [
    "evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.nip.io:7860", "127.0.0.1@evil.example",
    "localhost:abc", "localhost:", "localhost:0", "localhost:99999", "[::2]:7860", "192.168.1.5:7860", "", "[::1",
    "::1", "127.1", "2130706433", "localhost ", "localhost,evil.example", "0.0.0.0:7860",
]  # fmt: skip


def answer_of(headers, body=b"", method="POST", host="127.0.0.1", seconds=5.0, pieces=None):
    """Return the status that a guard gives, 200 if it lets the request through."""
    sent = []

    async def app(scope, receive, send):
        assert (await receive())["body"] == body
        await send({"type": "http.response.start", "status": 200})

    async def receive():
        if pieces is None:
            return {"type": "http.request", "body": body}
        await asyncio.sleep(pieces)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/x", "query_string": b"", "headers": headers}
    asyncio.run(Guard(app, Easel(), host, seconds)(scope, receive, send))
    return sent[0]["status"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_its_own_names_are_let_through(host):
    for address in ("127.0.0.1", "localhost", "::1"):
        assert answer_of([(b"host", host.encode())], host=address) == 200


@pytest.mark.parametrize("host", STRANGERS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_other_names_are_refused(host, method):
    assert answer_of([(b"host", host.encode())], method=method) == 403


@pytest.mark.parametrize("headers", [[], [(b"host", b"localhost"), (b"host", b"evil.example")]])
def test_none_and_two_names_are_refused(headers):
    assert answer_of(headers) == 403


def test_a_server_for_all_addresses_takes_numbers_and_its_machines_name_alone():
    for host in ("192.168.1.5:7860", "[fe80::1]:7860", "localhost", f"{socket.gethostname()}:7860"):
        assert answer_of([(b"host", host.encode())], host="0.0.0.0") == 200
    assert answer_of([(b"host", b"evil.example:7860")], host="0.0.0.0") == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:7860", 200),
        ("https://LOCALHOST:7860", 200),
        ("http://localhost:9999", 403),
        ("http://127.0.0.1:7860", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("file://", 403),
    ],
)
def test_only_the_page_itself_may_ask(origin, status):
    assert answer_of([(b"host", b"localhost:7860"), (b"origin", origin.encode())]) == status


@pytest.mark.parametrize("body", [b"{", b"", b"[" * 60_000, b"\xff\xfe", b"nul", b'{"a": 1}', b"3"])
def test_what_is_no_json_is_refused(body):
    status = answer_of([(b"host", b"localhost"), (b"content-type", b"application/json")], body)
    assert status == (200 if body in (b"", b'{"a": 1}', b"3") else 422)


@pytest.mark.parametrize("pause", [0.001, 10])
def test_a_body_that_never_ends_is_given_up(pause):
    assert answer_of([(b"host", b"localhost")], seconds=0.2, pieces=pause) == 408


def counting(n, seen):
    try:
        for i in range(n):
            seen.append(i)
            yield i
    finally:
        seen.append("closed")


def test_one_drawing_at_a_time_in_the_order_of_the_asking():
    async def both():
        easel, seen = Easel(), []

        async def one(n):
            return [step async for step in easel.steps(Turn(lambda: counting(n, seen), str(n)))]

        steps = await asyncio.gather(one(50), one(60), one(70))
        easel.close()
        return seen, steps

    seen, steps = asyncio.run(both())
    assert seen == [*range(50), "closed", *range(60), "closed", *range(70), "closed"]
    assert [step for step in steps[2] if not isinstance(step, Waiting)] == [*range(70)]
    assert [step.before for step in steps[2] if isinstance(step, Waiting)] in ([2, 1], [2], [1])


@pytest.mark.parametrize("way", ["closed", "cancelled", "stopped", "unread"])
def test_a_drawing_that_is_given_up_is_closed_at_its_next_step(way):
    async def begin():
        easel, seen = Easel(), []
        turn = Turn(lambda: counting(10**9, seen), keys=frozenset(["mine"]))

        async def reads():
            with easel.listening("mine"):
                async for step in easel.steps(turn):
                    if step == 3 and way == "closed":
                        break
                    if step == 3 and way == "stopped":
                        easel.stop("mine", "You stopped it.")

        async def unread():
            reader = easel.listening("mine")
            reader.__enter__()
            async for step in easel.steps(turn):
                if step == 3:
                    reader.__exit__(None, None, None)

        task = asyncio.create_task(unread() if way == "unread" else reads())
        while way == "cancelled" and len(seen) < 5:
            await asyncio.sleep(0)
        if way == "cancelled":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        easel.close()
        return seen, turn

    seen, turn = asyncio.run(begin())
    assert seen[-1] == "closed"
    assert turn.why == {"stopped": "You stopped it."}.get(way, "Nobody waits for it.")


@pytest.mark.slow
def test_limits_of_the_queue_of_the_time_and_of_patience():
    async def ask_for(easel, client="a", keys=(), n=3):
        return [step async for step in easel.steps(Turn(lambda: counting(n, []), client, frozenset(keys)))]

    async def crowd():
        easel = Easel(most_waiting=3, most_of_one=2, patience=0.05)
        tasks = [asyncio.create_task(ask_for(easel, client, n=10**5)) for client in "aaabbb"]
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        easel.close()
        return ends

    errors = [str(end) for end in asyncio.run(crowd()) if isinstance(end, TinydiffError)]
    assert errors == ["You have 2 drawings here already: wait for one of them, or stop it."] * 2

    async def slow():
        easel = Easel(most_seconds=0.05, patience=0.05)
        first = Turn(lambda: counting(10**12, []), "a")
        task = asyncio.create_task(collect(easel.steps(first)))
        await asyncio.sleep(0.01)
        second = await ask_for(easel, "b")
        await task
        alone = Turn(lambda: counting(3, []), "b", frozenset(["nobody"]))
        nothing = [step async for step in easel.steps(alone)]
        easel.close()
        return first.why, second, nothing, alone.why

    async def collect(steps):
        async for _ in steps:
            pass

    why, second, nothing, lonely = asyncio.run(slow())
    assert why.startswith("Others wait")
    assert second[-3:] == [0, 1, 2]
    assert (nothing, lonely) == ([], "Nobody came to read the answer.")


def test_what_a_drawing_raises_is_a_sentence():
    def failing():
        yield 1
        raise MemoryError("too large")

    async def ask_for():
        easel = Easel()
        try:
            return [step async for step in easel.steps(Turn(failing))]
        finally:
            easel.close()

    with pytest.raises(TinydiffError, match=r"The drawing failed \(MemoryError: too large\)."):
        asyncio.run(ask_for())


@pytest.mark.slow
def test_malformed_requests_and_strangers_leave_no_traceback_and_the_page_goes_on(address):
    """The server's log is looked at when it has ended."""
    values = [*ASKED.values()]
    for data in (values[:3], [*values, 1, 2], [], {}, None, "a", 3, [[[]]], [None] * 6, [{"path": "/etc/passwd"}] * 6):
        for more in ({}, {"session_hash": 3}, {"session_hash": "x", "event_data": {"a": 1}, "trigger_id": 10**6}):
            body = json.dumps({"data": data, **more}).encode()
            for path in ("/call/draw", "/call/draw/", "/call/v2/draw", "/queue/join", "/run/draw", "/api/draw"):
                assert post(address, path, body)[0] < 600
    for number in (-1, 0, 1, 2, 3, 4, 5, 6, 99, "2", None, 2.5, [2]):
        for data in (values, [], ["a"], None):
            body = json.dumps({"data": data, "fn_index": number, "session_hash": "s", "trigger_id": None}).encode()
            post(address, "/queue/join", body)
            post(address, "/cancel", json.dumps({"session_hash": "s", "fn_index": number, "event_id": "x"}).encode())
    for path in ("/call/v2/draw", "/cancel", "/reset", "/component_server", "/stream/1", "/queue/join", "/deep_link"):
        for body in (b"{}", b"[]", b"null", b"3", b'"a"', b"[" * 1000 + b"]" * 1000, b'{"a": NaN}'):
            assert post(address, path, body)[0] < 600
    port = address.rpartition(":")[2]
    for head in (
        "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "nonsense\r\n\r\n",
        f"GET /gradio_api/queue/data HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n",
        f"GET /gradio_api/call/draw/none HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n",
        f"GET /gradio_api/file=/etc/passwd HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n",
    ):
        assert "root:" not in raw(address, head.encode())
    assert raw(address, b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").startswith("HTTP/1.1 403")
    time.sleep(PATIENCE + 2)  # what was asked for and not read is given up
    assert ask(address, *values)[0] == "complete"


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"POST /gradio_api/call/draw HTTP/1.1\r\nHost: localh",
        b"POST /gradio_api/call/draw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
    ],
)
def test_who_does_not_finish_a_request_is_sent_away(address, head):
    answer = raw(address, head)  # which returns: the server has closed
    assert answer == "" or answer.startswith("HTTP/1.1 408")
    assert ask(address, *ASKED.values())[0] == "complete"
