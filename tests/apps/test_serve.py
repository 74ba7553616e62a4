"""The demo page: what it draws, what it refuses, and what a reader sees of it in a browser."""

import base64
import html
import http.client
import io
import json
import os
import re
import shutil
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

from tinydiff.apps.cli import main
from tinydiff.apps.serve import page, serve
from tinydiff.apps.serve import page as module
from tinydiff.apps.serve.drawing import MOST_CHARACTERS, MOST_SCALE, MOST_SHOWN, MOST_STEPS, draw
from tinydiff.apps.serve.page import MOST_WAITING, SHOWN
from tinydiff.base import InputError, TinydiffError
from tinydiff.data import load_avatars
from tinydiff.diffusion import SAMPLERS
from tinydiff.models import DiffusionModel, ModelConfig, Request, load, save, word_maps
from tinydiff.networks import TextConfig, UNetConfig
from tinydiff.nn import Tape
from tinydiff.plot.sheets import to_pixels
from tinydiff.text import Tokenizer

TOKENIZER = Tokenizer.train(load_avatars("train", 24).captions, 200)
LENGTH = 16
PROMPT = "long red hair, round glasses"
ASKED = {"prompt": PROMPT, "negative": "a hat", "scale": 3, "steps": 4, "sampler": "ddim", "seed": 5}


def make(T=1000):
    """A small model away from its initial state, where the last layers are 0 and words do not count."""
    unet = UNetConfig(
        8, 3, channels=8, channel_mult=(1, 2), attention_levels=(0, 1), blocks_per_level=1, heads=2, context_channels=8
    )
    config = ModelConfig(unet, T=T, text=TextConfig(len(TOKENIZER), LENGTH, 8, 1, 2))
    network = config.network(np.random.default_rng(0))
    network.theta[:] += 0.1 * np.random.default_rng(1).standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, config, micro_batch=4, tokenizer=TOKENIZER)


@pytest.fixture(scope="module")
def model():
    return make()


def drawn(model, **asked):
    return list(draw(model, **ASKED | asked))


# What is drawn


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_step_of_the_chain_is_yielded_bit_for_bit(model, sampler):
    frames = drawn(model, sampler=sampler)
    chain = list(
        model.chain(Request(n=1, seed=5, prompt=PROMPT, negative="a hat", guidance=3.0), steps=4, sampler=sampler)
    )
    assert [frame.step for frame in frames] == [1, 2, 3, 4]
    assert {frame.steps for frame in frames} == {4}
    for frame, (t, x_t, x_0_hat) in zip(frames, chain, strict=True):
        assert frame.t == t
        np.testing.assert_array_equal(frame.x_t, x_t[0])
        np.testing.assert_array_equal(frame.x_0_hat, x_0_hat[0])
        assert frame.notes == ()
        assert bool(frame.maps) == (frame.step == 4)


def test_the_same_request_gives_the_same_frames(model):
    for one, two in zip(drawn(model), drawn(model), strict=True):
        for a, b in zip((*one[:5], *dict(one.maps).values()), (*two[:5], *dict(two.maps).values()), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(drawn(model, seed=6)[-1].x_t, drawn(model)[-1].x_t)


def test_one_step_is_enough(model):
    (frame,) = drawn(model, steps=1)
    assert frame.maps


def test_whole_numbers_may_come_as_floats(model):
    np.testing.assert_array_equal(drawn(model, steps=4.0, seed=5.0)[-1].x_t, drawn(model)[-1].x_t)


def test_an_empty_prompt_asks_for_nothing_and_has_no_maps(model):
    last = drawn(model, prompt="", negative="", scale=1)[-1]
    *_, (_, x_0, _) = model.chain(Request(n=1, seed=5), steps=4)
    np.testing.assert_array_equal(last.x_t, x_0[0])
    assert last.maps == ()


@pytest.mark.parametrize("prompt", ["Ωmega 🙂 qwzx", "\ud800 hair", "\x00\x1b[31m", "${1 + 1} {{x}} <b>it's</b>"])
def test_unknown_words_are_read_as_bytes(model, prompt):
    frame = drawn(model, prompt=prompt)[-1]
    assert np.isfinite(frame.x_t).all()


def test_of_a_prompt_that_is_too_long_a_note_says_what_was_dropped(model):
    frames = drawn(model, prompt=f"{'red hair, ' * 8} the very end")
    assert {frame.notes for frame in frames} == {frames[0].notes}
    (note,) = frames[0].notes
    assert re.search(r"tokens, but 14 fit; dropped at its end: '.*the very end'", note)
    assert len(drawn(model, prompt="red hair, " * 8, negative="red hat, " * 8)[0].notes) == 2


# Where it looks


def test_a_map_is_the_mean_over_heads_and_layers_of_the_finest_level_summed_over_the_tokens_of_a_word(model):
    """Counted out, with the tape's weights, one number at a time."""
    x_t, tape = np.random.default_rng(2).standard_normal((1, 8, 8, 3)).astype(np.float32), Tape()
    model.network.forward(x_t, np.array([20]), model.tokens([PROMPT]), tape)
    layers = [f"unet.{place}.attention.block.cross_attention" for place in ("down.0.blocks.0", "up.1.blocks.0")]
    layers += ["unet.up.1.blocks.1.attention.block.cross_attention"]
    tokens = {}
    for word in ("long", "red", "hair", ",", "round", "glasses"):
        first = 1 + sum(map(len, tokens.values()))
        tokens[word] = range(first, first + len(TOKENIZER.encode(word)))
    maps = dict(word_maps(model, PROMPT, x_t, 20))
    assert [name.replace("·", "") for name in maps] == ["long", "red", "hair", "round", "glasses"]
    for name, found in maps.items():
        assert found.shape == (8, 8)
        places = tokens[name.replace("·", "")]
        for row, column in ((0, 0), (3, 5), (7, 2)):
            weights = [
                [tape[layer].weights[0, head, 8 * row + column, place] for layer in layers for head in (0, 1)]
                for place in places
            ]
            assert found[row, column] == pytest.approx(sum(map(np.mean, weights)), rel=1e-5)


def test_the_maps_of_all_tokens_would_sum_to_one(model):
    x_t = np.zeros((1, 8, 8, 3), np.float32)
    letters = dict(word_maps(model, "hair", x_t, 20))
    twice = list(word_maps(model, "hair hair", x_t, 20))
    assert [name for name, _ in twice] == [*letters] * 2
    assert all((0 < values).all() and (values < 1).all() for _, values in twice)
    assert (sum(values for _, values in twice) < 1).all()  # the start and the ends get the rest


def test_words_that_do_not_fit_have_no_map_and_a_word_in_pieces_shows_them(model):
    prompt = "hair " * (LENGTH - 3) + "qwzx red"
    names = [name for name, _ in word_maps(model, prompt, np.zeros((1, 8, 8, 3), np.float32), 20)]
    assert names[:-1] == ["hair"] * (LENGTH - 3)
    assert names[-1].replace("·", "") == "qwzx"  # one of its tokens fits; "red" has none
    assert "·" in names[-1]


def test_the_maps_are_those_of_the_moment_halfway(model):
    chain = list(model.chain(Request(n=1, seed=5, prompt=PROMPT, negative="a hat", guidance=3.0), steps=4))
    t, x_t, _ = chain[1]
    expected = dict(word_maps(model, PROMPT, x_t, t))
    for name, found in drawn(model)[-1].maps:
        np.testing.assert_array_equal(found, expected[name])


def test_a_model_without_text_has_no_maps_and_no_page():
    digits = load("mnist")
    with pytest.raises(InputError, match="does not read text"):
        next(word_maps(digits, "seven", np.zeros((1, 28, 28, 1), np.float32), 20))
    with pytest.raises(InputError, match="The model mnist does not read text"):
        serve(digits, "mnist")


# What is refused

BAD = [
    ("prompt", None, "The prompt is None, but a text"),
    ("prompt", ["a"], r"The prompt is \['a'\], but a text"),
    ("prompt", {"a": list(range(10_000))}, "The prompt is .*but a text"),
    ("prompt", "a" * (MOST_CHARACTERS + 1), "The prompt has 1,001 characters, but at most 1,000"),
    ("negative", 3, "The negative prompt is 3"),
    ("scale", float("nan"), "The guidance scale is nan"),
    ("scale", float("inf"), "The guidance scale is inf"),
    ("scale", -1, "The guidance scale is -1, but a number from 0 to 20"),
    ("scale", MOST_SCALE + 0.1, "The guidance scale is 20.1"),
    ("scale", "3", "The guidance scale is '3'"),
    ("scale", True, "The guidance scale is True"),
    ("steps", 0, "The number of steps is 0, but a whole number from 1 to 250"),
    ("steps", MOST_STEPS + 1, "The number of steps is 251"),
    ("steps", 2.5, "The number of steps is 2.5"),
    ("steps", None, "The number of steps is None"),
    ("sampler", "euler", "The sampler is 'euler', but one of ddim, ddpm, heun, dpmpp_2m was expected"),
    ("sampler", ["ddim"], r"The sampler is \['ddim'\]"),
    ("sampler", None, "The sampler is None"),
    ("seed", -1, "The seed is -1"),
    ("seed", 2**32, "The seed is 4294967296"),
    ("seed", 10**400, "The seed is 1000"),
    ("seed", "x" * 10_000, "The seed is 'xxx"),
]


@pytest.mark.parametrize(("name", "value", "words"), BAD, ids=[f"{name} {words[-30:]}" for name, _, words in BAD])
def test_a_bad_request_is_one_short_sentence(model, name, value, words):
    with pytest.raises(InputError, match=words) as caught:
        drawn(model, **{name: value})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_more_steps_than_the_model_has_are_refused():
    with pytest.raises(InputError, match="The number of steps is 60, but an integer from 1 to T = 50"):
        drawn(make(T=50), steps=60)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "mnist"], "mnist does not read text"),
        (["--model", "nowhere"], "There is no model 'nowhere'"),
        (["--port", "0"], "The port is 0, but a whole number from 1 to 65535"),
        (["--host", "no.such.host.invalid"], "Nobody can listen on no.such.host.invalid:7860"),
        (["--host", "..", "--port", "7860"], "Nobody can listen on ..:7860"),
    ],
)
def test_what_cannot_be_served_is_one_clear_sentence(tmp_path, capsys, arguments, words):
    save(tmp_path, make())
    arguments = arguments if "--model" in arguments else ["--model", str(tmp_path), *arguments]
    assert main(["serve", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_refused(model):
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(InputError, match=r"Nobody can listen on 127.0.0.1:\d+ .*choose another --port"),
    ):
        serve(model, "tiny", port=other.getsockname()[1])


def test_without_gradio_it_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(TinydiffError, match=r"pip install 'tinydiff\[demo\]'"):
        page(model, "tiny")


# What a frame looks like


def test_a_frame_is_html_that_words_cannot_break(model):
    frame = drawn(model, prompt="<b>red</b> hair & 'hat' " * 3)[-1]
    shown = module._chain(frame, []) + module._maps(frame)
    assert frame.notes
    assert "<b>" not in shown
    assert html.escape(frame.notes[0]) in shown
    assert shown.count("<img") == 2 + len(frame.maps)
    assert "step 4 of 4, t = 0" in shown


def test_a_map_is_bright_where_a_word_is_looked_for():
    lit = module._lit(np.ones((4, 4, 3), np.float32), np.array([[0.1, 0.2], [0.3, 0.5]]))
    assert lit.shape == (4, 4, 3)
    np.testing.assert_allclose(lit[:2, :2], module.DARK)
    np.testing.assert_allclose(lit[2:, 2:], 1)
    assert np.isfinite(module._lit(np.ones((4, 4, 3)), np.ones((2, 2)))).all()  # looked for everywhere alike


# The server, as a process of its own, which writes down each address outside that it looks for

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
            yield address
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 130, log.read_text()
    assert "outside:" not in log.read_text()


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


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder in which the server keeps files, if any."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def address(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("serve") / "tiny"
    save(folder, make())
    with serving(folder, files) as address:
        yield address


def picture_of(shown):
    """Return the pixels of the first image in HTML."""
    data = base64.b64decode(re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", shown).group(1))
    return np.asarray(Image.open(io.BytesIO(data)))


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


# The page, in a browser

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
STEPS_SEEN = """() => {
    window.seen = [];
    const look = () => {
        const step = /step (\\d+) of/.exec(document.querySelector("#chain").innerText);
        if (step && Number(step[1]) !== window.seen.at(-1)) window.seen.push(Number(step[1]));
    };
    new MutationObserver(look).observe(document.querySelector("#chain"), {childList: true, subtree: true});
}"""

ANOTHER_IS_DRAWN = """before => {
    const chain = document.querySelector("#chain");
    return chain.innerText.includes("step 40 of 40") && chain.querySelector("img").src !== before;
}"""


@pytest.fixture
def browser_page():
    sync_api = pytest.importorskip("playwright.sync_api", reason="this test drives a browser: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("this test drives Chromium, which is not installed: apt install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


@pytest.mark.slow
def test_in_a_browser_words_become_a_picture(address, browser_page, model, tmp_path):
    there, asked, errors = browser_page, [], []
    there.on("request", lambda request: asked.append(request.url))
    there.on("pageerror", lambda error: errors.append(str(error)))
    there.goto(address)
    there.get_by_label("Prompt", exact=True).fill(PROMPT)
    there.get_by_label("number input for Steps").fill("40")
    there.evaluate(STEPS_SEEN)
    there.get_by_role("button", name="Draw", exact=True).click()
    there.get_by_text("step 40 of 40, t = 0").wait_for()
    there.locator("#maps img").first.wait_for()
    seen = there.evaluate("window.seen")
    assert len(seen) >= 3  # the chain was seen on its way; a slow browser may skip steps
    assert seen == sorted(seen)
    frame = drawn(model, negative="", steps=40, seed=0)[-1]
    (pixels,) = to_pixels("image", frame.x_t[None])
    np.testing.assert_array_equal(picture_of(there.locator("#chain").inner_html())[16::32, 16::32], pixels)
    assert there.locator("#maps figcaption").all_inner_texts() == [word for word, _ in frame.maps]
    there.screenshot(path=tmp_path / "page.png", full_page=True)

    before = there.locator("#chain img").first.get_attribute("src")
    there.get_by_role("button", name="Draw another").click()
    there.wait_for_function(ANOTHER_IS_DRAWN, arg=before)
    assert there.locator("#seed input").input_value() == "1"
    (pixels,) = to_pixels("image", drawn(model, negative="", steps=40, seed=1)[-1].x_t[None])
    np.testing.assert_array_equal(picture_of(there.locator("#chain").inner_html())[16::32, 16::32], pixels)

    there.get_by_label("Prompt", exact=True).fill("red hair, " * 8)
    there.get_by_label("Prompt", exact=True).press("Enter")
    there.get_by_text("dropped at its end").wait_for()
    there.get_by_text("step 40 of 40, t = 0").wait_for()
    there.get_by_label("Prompt", exact=True).fill("a" * (MOST_CHARACTERS + 1))
    there.get_by_role("button", name="Draw", exact=True).click()
    there.get_by_text("The prompt has 1,001 characters").wait_for()
    there.get_by_label("Prompt", exact=True).fill("a" * 100_000)
    there.get_by_role("button", name="Draw", exact=True).click()
    there.get_by_text("The request is larger than 65,536 bytes").wait_for()

    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {address.removeprefix("http://")}
    assert errors == []


@pytest.mark.slow
def test_one_request_too_many_is_refused_and_the_queue_cannot_be_avoided(address):
    """The last test: what waits then is not waited for."""
    body = json.dumps({"data": [*(ASKED | {"steps": MOST_STEPS, "sampler": "heun"}).values()]}).encode()
    answers = [post(address, "/call/draw", body) for _ in range(MOST_WAITING + 2)]  # one is drawn, and eight wait
    assert [status for status, _ in answers[:MOST_WAITING]] == [200] * MOST_WAITING
    status, text = answers[-1]
    assert status == 503
    assert f"Queue is full. Max size is {MOST_WAITING}" in text
    for way in ("run", "api"):
        status, text = post(address, f"/{way}/draw", body)
        assert status == 404
        assert "Please join the queue" in text
