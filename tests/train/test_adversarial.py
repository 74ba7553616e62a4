"""Reconstruction with features and against a discriminator: gradients, the adaptive weight, and the life of a run."""

import dataclasses

import numpy as np
import pytest
from arrays import to_xp
from loss_slopes import slopes

from tinydiff.base import InputError, Noise, TrainingError
from tinydiff.functional import (
    edge_loss,
    edge_loss_backward,
    hinge_discriminator,
    hinge_generator,
    hinge_generator_backward,
    kl_to_standard_normal,
    mae,
    mae_backward,
    perceptual_distance,
    perceptual_distance_backward,
)
from tinydiff.models import LatentAutoencoder
from tinydiff.networks import (
    AttributeClassifier,
    AttributeClassifierConfig,
    Autoencoder,
    AutoencoderConfig,
    PatchDiscriminator,
    PatchDiscriminatorConfig,
)
from tinydiff.nn import Gradients, Tape
from tinydiff.train import Reconstruct, ReconstructConfig, Run, read_log
from tinydiff.train.objectives import reconstruct

SHAPE = AutoencoderConfig(8, 3, 4, (1, 2), 1, 2)
CONFIG = ReconstructConfig(
    steps=6, batch=6, micro_batch=2, warmup=1, kl=0.01, edge=0.5, perceptual=0.5, adversarial=0.5, save_every=2,
    log_every=1,
)  # fmt: skip


class Pictures:
    """Smooth pictures in two colours, in any floating dtype."""

    name = "two colours"

    def __init__(self, dtype=np.float64, n=16):
        rng = np.random.default_rng(0)
        rows, columns = np.mgrid[:8, :8] / 4 - 1
        slopes = rng.standard_normal((n, 3, 2))
        planes = np.einsum("nca,ahw->nhwc", slopes, np.stack([rows, columns]))
        self.images = np.tanh(planes + 0.1 * rng.standard_normal(planes.shape)).astype(dtype)

    def __len__(self):
        return len(self.images)

    def batch(self, indices, xp=np):
        return xp.asarray(self.images[indices]), np.zeros(len(indices), int)

    def describe(self):
        return "made in the test"


def perturbed(network, seed=0):
    """Return a network none of whose weights is zero, as some are at first."""
    rng = np.random.default_rng(seed)
    network.theta[:] += 0.1 * rng.standard_normal(network.theta.shape)
    return network


def make(dtype=np.float64, **changes):
    rng, config = np.random.default_rng(0), dataclasses.replace(CONFIG, **changes)
    looks = AttributeClassifierConfig(8, 3, (4, 8), 1, 1, 4)
    return Reconstruct(
        LatentAutoencoder(perturbed(Autoencoder(SHAPE, rng, dtype)), threads=1),
        Pictures(dtype),
        config,
        features=perturbed(AttributeClassifier(looks, rng, dtype)) if config.perceptual else None,
        discriminator=PatchDiscriminator(PatchDiscriminatorConfig(3, 4, 2), rng, dtype) if config.adversarial else None,
    )


def learner_of(objective, phase="", threads=1):
    return Run(objective, threads=threads, processes=False if threads == 1 else None).learners[phase]


def test_the_whole_autoencoders_gradient_matches_finite_differences_with_every_loss(monkeypatch):
    """L1, edges, KL, features, and a discriminator that stands still; the adaptive weight counts as a constant."""
    objective = make()
    learner = learner_of(objective)
    learner.gradient_sum(0)
    weight = objective.measure()["adversarial_weight"] / CONFIG.adversarial
    monkeypatch.setattr(reconstruct, "adaptive_weight", lambda *gradients: weight)
    by_gradient, by_difference = slopes(learner)
    np.testing.assert_allclose(by_gradient, by_difference, rtol=1e-6)


@pytest.mark.parametrize("changes", [{"adversarial": 0.0}, {"adversarial_from": 9}])
def test_the_gradient_with_features_matches_finite_differences_without_a_discriminator(changes):
    by_gradient, by_difference = slopes(learner_of(make(**changes)))
    np.testing.assert_allclose(by_gradient, by_difference, rtol=1e-6)


def test_the_discriminators_gradient_matches_finite_differences():
    by_gradient, by_difference = slopes(learner_of(make(), "discriminator"))
    np.testing.assert_allclose(by_gradient, by_difference, rtol=1e-6)


def whole_batch(objective, step=0):
    """Return the pictures of a step, what the autoencoder makes of them at once, and the tape."""
    x, _ = objective.data.batch(objective.indices(step))
    eps, tape = objective.noise(step).normal((len(x), *SHAPE.latent_shape), "eps", dtype=x.dtype), Tape()
    return x, objective.network.forward(x, eps, tape), tape


def norm_at_the_last_layer(objective, d_x_hat, tape):
    """Return the norm of the gradient of the last convolution's weights, by the network's own backward."""
    grads = Gradients([objective.network.decoder.head.layers[-1].weight])
    objective.network.decode_backward(d_x_hat, tape, grads)
    return np.linalg.norm(grads.flat)


@pytest.mark.equation("VAE-6")
def test_the_loss_is_written_out_with_a_weight_from_two_passes_over_the_whole_batch():
    objective = make()
    grads = Gradients(objective.network.parameters())
    shards = [objective.add_gradient_against_discriminator(0, shard, grads) for shard in range(3)]
    loss, weights = objective.weigh(0, [next(shard) for shard in shards], grads)

    x, (x_hat, mean, log_variance), tape = whole_batch(objective)
    maps = Tape()
    _, cache = perceptual_distance(objective.features.maps(x_hat, maps), objective.features.maps(x))
    d_perceptual = objective.features.maps_backward(perceptual_distance_backward(0.5, cache)[0], maps)
    d_l1, d_edges = (
        backward(weight, pair(x_hat, x)[1])[0]
        for pair, backward, weight in [(mae, mae_backward, 1.0), (edge_loss, edge_loss_backward, 0.5)]
    )
    of_reconstruction = norm_at_the_last_layer(objective, d_l1 + d_edges + d_perceptual, tape)

    _, _, tape = whole_batch(objective)
    critic = Tape()
    deceit, cache = hinge_generator(objective.discriminator.forward(x_hat, critic))
    d_adversarial = objective.discriminator.backward(*hinge_generator_backward(1.0, cache), critic)
    of_adversary = norm_at_the_last_layer(objective, d_adversarial, tape)
    weight = 0.5 * of_reconstruction / (of_adversary + 1e-6)
    assert weights == pytest.approx([weight] * 3, rel=1e-9)

    between, kl = objective.reconstruction(x_hat, x, 1.0)[0], kl_to_standard_normal(mean, log_variance)[0]
    assert float(loss) == pytest.approx(float(between + 0.01 * kl + weight * deceit), rel=1e-9)
    assert objective.measure()["adversarial_loss"] == pytest.approx(float(deceit), rel=1e-9)


def test_the_discriminators_loss_is_that_of_the_whole_batch():
    objective = make()
    loss = sum(learner_of(objective, "discriminator").gradient_sum(0))
    x, (x_hat, _, _), _ = whole_batch(objective)
    expected, _ = hinge_discriminator(objective.discriminator.forward(x), objective.discriminator.forward(x_hat))
    assert loss == pytest.approx(float(expected), rel=1e-9)


def test_without_an_adversary_there_is_one_phase_and_the_shards_do_not_meet():
    objective = make(adversarial=0.0)
    (phase,) = objective.phases
    assert (phase.name, phase.join) == ("", None)
    assert objective.discriminator is None
    run = Run(objective, threads=1)
    assert set(run.train_step()) == {"step", "loss", "gradient_norm", "lr"}
    assert "adversarial_weight" not in objective.measure()


def test_the_discriminator_waits_for_its_first_step():
    waiting, without = (Run(make(**changes), threads=1) for changes in ({"adversarial_from": 2}, {"adversarial": 0.0}))
    before = waiting.learners["discriminator"].network.theta.copy()
    for _ in range(2):
        record = waiting.train_step()
        assert record["loss"] == pytest.approx(without.train_step()["loss"], rel=1e-9)
        assert "discriminator_loss" not in record
    np.testing.assert_array_equal(waiting.learners["discriminator"].network.theta, before)
    assert waiting.objective.measure() == {}
    record = waiting.train_step()
    assert record["discriminator_loss"] == pytest.approx(1, abs=0.5)  # it knows nothing yet
    assert record["loss"] != pytest.approx(without.train_step()["loss"], rel=1e-3)
    assert (waiting.learners["discriminator"].network.theta != before).any()
    assert waiting.objective.measure()["adversarial_weight"] > 0


def vectors(run):
    return np.concatenate([v for learner in run.learners.values() for v in learner.state().values()])


@pytest.mark.slow
@pytest.mark.parametrize("adversarial_from", [0, 3])
def test_a_run_with_two_phases_goes_on_bit_for_bit_on_any_number_of_workers(tmp_path, adversarial_from):
    """With two workers, processes compute the discriminator's shards, and threads the autoencoder's."""
    whole = Run(make(np.float32, adversarial_from=adversarial_from), threads=1)
    whole.run(progress=False)
    for threads in (1, 2):
        folder = tmp_path / str(threads)
        Run(make(np.float32, adversarial_from=adversarial_from), folder, threads=threads).run(progress=False)
        for path in folder.glob("step-00000006*"):
            path.unlink()
        again = Run(make(np.float32, adversarial_from=adversarial_from), folder, threads=threads)
        assert again.step == 4
        again.run(progress=False)
        np.testing.assert_array_equal(vectors(again), vectors(whole))
    last = read_log(folder)[-1]
    assert {"loss", "discriminator_loss", "adversarial_loss", "adversarial_weight", "reconstruction_loss"} <= set(last)


def test_a_discriminator_that_is_not_finite_stops_the_run_in_a_sentence_that_names_it():
    run = Run(make(adversarial_from=1, most_skipped=0), threads=1)
    run.train_step()
    run.objective.discriminator.theta[0] = np.nan
    with pytest.raises(
        TrainingError,
        match=r"step 2: .*The adversarial term is no longer finite.*smaller weight \(adversarial is 0\.5\), or let it "
        r"begin later \(adversarial_from is 1\)\.$",
    ):
        run.train_step()


def test_a_gradient_that_overflows_elsewhere_is_not_blamed_on_the_adversary(monkeypatch):
    run = Run(make(), threads=1)
    backward = run.objective.network.backward
    monkeypatch.setattr(run.objective.network, "backward", lambda d, *more: backward(np.inf * d, *more))
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match="Try a smaller learning rate"):
        run.train_step()


def test_a_discriminators_own_gradient_that_is_not_finite_is_named(monkeypatch):
    run = Run(make(), threads=1)
    monkeypatch.setattr(
        reconstruct, "hinge_discriminator_backward", lambda share, cache: [np.full_like(a, np.nan) for a in cache]
    )
    with pytest.raises(
        TrainingError, match=r"the discriminator's body\.layers\.0.* is not finite.*The discriminator is no"
    ):
        run.train_step()


def test_pictures_that_are_not_finite_are_not_blamed_on_the_adversary():
    run = Run(make(), threads=1)
    run.objective.data.images[:] = np.nan
    with pytest.raises(TrainingError, match="look for NaN in the data"):
        run.train_step()


def test_another_feature_network_is_another_run(tmp_path):
    Run(make(), tmp_path, threads=1).run(progress=False)
    other = make()
    perturbed(other.features, seed=5)
    with pytest.raises(InputError, match=r"features\.checksum is .*, but the run in .* has"):
        Run(other, tmp_path)


def test_the_step_runs_under_both_array_modules(xp):
    here, there = make(np.float32), make(np.float32)
    networks = [there.network, there.features, there.discriminator]
    network, features, critic = (each.bind(to_xp(xp, each.theta)) for each in networks)
    model = LatentAutoencoder(network, threads=1)
    there = Reconstruct(model, there.data, CONFIG, there.data, features=features, discriminator=critic)
    expected, run = Run(here, threads=1).train_step(), Run(there, threads=1)
    record = run.train_step()
    for name in ("loss", "gradient_norm", "discriminator_loss", "discriminator_gradient_norm"):
        assert float(record[name]) == pytest.approx(float(expected[name]), rel=1e-3)
    assert run.objective.measure() == pytest.approx(here.measure(), rel=1e-3)
    assert run.validate().keys() == {"validation_loss", "psnr", "kl"}


def test_validation_has_the_loss_between_images_with_features_and_without_the_discriminator():
    objective = make(validation_images=5)
    objective.validation = objective.data
    found = objective.validate(objective.network, objective.discriminator)
    x, _ = objective.data.batch(np.arange(5))
    eps = Noise(0).normal((5, *SHAPE.latent_shape), "validation eps", dtype=x.dtype)
    x_hat, mean, log_variance = objective.network.forward(x, eps)
    kl, distance = kl_to_standard_normal(mean, log_variance)[0], objective.reconstruction(x_hat, x, 1.0)[0]
    assert found["validation_loss"] == pytest.approx(float(distance + 0.01 * kl), rel=1e-9)
    features = perceptual_distance(objective.features.maps(x_hat), objective.features.maps(x))[0]
    by_hand = mae(x_hat, x)[0] + 0.5 * edge_loss(x_hat, x)[0] + 0.5 * features
    assert float(distance) == pytest.approx(float(by_hand), rel=1e-12)


def test_networks_and_weights_that_do_not_belong_together_are_refused():
    whole = make()
    model, data = LatentAutoencoder(whole.network), whole.data
    other_size = AttributeClassifier(AttributeClassifierConfig(16, 3, (4,), 1, 1, 4), dtype=np.float64)
    grey = PatchDiscriminator(PatchDiscriminatorConfig(1, 4, 2), dtype=np.float64)
    both = {"features": whole.features, "discriminator": whole.discriminator}
    for changes, networks, words in [
        ({}, {}, "perceptual is 0.5, but features is None: give a network"),
        ({}, {"features": whole.features}, "adversarial is 0.5, but discriminator is None"),
        ({"perceptual": 0.0}, both, "features is given, but perceptual is 0: give it a weight"),
        ({"adversarial": 0.0}, both, "discriminator is given, but adversarial is 0"),
        (
            {},
            both | {"features": other_size},
            r"features reads images of shape \(16, 16, 3\), but the autoencoder's are",
        ),
        ({}, both | {"discriminator": grey}, "discriminator.in_channels is 1, but the autoencoder's images have 3"),
        (
            {},
            both | {"discriminator": PatchDiscriminator(PatchDiscriminatorConfig())},
            "discriminator is float32, model",
        ),
    ]:
        with pytest.raises(InputError, match=words):
            Reconstruct(model, data, dataclasses.replace(CONFIG, **changes), **networks)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"perceptual": -1}, "perceptual is -1"),
        ({"adversarial": np.nan}, "adversarial is nan"),
        ({"adversarial_from": -1}, "adversarial_from is -1"),
        ({"adversarial": 0.0, "adversarial_from": 3}, "adversarial_from is 3, but adversarial is 0"),
    ],
)
def test_bad_settings_are_refused_by_name(changes, words):
    with pytest.raises(InputError, match=words):
        dataclasses.replace(CONFIG, **changes)
