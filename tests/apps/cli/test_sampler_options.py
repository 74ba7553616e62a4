"""Options of samplers, on the command line and in Python: one list, read from the samplers' own signatures."""

import dataclasses

import numpy as np
import pytest
from commands import fails

import tinydiff
from tinydiff.apps.cli import main
from tinydiff.apps.cli.options import SamplerOptions, given_options
from tinydiff.base import InputError
from tinydiff.diffusion import SAMPLERS, last
from tinydiff.models import Request, load


def test_every_option_of_every_sampler_can_be_typed():
    fields = {field.name for field in dataclasses.fields(SamplerOptions)}
    assert fields == {name for listed in SAMPLERS.values() for name in listed.parameters}
    assert {"order", "eta", "tau", "churn", "rho", "sigma_max", "rtol"} <= fields
    assert given_options(SamplerOptions()) == {}
    assert given_options(SamplerOptions(eta=0.0)) == {"eta": 0.0}


def test_an_option_arrives_and_is_written_into_the_picture(trained, tmp_path, capsys):
    draw = ["sample", "--model", str(trained), "--n", "1", "--steps", "4", "--no-gif", "--out"]
    for i, more in enumerate([[], ["--order", "3"], ["--order", "2"]]):
        assert main([*draw, str(tmp_path / f"{i}"), "--sampler", "dpm_solver", *more]) == 0
    assert "10 calls of the network" in capsys.readouterr().out  # three in each step but the last
    pictures = [(tmp_path / f"{i}" / "pictures" / "000.png").read_bytes() for i in range(3)]
    assert pictures[0] != pictures[1]
    assert main(["info", str(tmp_path / "1" / "pictures" / "000.png")]) == 0
    assert "order: 3" in capsys.readouterr().out


def test_the_solver_that_chooses_its_steps_says_so(trained, tmp_path, capsys):
    arguments = ["sample", "--model", str(trained), "--n", "1", "--steps", "3", "--no-gif", "--out", str(tmp_path)]
    assert main([*arguments, "--sampler", "adaptive", "--rtol", "0.3", "--atol", "0.3"]) == 0
    assert "3 steps of adaptive and, between them, as many of its own" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--sampler dpm_solver --order 7", "tinydiff: --order is 7, but one of 1, 2, 3 was expected"),
        ("--sampler ddim --order 3", "tinydiff: --order is 3, but this is for dpm_solver, deis,"),
        ("--sampler ddim --order 3", "not for ddim, which has eta: leave it out"),
        ("--sampler dpmpp_2m --eta 1", "not for dpmpp_2m, which has no options: leave it out"),
        ("--sampler ddim --eta 4", "tinydiff: --eta is 4.0, but a number from 0 to 1"),
        ("--sampler heun --rho -1", "rho -1.0"),
        ("--sampler edm --churn x", "tinydiff: --churn is 'x', but FLOAT was expected"),
        ("--sampler ddpm --variance mine", "tinydiff: --variance is 'mine'"),
        ("--sampler adaptive --rtol 0 --atol 0", "tinydiff: --rtol is 0 and atol 0"),
    ],
)
def test_an_option_that_the_sampler_has_not_or_a_wrong_value_is_refused(trained, tmp_path, capsys, options, words):
    out = tmp_path / "out"
    fails(capsys, ["sample", "--model", str(trained), "--n", "1", "--out", str(out), *options.split()], 2, words)
    assert not out.exists()


def test_in_python_they_are_arguments(trained):
    def drawn(**options):
        return tinydiff.sample(trained, n=1, steps=4, device="cpu", **options)

    assert abs(drawn(sampler="ddim", eta=1.0) - drawn(sampler="ddim")).max() > 0.01
    assert abs(drawn(sampler="heun", rho=2.0) - drawn(sampler="heun")).max() > 1e-4
    with pytest.raises(InputError, match="tau cannot be asked for"):
        drawn(sampler="ddim", tau=1.0)
    model = load(trained)
    by_chain = last(model.chain(Request(n=1), "heun", 4, rho=2.0))
    np.testing.assert_allclose(by_chain, drawn(sampler="heun", rho=2.0), atol=1e-6)
    with pytest.raises(InputError, match=r"order is 3, but this is for .*, not for heun, which has sigma_max and rho"):
        model.chain(Request(n=1), "heun", 4, order=3)


def test_where_the_steps_are_given_nothing_says_where_they_are():
    with pytest.raises(InputError, match="rho is 3, but the steps themselves are given"):
        SAMPLERS["heun"].plan(load("mnist").diffusion, [50, 20], {"rho": 3})
