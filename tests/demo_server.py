"""The demo page's server as a process of its own, which writes down each address outside that it looks for."""

import base64
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

WATCHED = """
import signal, sys

def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = args[1] if event == "socket.connect" else args
        host = address[0] if isinstance(address, tuple) else "localhost"  # else a socket that is a file
        if host not in ("localhost", "127.0.0.1", "::1", None):
            print("outside:", host, flush=True)

sys.addaudithook(watch)
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell takes from what runs in the background
from tinydiff.apps.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Address(str):
    """Where the server is reached; with the number of its process."""

    pid: int


@contextmanager
def serving(folder, files):
    """Run `tinydiff serve` for the model of this folder, and stop it as Ctrl-C does; yields its address."""
    pytest.importorskip("gradio", reason="the demo page needs Gradio: pip install 'tinydiff[demo]'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address, log = f"http://127.0.0.1:{port}", folder / "log.txt"
    command = [sys.executable, "-c", WATCHED, "serve", "--model", str(folder), "--port", str(port)]
    environment = os.environ | {"TMPDIR": str(files), "GRADIO_TEMP_DIR": str(files)}
    with (
        log.open("w") as file,
        subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment) as process,
    ):
        try:
            while f"draws at {address}/ until Ctrl-C." not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            there = Address(address)
            there.pid = process.pid
            yield there
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 130, log.read_text()
    assert "outside:" not in log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()


def post(address, path, body, kind="application/json"):
    """Return the status of the answer and its text."""
    request = urllib.request.Request(f"{address}/gradio_api{path}", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def post_in_pieces(address, path, kind, n):
    """Send so many bytes without saying before how many; return the status of the answer and its text."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    pieces = (b"a" * 10_000 for _ in range(n // 10_000))
    connection.request("POST", f"/gradio_api{path}", pieces, {"Content-Type": kind}, encode_chunked=True)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def ask(address, *values):
    """Ask for a picture; return the last event of the answer, its name and its data."""
    status, text = post(address, "/call/draw", json.dumps({"data": values}).encode())
    assert status == 200, text
    with urllib.request.urlopen(f"{address}/gradio_api/call/draw/{json.loads(text)['event_id']}") as stream:
        *_, (name, data) = re.findall(r"event: (\w+)\ndata: (.*)\n", stream.read().decode())
    return name, json.loads(data)


@contextmanager
def asking(address, *values):
    """Ask for a picture, and yield the stream of the answer, whose reader may leave before its end."""
    status, text = post(address, "/call/draw", json.dumps({"data": values}).encode())
    assert status == 200, text
    with urllib.request.urlopen(f"{address}/gradio_api/call/draw/{json.loads(text)['event_id']}") as stream:
        yield stream


def raw(address, head, body=b"", wait=60.0):
    """Send these bytes as they are; return what comes back until the server closes."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(head + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer.decode("latin-1")


def picture_of(shown):
    """Return the pixels of the first image in HTML."""
    data = base64.b64decode(re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", shown).group(1))
    return np.asarray(Image.open(io.BytesIO(data)))
