"""Known mistakes of diffusion code, each with a test that would notice it: ``@pytest.mark.pitfall(n)``."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PITFALLS = {
    1: "x_0_hat is clipped in one form of a step and not in the other",
    2: "which variance a step has, and that of its last one",
    3: "a learned variance is interpolated without logarithms, or with the betas of all steps",
    4: "the step before is found by a stride",
    5: "alpha_bar is looked up one step off, so that the last step does not end at the data",
    6: "with fresh noise the variance is wrong, and a clamp hides it",
    7: "the cosine schedule's formula",
    8: "samples that blow up near T, or 0 / 0 at t = 0",
    9: "eps is predicted where no signal is left",
    10: "a weighting is another loss for v than for eps",
    11: "guidance by w and by 1 + w",
    12: "the branch without a condition sees it all the same",
    13: "guidance on some channels only",
    14: "a classifier's gradient is taken at the mean, or a sampler forgets it",
    15: "the time embedding depends on the place in the batch, or halves are exchanged",
    16: "times of 0 .. 1 are embedded as if they were steps",
    17: "a likelihood of images is asked of latents",
    18: "latents are not scaled, or are clipped",
    19: "an early average of the weights is noise",
    20: "a resumed run begins anew",
    21: "a Fréchet distance without number, split and extractor",
    22: "RePaint is one step off",
    23: "inversion does not lead back",
    24: "a multistep sampler divides by a step of no length, or has another order than its name says",
    25: "half precision overflows, and training goes on with it",
}
# A learned variance and half precision are not in the library yet.
TO_COME = {3, 25}


def marked():
    """Return the numbers that tests are marked with."""
    found = set()
    for path in TESTS.rglob("test_*.py"):
        found |= {
            int(n) for n in re.findall(r"^@pytest\.mark\.pitfall\((\d+)\)$", path.read_text("utf-8"), re.MULTILINE)
        }
    return found


def test_every_pitfall_has_a_test_but_for_those_of_things_to_come():
    assert marked() == set(PITFALLS) - TO_COME


def test_a_test_that_is_named_after_a_pitfall_is_marked_with_it():
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for decorators, number in re.findall(r"((?:^[@ )\]].*\n)*)^def test_pitfall_(\d+)", text, re.MULTILINE):
            assert f"@pytest.mark.pitfall({int(number)})" in decorators, path
