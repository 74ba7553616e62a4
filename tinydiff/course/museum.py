"""The bug museum: known mistakes of diffusion code, what each does to a picture, and the test that catches it."""

from typing import NamedTuple

from tinydiff.base import InputError, check_choice, checked


class Exhibit(NamedTuple):
    """A known mistake: what it does to the pictures, what is wrong, and the test of this library that would notice."""

    symptom: str
    what: str
    test: str


_SAMPLERS, _GUIDANCE = "tests/diffusion/samplers/", "tests/diffusion/test_guidance.py::"
EXHIBITS = {
    2: Exhibit(
        "grain",
        "fresh noise is added at the last step, too, or with the variance of another case",
        f"{_SAMPLERS}test_linear_maps.py::test_pitfall_02_each_variance_is_exact_for_its_data",
    ),
    4: Exhibit(
        "grain",
        "the step before is found by a stride, and not as the next time of the list",
        f"{_SAMPLERS}test_chains.py::test_pitfall_04_the_executed_pairs_are_consecutive_times",
    ),
    5: Exhibit(
        "noise",
        "alpha_bar is looked up one place off, so that the last step asks for entry -1: the table's other end",
        f"{_SAMPLERS}test_marginals.py::test_pitfall_05_a_single_point_is_returned_exactly_from_any_steps",
    ),
    6: Exhibit(
        "noise",
        "fresh noise comes on top of all the old noise",
        f"{_SAMPLERS}test_marginals.py::test_pitfall_06_ddim_preserves_marginals",
    ),
    7: Exhibit(
        "grain",
        "the sampler's cosine schedule lacks the square",
        "tests/diffusion/test_schedules.py::test_pitfall_07_cosine_schedule_equals_its_formula_at_every_t",
    ),
    9: Exhibit(
        "black",
        "eps is predicted where no signal is left, and x_0_hat is divided by 0",
        "tests/diffusion/test_process.py::test_pitfall_09_eps_says_nothing_where_there_is_no_signal",
    ),
    11: Exhibit(
        "disobedient",
        "the paper's w is taken for the scale, which is 1 + w",
        f"{_GUIDANCE}test_the_paper_s_form_with_w_is_the_same",
    ),
    12: Exhibit(
        "disobedient",
        "in training the condition is never dropped, so that both branches are one, and guidance does nothing",
        "tests/train/test_run.py::test_condition_dropout_hides_that_share_of_the_labels",
    ),
    13: Exhibit(
        "disobedient",
        "some channels are guided, and others are not",
        f"{_GUIDANCE}test_it_is_linear_in_every_channel_and_consistent",
    ),
    15: Exhibit(
        "noise",
        "the time embedding depends on the place in the batch",
        "tests/functional/test_embedding.py::"
        "test_pitfall_15_the_embedding_depends_on_t_and_never_on_the_place_in_the_batch",
    ),
    16: Exhibit(
        "noise",
        "the network is told times from 0 to 1, but learned steps from 1 to T",
        "tests/functional/test_embedding.py::test_pitfall_16_no_two_steps_look_alike_unless_t_is_squeezed_into_0_to_1",
    ),
    18: Exhibit(
        "grey",
        "latents are not scaled for the network, or not scaled back before they are decoded",
        "tests/models/test_autoencoder.py::test_decoding_undoes_the_scale_and_clips_at_the_end_only",
    ),
    19: Exhibit(
        "noise",
        "the average of the weights still remembers the random start",
        "tests/train/test_optim.py::test_pitfall_19_an_early_average_has_forgotten_the_random_start",
    ),
    21: Exhibit(
        "figures",
        "Fréchet distances of different numbers of images are compared",
        "tests/evaluate/test_kernel_distance.py::"
        "test_the_bias_of_the_frechet_distance_is_the_known_one_and_extrapolation_takes_it_off",
    ),
    22: Exhibit(
        "grain",
        "RePaint gives the known part the noise of t, but shows it at s",
        "tests/diffusion/test_editing.py::"
        "test_pitfall_22_the_known_part_has_the_marginal_of_the_time_at_which_it_is_shown",
    ),
    25: Exhibit(
        "black",
        "half precision overflows, and training goes on with it",
        "tests/train/test_skipped_steps.py::test_pitfall_25_a_step_that_overflows_is_skipped_and_moves_no_weight",
    ),
}

# What one sees -> what to look at, in this order: (a question, and what a yes means). The cheapest come first.
SYMPTOMS = {
    "black": (
        (
            "Are there NaN or infinite numbers in x?",
            "find the step at which they begin, and look at what it divides by",
        ),
        ("Do they begin at the very first step?", "eps is predicted where alpha_bar is 0: predict v (pitfall 9)"),
        ("Do they begin at the last step?", "two times are the same, or log(0) is taken (pitfalls 8 and 24)"),
        ("Is the first prediction NaN at any t?", "the weights are: look for an overflow in the log (pitfall 25)"),
        ("Are all numbers finite, and near -1?", "pictures are shown in another range than [-1, 1]"),
    ),
    "noise": (
        ("Was the training short?", "draw with the weights, not their average (pitfall 19)"),
        ("Is x_0_hat good just before the end?", "the last step leads elsewhere: look at its alpha_bar (pitfall 5)"),
        ("Does the exact denoiser draw noise, too?", "it is the sampler: compare a step with the marginal (pitfall 6)"),
        ("Is the first sample of a batch good?", "the time embedding reads the place in the batch (pitfall 15)"),
        ("Is x_0_hat poor at every t?", "the network is told another t than in training (pitfall 16)"),
        ("Is x_0_hat poor at some t?", "schedules of training and of sampling differ (pitfall 7)"),
    ),
    "grain": (
        ("Is there no grain without fresh noise (eta = 0)?", "no noise belongs into the last step (pitfall 2)"),
        ("Is there less of it with 1000 steps?", "the pairs of times do not meet, or do not end at 0 (pitfall 4)"),
        ("Is it in the known part of an edit only?", "that has the noise of another time (pitfall 22)"),
        ("Does x_t have another variance than alpha_bar says?", "schedules differ (pitfall 7)"),
    ),
    "grey": (
        ("Has x_T another variance than 1?", "start from standard normal noise (pitfall 18)"),
        ("Have latents another variance than 1?", "standardise them, in encoding and in decoding (pitfall 18)"),
        ("Are pictures from 0 to 1 instead of -1 to 1?", "map them to [-1, 1], where the network learned"),
        ("Is all of the contrast lost, but shapes are right?", "a variance that belongs under the root is outside"),
    ),
    "blurry": (
        ("Were there fewer than 10 steps?", "one step draws the mean of all that fits: take more"),
        ("Is it the x_0_hat of an early step?", "that is a mean, too: look at the end of the chain"),
        ("Is the loss still falling?", "train longer"),
        ("Are pictures of the autoencoder blurred as well?", "the decoder is what blurs: look at PSNR and LPIPS"),
    ),
    "saturated": (
        ("Is it gone at guidance 1?", "the scale is too large, or w was taken for 1 + w (pitfall 11)"),
        ("Is x_0_hat beyond [-1, 1] before the end?", "bound it, and derive eps_hat anew from it (pitfall 1)"),
        ("Is one channel worse than others?", "guidance acts on some channels only (pitfall 13)"),
    ),
    "alike": (
        ("Do all start from the same noise?", "a seed is set again in each call"),
        ("Is it gone at guidance 1?", "guidance trades variety for obedience: take a smaller scale"),
        ("Is each nearest to the same training picture?", "it was learned by heart: more data, or a shorter training"),
        ("Is recall low, and precision high?", "modes are missing: look at coverage"),
    ),
    "disobedient": (
        ("Is it no better at a large scale?", "the condition was never dropped in training (pitfall 12)"),
        ("Is it right at scale 1, and not at 0?", "a scale of 0 ignores the condition, w = 0 does not (pitfall 11)"),
        ("Is the shape right, and the colour not?", "guidance acts on some channels only (pitfall 13)"),
        ("Does the sampler ignore a classifier's gradient?", "it must be in eps_hat, at x_t (pitfall 14)"),
    ),
}


@checked()
def museum_label(number: int) -> str:
    """Return what stands beside an exhibit: the pitfall, what one sees of it, and the test that catches it.

    Raises
    ------
    InputError
        If this pitfall is not in the museum.
    """
    if number not in EXHIBITS:
        raise InputError(f"number is {number}, but one of {', '.join(map(str, EXHIBITS))} was expected.")
    symptom, what, test = EXHIBITS[number]
    return f"Pitfall {number} ({symptom}): {what}.\n  caught by {test}"


@checked()
def what_now(symptom: str) -> str:
    r"""Return what to look at when samples are not as they should be: questions in order, and what a yes means.

    Parameters
    ----------
    symptom : str
        ``"black"``, ``"noise"``, ``"grain"`` (the picture is there, under noise), ``"grey"``, ``"blurry"``,
        ``"saturated"``, ``"alike"``, or ``"disobedient"`` (good pictures of something else).

    Raises
    ------
    InputError
        If it is none of these.

    Examples
    --------
    >>> print(what_now("alike").split("\n")[1])
      1. Do all start from the same noise? Yes: a seed is set again in each call.
    """
    check_choice("symptom", symptom, SYMPTOMS)
    lines = [f"{i}. {question} Yes: {cause}." for i, (question, cause) in enumerate(SYMPTOMS[symptom], 1)]
    return "\n  ".join([f"My samples are {symptom}: what now?", *lines])
