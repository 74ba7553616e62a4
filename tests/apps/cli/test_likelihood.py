"""`tinydiff evaluate --likelihood`: bits for each number, or a sentence that says why there are none."""

import pytest
from commands import fails
from latents import latent_diffusion
from unclips import unclip

from tinydiff.apps.cli import main
from tinydiff.models import save


def test_it_prints_bits_with_intervals(trained, capsys):
    assert main(["evaluate", "--model", str(trained), "--likelihood", "--n", "4", "--steps", "2"]) == 0
    text = capsys.readouterr().out
    for line in ("digits, test: 4 images", "bits for each of 64 numbers", "95 % interval", "2 steps: at most"):
        assert line in text


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (("--guidance", "2"), "a guided prediction is the slope of no density that is known"),
        (("--sampler", "ddpm"), "a likelihood draws nothing: leave it out"),
        (("--out", "here"), "a likelihood draws nothing: leave it out"),
        (("--n", "1"), "n is 1"),
        (("--steps", "0"), "--steps is 0"),  # at once, before the bound is drawn
    ],
)
def test_what_a_likelihood_has_no_use_for_is_refused(trained, capsys, option, why):
    arguments = ["evaluate", "--model", str(trained), "--likelihood", *option]
    fails(capsys, arguments, 2, why)


def test_latents_and_models_of_several_parts_are_refused(tmp_path, capsys):
    for model, why in ((latent_diffusion(), "which draws latents"), (unclip(), "which is made of several")):
        folder = tmp_path / type(model).__name__
        save(folder, model)
        fails(capsys, ["evaluate", "--model", str(folder), "--likelihood"], 2, why)
