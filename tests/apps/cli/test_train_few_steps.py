"""``tinydiff train`` for few steps: each trains, goes on bit for bit, and draws; what does not fit is refused."""

import numpy as np
import pytest
from commands import ctrl_c_at

from tinydiff.apps.cli import main
from tinydiff.models import load

UNET = "--unet.image-size 8 --unet.channels 8 --unet.channel-mult 1 --unet.blocks-per-level 1 --unet.heads 2"
SHORT = [
    "--data",
    "digits",
    "--threads",
    "1",
    "--train.steps",
    "4",
    "--train.batch",
    "8",
    "--train.save-every",
    "2",
    "--train.log-every",
    "1",
]
STRAIGHT = ["--schedule", "straight", "--path", "straight", "--kind", "flow-v", "--T", "64"]
LATER = [option for option in SHORT if option not in ("--data", "digits")]


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """Return the folder of a flow that was trained for four steps."""
    folder = str(tmp_path_factory.mktemp("flow") / "run")
    assert main(["train", *UNET.split(), *SHORT, *STRAIGHT, "--out", folder]) == 0
    return folder


@pytest.fixture(scope="module")
def curved(tmp_path_factory):
    """Return the folder of a model of EDM's target on DDPM's path."""
    folder = str(tmp_path_factory.mktemp("curved") / "run")
    assert main(["train", *UNET.split(), *SHORT, "--kind", "edm", "--T", "64", "--out", folder]) == 0
    return folder


def command(objective, flow, curved):
    return {
        "shortcut": [*UNET.split(), *SHORT, *STRAIGHT, "--train.finest", "8", "--train.bootstrap", "0.5"],
        "distil": [*SHORT, "--start-from", flow, "--train.teacher-steps", "4"],
        "rectify": [*LATER, "--start-from", flow, "--pairs", "12", "--chain", "4"],
        "consistency": [*SHORT, "--start-from", curved, "--train.stages", "2"],
    }[objective]


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["shortcut", "distil", "rectify", "consistency"])
def test_each_trains_goes_on_and_draws(objective, flow, curved, tmp_path, monkeypatch, capsys):
    options = ["train", "--objective", objective, *command(objective, flow, curved)]
    assert main([*options, "--out", str(tmp_path / "whole")]) == 0
    said = capsys.readouterr().out
    with ctrl_c_at(3, monkeypatch):
        assert main([*options, "--out", str(tmp_path / "cut")]) == 130
    assert main([*options, "--out", str(tmp_path / "cut")]) == 0
    a, b = (load(tmp_path / name) for name in ("whole", "cut"))
    np.testing.assert_array_equal(a.network.theta, b.network.theta)
    assert a.config.unet.step_size == (objective == "shortcut")
    if objective != "shortcut":
        start = load(curved if objective == "consistency" else flow)
        assert a.config == start.config
        assert abs(a.network.theta - start.network.theta).max() > 0
    draw = said.rpartition("To draw: tinydiff ")[2].split()
    assert main([*draw, "--n", "2", "--no-gif", "--out", str(tmp_path / "drawn")]) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--objective", "distil"], "start-from is missing: give the model that is to be distilled"),
        (["--objective", "rectify"], "start-from is missing"),
        (["--objective", "consistency"], "start-from is missing"),
        (["--objective", "distil", "--start-from", "FLOW", "--T", "32"], "T is 32, but"),
        (["--objective", "distil", "--start-from", "FLOW", "--train.teacher-steps", "5"], "give an even number"),
        (["--objective", "distil", "--start-from", "FLOW", "--train.teacher-steps", "66"], "but T is 64"),
        (["--objective", "distil", "--start-from", "FLOW", "--train.times", "stratified"], "times is 'stratified'"),
        (["--objective", "rectify", "--start-from", "CURVED"], "path is 'vp', but lines"),
        (["--objective", "rectify", "--start-from", "FLOW", "--data", "digits"], "a flow learns from pairs that it"),
        (["--objective", "rectify", "--start-from", "FLOW", "--train.flip"], "a flow learns from pairs that it"),
        (["--objective", "consistency", "--start-from", "FLOW"], "leaves no signal at T"),
        (["--objective", "consistency", "--start-from", "CURVED", "--train.weighting", "eps"], "weighting is 'eps'"),
        (["--objective", "shortcut", "--kind", "eps"], "kind is 'eps', which says next to nothing"),
        (["--objective", "shortcut", "--train.finest", "12"], "a power of 2 was expected"),
        (["--objective", "shortcut", "--T", "64"], "finest is 128, but the process has 64 steps"),
        (["--objective", "shortcut", "--train.bootstrap", "1.5"], "bootstrap is 1.5"),
        (["--unet.step-size"], "train it by Shortcut"),
    ],
)
def test_what_does_not_fit_is_refused_by_a_sentence(options, words, flow, curved, tmp_path, capsys):
    typed = [{"FLOW": flow, "CURVED": curved}.get(option, option) for option in options]
    data = [] if "rectify" in typed or "--data" in typed else ["--data", "digits"]
    shape = [] if "--start-from" in typed else UNET.split()
    assert main(["train", *typed, *data, *shape, "--threads", "1", "--out", str(tmp_path / "out")]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
