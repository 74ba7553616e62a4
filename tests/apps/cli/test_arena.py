"""`tinydiff arena`: tables, pictures and records of samplers, on the rods of the court and on a model."""

import dataclasses
import json

import numpy as np
import pytest
from commands import fails

from tinydiff.apps.cli import main
from tinydiff.diffusion import SAMPLERS
from tinydiff.evaluate.court import NOISY, ODE, Stated, errors_on_model
from tinydiff.models import load


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    from tinydiff.evaluate.court import judge, on_model, walk

    monkeypatch.setattr(judge, "MOST_STEPS", 3)
    monkeypatch.setattr(judge, "SOME_NUMBERS", (2,))
    monkeypatch.setattr(judge, "GRADED_NUMBERS", (20, 40))
    monkeypatch.setattr(judge, "NUMBERS_OF_VARIANCE", (20, 40))
    monkeypatch.setattr(on_model, "FINE", 12)
    monkeypatch.setattr(on_model, "HALF", 6)
    monkeypatch.setattr(walk, "tried", lambda run: "")


def test_it_prints_tables_and_saves_pictures_and_records(tmp_path, capsys):
    assert main(["arena", "--samplers", "dpmpp_2m, ddpm,adaptive", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for words in (
        "| dpmpp_2m ",
        "| 2, 2   | 2.0",
        "Which to use when",
        "| ddpm, variance beta ",
        "adaptive (",
        "Saved ",
    ):
        assert words in printed
    records = json.loads((tmp_path / "arena.json").read_text())
    assert [record["sampler"] for record in records["samplers"]] == ["dpmpp_2m", "ddpm", "ddpm"]
    assert (tmp_path / "arena.txt").read_text().splitlines()[0] in printed
    for name in ("arena.png", "arena-noise.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
    assert main(["arena", "--samplers", "adaptive", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "2" / "arena.txt").read_text().startswith("adaptive")


def test_what_was_found_wrong_is_said(tmp_path, capsys):
    assert main(["arena", "--samplers", "dpmpp_3m_as_published", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "half of the bend" in printed
    assert "Found wrong:\n  dpmpp_3m_as_published: 50 % of the second derivative of x_0_hat" in printed


@pytest.mark.slow
def test_on_a_model_errors_fall_with_the_calls(trained, tmp_path, capsys):
    model = load(str(trained))
    entries = [entry for entry in ODE if entry.label in ("ddim", "dpmpp_2m")]
    found = errors_on_model(model, entries, 2, (3, 6))
    assert list(found.curves) == ["ddim", "dpmpp_2m"]
    for curve in found.curves.values():
        assert curve.calls == (3, 6)
        assert curve.errors[1] < curve.errors[0]
    arguments = ["arena", "--samplers", "ddim", "--model", str(trained), "--n", "2", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert "2 starts: root mean square error" in capsys.readouterr().out
    assert (tmp_path / "arena-model.png").exists()
    record = json.loads((tmp_path / "arena.json").read_text())["model"]
    assert record["n"] == 2
    assert record["curves"]["ddim"]["calls"] == [5, 10, 20, 40]
    assert np.isfinite(record["fineness"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--samplers", "nobody"], "tinydiff: --samplers is 'nobody', but one of"),
        (["--n", "5"], "tinydiff: --n is 5, but only a model has starts"),
        (["--device", "cpu"], "only a model has starts and a place where it computes"),
        (["--samplers", "ddim", "--all"], "tinydiff: --all is True, but others than all are asked for"),
        (["--n", "0"], "tinydiff: --n is 0"),
        (["--model", "nope"], "There is no model 'nope'"),
        (["--diffusers", "--samplers", "ddim"], "diffusers is given, and samplers or a model besides"),
        (["--samplers", "ddpm", "--model", "mnist"], "such as draw noise"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_bad_arguments_exit_with_2(arguments, words, tmp_path, capsys):
    fails(capsys, ["arena", "--out", str(tmp_path), *arguments], 2, words)


def test_a_sampler_that_states_nothing_is_judged_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(SAMPLERS, "mine", dataclasses.replace(SAMPLERS["dpmpp_2m"], name="mine"))
    assert main(["arena", "--samplers", "mine", "--out", str(tmp_path)]) == 0
    assert "| mine    | 1.00         | -      | 2.0" in capsys.readouterr().out


def test_what_is_stated_is_of_samplers_that_there_are():
    stated = {entry.name for entry in [*ODE, *NOISY]}
    assert stated <= {name for name, listed in SAMPLERS.items() if not listed.own_steps}
    assert {entry.label for entry in ODE if entry.same_as} & {entry.same_as for entry in ODE} == set()
    assert all(isinstance(entry, Stated) for entry in ODE)
