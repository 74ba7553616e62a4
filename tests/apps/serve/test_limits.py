"""What the demo page refuses, in one sentence: bad requests, and what cannot be served."""

import socket
import sys

import numpy as np
import pytest
from demo_page import BAD, drawn, make

from tinydiff.apps.cli import main
from tinydiff.apps.serve import page, serve
from tinydiff.base import InputError, TinydiffError
from tinydiff.models import load, save, word_maps


def test_a_model_without_text_has_no_maps_and_no_page():
    digits = load("mnist")
    with pytest.raises(InputError, match="does not read text"):
        next(word_maps(digits, "seven", np.zeros((1, 28, 28, 1), np.float32), 20))
    with pytest.raises(InputError, match="The model mnist does not read text"):
        serve(digits, "mnist")


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
        (["--port", "0"], "--port is 0, but a whole number from 1 to 65535"),
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
