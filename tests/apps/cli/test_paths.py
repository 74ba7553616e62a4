"""`tinydiff train` on other schedules, paths and targets than DDPM's: flow matching, and what cannot be learned."""

import numpy as np
import pytest
from commands import TINY, fails, train

from tinydiff.apps.cli import main
from tinydiff.models import Request, load

FLOW = ["--schedule", "straight", "--path", "straight", "--kind", "flow-v"]


def test_flow_matching_is_trained_drawn_with_and_gone_on_with(tmp_path, capsys):
    assert train(tmp_path / "flow", *FLOW) == 0
    model = load(tmp_path / "flow")
    assert (model.config.schedule, model.config.path, model.config.kind) == ("straight", "straight", "flow-v")
    a, b = model.diffusion.scales(np.arange(1, model.config.T + 1))
    np.testing.assert_allclose(a + b, 1)
    assert main(["sample", "--model", str(tmp_path / "flow"), "--n", "2", "--steps", "3", "--out", str(tmp_path)]) == 0
    assert train(tmp_path / "more", "--start-from", str(tmp_path / "flow")) == 0
    assert load(tmp_path / "more").config.path == "straight"  # its own, since no other was given
    capsys.readouterr()
    fails(
        capsys, ["train", *TINY, *FLOW[:2], *FLOW[4:], "--out", str(tmp_path / "flow")], 2, "path is vp, but the run in"
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["eps", "x_0", "v", "flow-v", "score", "edm"])
@pytest.mark.parametrize("path", ["vp", "sub-vp", "straight"])
def test_every_target_is_learned_on_every_path(kind, path, tmp_path):
    assert train(tmp_path, "--kind", kind, "--path", path, "--schedule", "sub_vp_sde") == 0
    pictures = load(tmp_path).draw(Request(n=2), "ddim", 2)
    assert np.isfinite(pictures).all()


def test_what_cannot_be_learned_is_refused(tmp_path, capsys):
    for options, words in (
        (
            ["--kind", "eps", "--schedule", "straight"],
            "kind is 'eps', but the schedule 'straight' leaves no signal at T",
        ),
        (["--kind", "score", "--schedule", "laplace"], "kind is 'score', but the schedule 'laplace' leaves no signal"),
        (["--path", "ve", "--schedule", "karras"], "path is 've', on which x_t grows as large as its noise"),
        (["--path", "curved"], "curved"),
    ):
        fails(capsys, ["train", *TINY, *options, "--out", str(tmp_path / "run")], 2, words)
        assert not (tmp_path / "run").exists()
