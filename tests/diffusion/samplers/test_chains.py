"""What every sampler's chain keeps: its times, its bounds, its bits in any batch."""

import numpy as np
import pytest
from diffusions import COSINE, EMPTY_AT_T, LINEAR, NOISE, SAMPLERS, every_sampler, normal

from tinydiff.base import InputError, as_condition
from tinydiff.diffusion import (
    FiniteData,
    Gaussian,
    GaussianDiffusion,
    cosine_schedule,
    ddpm,
    last,
    linear_schedule,
    predictor,
    spaced_steps,
)


@pytest.mark.pitfall(4)
@every_sampler
def test_pitfall_04_the_executed_pairs_are_consecutive_times(sampler):
    data, x = Gaussian(EMPTY_AT_T, np.zeros(2), 0.5), normal(1, 2)
    for N in (1, 2, 3, 4, 7, 16, 49, 50):
        predicted = []

        def predict(x_t, t, context, predicted=predicted):
            predicted.append(t[0])
            return data.predict(x_t, t)

        reached = [t for t, _, _ in sampler(predict, EMPTY_AT_T, x, N)]
        steps = spaced_steps(50, N)
        assert reached == [*steps[1:], 0]
        assert all(0 < t <= 50 for t in predicted)
        if sampler is not SAMPLERS["edm"]:  # which first adds noise, and predicts at times of its own
            assert set(steps) <= set(predicted)


FEW, ALL, THIRDS = (1, 2, 3, 4, 5, 8, 50), range(1, 51), range(1, 51, 3)
SCHEDULES = {
    "linear": (linear_schedule(50), THIRDS),
    "cosine": (cosine_schedule(50), THIRDS),
    "empty": (cosine_schedule(50, max_beta=1), ALL),  # at T no signal is left: the hardest one gets every number
}


@pytest.mark.pitfall(8)
@pytest.mark.pitfall(24)
@every_sampler
@pytest.mark.parametrize(
    ("alpha_bar", "numbers", "dtype"),
    [
        pytest.param(alpha_bar, numbers, dtype, id=f"{name}-{dtype.__name__}-{len(numbers)}", marks=marks)
        for name, (alpha_bar, many) in SCHEDULES.items()
        for numbers, dtype, marks in (
            (FEW, np.float32, ()),
            (FEW, np.float64, pytest.mark.slow),
            (many, np.float32, pytest.mark.slow),
        )
    ],
)
def test_pitfall_08_samples_are_finite_and_bounded_for_every_number_of_steps(sampler, dtype, alpha_bar, numbers):
    diffusion = GaussianDiffusion(alpha_bar)
    data, x_T = FiniteData(diffusion, np.array([[-1.0, 1.0], [1.0, 0.5], [0.2, -1.0]])), normal(3, 2, dtype=dtype)
    for N in numbers:
        for _, x_t, x_0_hat in sampler(data.predict, diffusion, x_T, N):
            assert np.isfinite(x_t).all()
            assert x_t.dtype == x_0_hat.dtype == dtype
        assert np.abs(x_t).max() <= 1 + 1e-6  # the last step denoises: a mean of points


@pytest.mark.pitfall(8)
@every_sampler
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("diffusion", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_pitfall_08_a_poor_network_stays_bounded_when_clipped(sampler, dtype, diffusion):
    predict = predictor(lambda x_t, t, context: 0 * x_t, diffusion, clip=True)
    for N in (1, 2, 10, 40):
        sample = last(sampler(predict, diffusion, normal(3, 2, dtype=dtype), N))
        assert sample.dtype == dtype
        assert np.abs(sample).max() <= 1


@pytest.mark.pitfall(9)
@every_sampler
@pytest.mark.parametrize("kind", ["x_0", "v"])
def test_pitfall_09_samplers_start_where_there_is_no_signal(sampler, kind):
    predict = predictor(lambda x_t, t, context: x_t / 3, EMPTY_AT_T, kind)
    assert np.isfinite(last(sampler(predict, EMPTY_AT_T, normal(3, 2), 10))).all()
    with pytest.raises(InputError, match="alpha_bar is 0"):
        last(sampler(predictor(lambda x_t, t, context: x_t, EMPTY_AT_T), EMPTY_AT_T, normal(3, 2), 10))


@every_sampler
def test_a_sample_does_not_depend_on_its_batch(sampler):
    data = Gaussian(LINEAR, np.array([0.3, -0.2]), np.array([0.4, 1.3]))
    x_T = NOISE.normal((64, 2), "x_T")
    whole = last(sampler(data.predict, LINEAR, x_T, 10))
    one = last(sampler(data.predict, LINEAR, x_T[:1], 10))
    np.testing.assert_array_equal(one, whole[:1])


@pytest.mark.parametrize("first", [0, 5, 63])
def test_a_shard_draws_the_noise_of_its_own_samples(first):
    data = Gaussian(LINEAR, np.array([0.3, -0.2]), np.array([0.4, 1.3]))
    x_T = NOISE.normal((64, 2), "x_T")
    whole = last(ddpm(data.predict, LINEAR, x_T, 10, noise=NOISE))
    one = last(ddpm(data.predict, LINEAR, x_T[first : first + 1], 10, noise=NOISE.at(first=first)))
    np.testing.assert_array_equal(one, whole[first : first + 1])


@every_sampler
def test_predict_may_split_the_batch(sampler):
    data = Gaussian(LINEAR, np.array([0.3, -0.2]), np.array([0.4, 1.3]))
    context = np.arange(6)

    def sharded(x_t, t, context):
        labels = as_condition(context).labels  # one sampler adds the length of its step
        np.testing.assert_array_equal(labels, np.arange(6))
        parts = [data.predict(x_t[i : i + 4], t[i : i + 4], labels[i : i + 4]) for i in (0, 4)]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    x_T = normal(6, 2)
    a = last(sampler(sharded, LINEAR, x_T, 5, context=context))
    np.testing.assert_array_equal(a, last(sampler(data.predict, LINEAR, x_T, 5)))


@every_sampler
def test_inputs_stay_as_they_are_and_images_pass_through(sampler):
    data, x_T = Gaussian(COSINE, np.zeros((4, 4, 1)), 0.5), normal(2, 4, 4, 1, dtype=np.float32)
    x_T.setflags(write=False)
    assert last(sampler(data.predict, COSINE, x_T, 3)).shape == x_T.shape


@every_sampler
def test_a_chain_stops_where_it_is_told(sampler):
    data, x_T = Gaussian(COSINE, np.zeros(2), 0.5), normal(2, 2)
    chain = list(sampler(data.predict, COSINE, x_T, [90, 50.5], end=20.25))
    assert [t for t, _, _ in chain] == [50.5, 20.25]
