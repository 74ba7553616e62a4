"""Points in a plane by the command line: a training, a resumed one, what is drawn with the model, and bad options."""

import numpy as np
import pytest
from commands import fails
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.data import POINTS
from tinydiff.models import load

TINY = ["train", "points", "--points", "200", "--network.width", "8", "--network.depth", "1", "--train.batch", "16"]


def train(out, *more, steps=3):
    return main([*TINY, "--train.steps", str(steps), "--out", str(out), *more])


@pytest.fixture(scope="module")
def spirals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spirals")
    assert train(folder, "--data", "spirals", "--network.num-classes", "2") == 0
    return folder


def test_it_trains_and_goes_on(tmp_path, capsys):
    assert train(tmp_path) == 0
    said = capsys.readouterr().out
    assert "two-moons, train: 200 points in a plane, two half circles" in said
    assert "To draw: tinydiff sample --model" in said
    model = load(tmp_path)
    assert model.config.mlp.width == 8
    assert model.picture_shape == (1, 1, 2)
    assert train(tmp_path, steps=5) == 0
    assert "Going on from step 3" in capsys.readouterr().out


def test_points_are_drawn_in_one_picture_and_a_film(spirals, tmp_path, capsys):
    draw = ["sample", "--model", str(spirals), "--n", "50", "--steps", "4"]
    assert main([*draw, "--npz", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "Drew 50 points in" in said
    assert "points in a plane, so they are shown in one picture, and not each by itself" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrays.npz", "chain.gif", "grid.png"]
    points = np.load(tmp_path / "arrays.npz")["points"]
    assert points.shape == (50, 2)
    with Image.open(tmp_path / "chain.gif") as film, Image.open(tmp_path / "grid.png") as picture:
        assert film.n_frames == 4
        assert np.asarray(picture).std() > 0
        assert picture.text
    assert main([*draw, "--label", "1", "--no-gif", "--out", str(tmp_path / "one")]) == 0
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["grid.png"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data", "moons"], f"data is 'moons', but one of {', '.join(map(repr, POINTS))}"),
        (["--points", "0"], "points is 0"),
        (["--train.flip"], "cannot be mirrored"),
        (["--train.offset-noise", "0.1"], "single numbers"),
        (["--train.image-noise", "0.1"], "not enlarged"),
        (["--network.width", "9"], "even"),
        (["--network.channels", "3"], "data has images of shape (1, 1, 2), but the model's are (1, 1, 3)"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, capsys, options, words):
    fails(capsys, [*TINY, *options, "--out", str(tmp_path / "run")], 2, words)
    assert not (tmp_path / "run").exists()


def test_a_point_has_no_size(spirals, capsys):
    fails(capsys, ["sample", "--model", str(spirals), "--size", "4"], 2, "points, which have no size")
    fails(
        capsys, ["sample", "--model", str(spirals), "--threshold", "dynamic"], 2, "draws points, which have no bounds"
    )
