"""The demo page's server draws what the model draws, and refuses files and large requests."""

import html
import json
import re
import socket
import urllib.error
import urllib.request

import numpy as np
import pytest
from demo_page import ASKED, BAD, drawn
from demo_server import ask, picture_of, post, post_in_pieces

from tinydiff.apps.serve.drawing import MOST_SHOWN, MOST_STEPS
from tinydiff.apps.serve.easel import MOST_OF_ONE
from tinydiff.apps.serve.page import SHOWN
from tinydiff.plot.sheets import to_pixels


@pytest.mark.slow
def test_the_server_draws_what_the_model_draws(address, model):
    name, (chain, maps) = ask(address, *ASKED.values())
    assert name == "complete"
    frame = drawn(model)[-1]
    (pixels,) = to_pixels("image", frame.x_t[None])
    np.testing.assert_array_equal(picture_of(chain)[16::32, 16::32], pixels)  # 8 x 8 pixels, enlarged to 256
    assert maps.count("<img") == len(frame.maps)


@pytest.mark.slow
def test_the_server_says_what_is_wrong_and_draws_on(address):
    for name, value, words in BAD:
        event, data = ask(address, *(ASKED | {name: value}).values())
        assert event == "error"
        assert re.search(words, html.unescape(data["error"])), data
    name, (chain, _) = ask(address, *(ASKED | {"prompt": "red hair, " * 8}).values())
    assert name == "complete"
    assert "dropped at its end" in chain
    assert ask(address, "only", "three", 3)[0] == "error"
    for path, body in (("/call/draw", b"{no json"), ("/call/draw", b"[]"), ("/call/nothing", b'{"data": []}')):
        assert post(address, path, body)[0] >= 400
    assert ask(address, *ASKED.values())[0] == "complete"


FORM = b'--x\r\nContent-Disposition: form-data; name="%b"; filename="a.bin"\r\n\r\n%b\r\n--x--\r\n'


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 20_000_000], ids=["small", "large"])
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "Multipart/Form-Data; boundary=x"])
@pytest.mark.parametrize(
    ("path", "field"),
    [("/upload", b"files"), ("/upload/", b"files"), ("/process_recording", b"video"), ("/component_server", b"data")],
)
def test_the_server_takes_no_files(address, files, path, field, kind, n):
    before = sorted(files.rglob("*"))
    status, text = post(address, path, FORM % (field, b"a" * n), kind)
    assert status == 415
    assert json.loads(text) == {"error": "This page takes words and numbers, and no files."}
    assert sorted(files.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/call/draw", "/queue/join", "/run/draw", "/upload", "/cancel", "/nothing"])
def test_the_server_reads_no_large_requests(address, path):
    body = json.dumps({"data": ["a" * 30_000_000, "", 3, 4, "ddim", 5]}).encode()
    for status, text in (post(address, path, body), post_in_pieces(address, path, "application/json", 30_000_000)):
        assert status == 413
        assert json.loads(text) == {"error": "The request is larger than 65,536 bytes, and is not read."}
    assert ask(address, *ASKED.values())[0] == "complete"


@pytest.mark.slow
def test_a_request_in_pieces_is_read_whole(address):
    status, text = post_in_pieces(address, "/call/draw", "application/json", 60_000)
    assert status == 422  # no JSON, but not too large
    assert "a" * 60_000 not in text


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 7, MOST_SHOWN, MOST_SHOWN + 1, MOST_STEPS])
def test_an_answer_stays_small_and_ends_with_the_picture(address, model, steps):
    """Answers that nobody reads wait in the server's memory."""
    status, text = post(address, "/call/draw", json.dumps({"data": [*(ASKED | {"steps": steps}).values()]}).encode())
    assert status == 200, text
    with urllib.request.urlopen(f"{address}/gradio_api/call/draw/{json.loads(text)['event_id']}") as stream:
        answer = stream.read().decode()
    seen = [int(step) for step in re.findall(rf"step (\d+) of {steps},", answer)]
    assert seen[-1] == steps
    assert len(set(seen)) == min(steps, MOST_SHOWN)
    assert max(np.diff([0, *sorted(set(seen))])) <= -(-steps // MOST_SHOWN)
    assert len(answer) < 1_000_000
    *_, (_, data) = re.findall(r"event: (\w+)\ndata: (.*)\n", answer)
    chain, maps = json.loads(data)
    (pixels,) = to_pixels("image", drawn(model, steps=steps)[-1].x_t[None])
    np.testing.assert_array_equal(picture_of(chain)[16::32, 16::32], pixels)
    assert "<img" in maps
    assert chain.count("<img") == 2 + min(steps, SHOWN)  # the moments do not depend on what was left out


@pytest.mark.slow
def test_the_server_listens_on_this_machine_alone(address):
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", int(address.rpartition(":")[2])), timeout=5)


@pytest.mark.slow
def test_one_address_has_so_many_drawings_and_the_queue_cannot_be_avoided(address):
    """The last test: what waits then is not waited for."""
    body = json.dumps({"data": [*(ASKED | {"steps": MOST_STEPS, "sampler": "heun"}).values()]}).encode()
    for _ in range(MOST_OF_ONE):
        assert post(address, "/call/draw", body)[0] == 200
    event, data = ask(address, *ASKED.values())
    assert event == "error"
    assert f"You have {MOST_OF_ONE} drawings here already" in data["error"]
    for way in ("run", "api"):
        status, text = post(address, f"/{way}/draw", body)
        assert status == 404
        assert "Please join the queue" in text
