"""One loop for any objective: a small one, one whose loss looks at the whole batch, and two networks in turns."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from tinydiff.base import InputError, Memo
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule
from tinydiff.diffusion.oracle import GaussianMixture
from tinydiff.functional import mse, mse_backward
from tinydiff.nn import Gradients, Linear, Sequential, SiLU, Tape
from tinydiff.train import Objective, Phase, Run, TrainConfig, ValidatedConfig, read_log

DIFFUSION = GaussianDiffusion(cosine_schedule(100))
CENTRES, WIDTH = np.array([[-1.5, 0.0], [1.5, 0.0]]), 0.3
CONFIG = TrainConfig(steps=6, batch=12, micro_batch=4, warmup=2, save_every=2)


def mlp(*widths, seed=0, dtype=np.float32):
    rng, layers = np.random.default_rng(seed), []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [Linear(n_in, n_out, rng, dtype=dtype), SiLU()]
    network = Sequential(*layers[:-1])
    network.pack()
    return network


class Points(Objective):
    """Denoise points of the plane (Ho et al. 2020, Algorithm 1)."""

    def add_gradient(self, step, shard, grads):
        noise, part = self.noise(step, shard), self.config.part(shard)
        n = part.stop - part.start
        x_0 = draw_points(noise, n)
        t, eps = noise.integers(1, DIFFUSION.T, n, "t"), noise.normal((n, 2), "eps")
        tape = Tape()
        eps_hat = self.network.forward(with_time(DIFFUSION.q_sample(x_0, t, eps), t), tape)
        loss, cache = mse(eps_hat, eps)
        share = n / self.config.batch
        d_eps_hat, _ = mse_backward(share, cache)
        self.network.backward(d_eps_hat, tape, grads)
        return share * loss


def draw_points(noise, n):
    """Return points around two centres, as often around one as around the other."""
    centre = CENTRES[noise.integers(0, 1, n, "centre")]
    return (centre + WIDTH * noise.normal((n, 2), "point")).astype(np.float32)


def with_time(x_t, t):
    return np.column_stack([x_t, (t / DIFFUSION.T).astype(np.float32)])


def test_a_denoiser_of_points_comes_near_the_exact_one():
    config = TrainConfig(steps=800, batch=64, lr=1e-2, ema=0.99)
    run = Run(Points(mlp(3, 32, 32, 2), config), threads=1)
    run.run(progress=False)
    noise = run.objective.noise(10**6)
    x_0, t, eps = draw_points(noise, 2000), noise.integers(1, DIFFUSION.T, 2000, "t"), noise.normal((2000, 2), "eps")
    x_t = DIFFUSION.q_sample(x_0, t, eps)
    _, exact = GaussianMixture(DIFFUSION, [1, 1], CENTRES, [WIDTH**2] * 2).predict(x_t, t)
    found = run.trained().forward(with_time(x_t, t))
    assert ((found - exact) ** 2).mean() < 0.05 * (exact**2).mean()
    least = ((exact - eps) ** 2).mean()
    assert least < ((found - eps) ** 2).mean() < 1.1 * least  # nothing is better than the exact one


def test_an_objective_of_its_own_is_saved_and_goes_on_bit_for_bit(tmp_path):
    whole = Run(Points(mlp(3, 8, 2), CONFIG), threads=3, processes=True)
    whole.run(progress=False)
    for _ in range(2):
        again = Run(Points(mlp(3, 8, 2), CONFIG), tmp_path, threads=2, processes=False)
        again.run(progress=False)
        np.testing.assert_array_equal(again.trained().theta, whole.trained().theta)
        (tmp_path / "step-00000006.safetensors").unlink()
    assert (tmp_path / "model.safetensors").is_file()


class SpreadOut(Objective):
    """Make the mean of the outputs 1 and their variance 2, over the whole batch: no sum over samples."""

    def __init__(self, network, config):
        super().__init__(network, config)
        self.phases = [Phase(network, self.add_gradient, config, join=self.compare)]

    def add_gradient(self, step, shard, grads):
        tape, part = Tape(), self.config.part(shard)
        x = self.noise(step, shard).normal((part.stop - part.start, 3), "x", dtype=np.float64)
        d_y = yield self.network.forward(x, tape)
        self.network.backward(d_y, tape, grads)

    def compare(self, step, outputs, grads):
        y = np.concatenate(outputs)
        mean, variance = y.mean(), y.var()
        d_y = (2 * (mean - 1) + 2 * (variance - 2) * 2 * (y - mean)) / y.size
        return (mean - 1) ** 2 + (variance - 2) ** 2, [d_y[self.config.part(i)] for i in range(len(outputs))]


def test_shards_that_meet_are_the_whole_batch():
    found = []
    for micro_batch in (12, 5, 1):
        config = dataclasses.replace(CONFIG, micro_batch=micro_batch)
        (learner,) = Run(SpreadOut(mlp(3, 8, 2, dtype=np.float64), config), threads=2).learners.values()
        (loss,) = learner.gradient_sum(0)
        found.append((loss, learner.gradient_sum.totals[0].copy()))
    for loss, gradient in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-12)
        np.testing.assert_allclose(gradient, found[0][1], rtol=1e-9, atol=1e-12)


def test_the_gradient_through_a_join_matches_finite_differences():
    objective = SpreadOut(mlp(3, 8, 2, dtype=np.float64), CONFIG)
    (learner,) = Run(objective, threads=1).learners.values()
    learner.gradient_sum(0)
    gradient, theta, h = learner.gradient_sum.totals[0].copy(), learner.network.theta, 1e-6
    v, ends = np.random.default_rng(0).standard_normal(theta.shape), []
    for sign in (1, -1):
        theta += sign * h * v
        ends.append(learner.gradient_sum(0)[0])
        theta -= sign * h * v
    assert gradient @ v == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)


class Counted(Points):
    """Points whose number is added up in the place of the gradient of a parameter."""

    def __init__(self, network, config):
        super().__init__(network, config)
        self.phases = [Phase(network, self.add_gradient, config, before_step=self.take_out)]
        self.counter, self.seen = network.layers[-1].bias, []

    def add_gradient(self, step, shard, grads):
        part, loss = self.config.part(shard), super().add_gradient(step, shard, Gradients(self.network.parameters()))
        grads.add(self.counter, np.float32(part.stop - part.start) * np.ones(2, np.float32))
        return loss

    def take_out(self, step, grads, ok):
        self.seen.append((step, *grads[self.counter], bool(ok)))
        grads[self.counter][...] = 0


@pytest.mark.parametrize("processes", [False, True])
def test_what_is_no_gradient_is_summed_over_the_batch_and_moves_nothing(processes):
    run = Run(Counted(mlp(3, 8, 2), CONFIG), threads=2, processes=processes)
    before, records = run.objective.network.theta.copy(), [run.train_step() for _ in range(3)]
    run.learners[""].gradient_sum.close()
    assert run.objective.seen == [(step, 12.0, 12.0, True) for step in range(3)]  # three shards of 4
    assert [float(record["gradient_norm"]) for record in records] == [0, 0, 0]
    np.testing.assert_array_equal(run.objective.network.theta, before)


def test_a_shard_that_yields_twice_is_a_mistake_that_is_named():
    class Twice(SpreadOut):
        def add_gradient(self, step, shard, grads):
            yield np.zeros((4, 2))
            yield None

    with pytest.raises(RuntimeError, match="yielded twice"):
        Run(Twice(mlp(3, 2), CONFIG)).train_step()


class Adversarial(Objective):
    """A generator draws points that a discriminator takes for real ones (Goodfellow et al. 2014, Algorithm 1)."""

    def __init__(self, config):
        super().__init__(mlp(2, 16, 2), config)
        self.critic = mlp(2, 16, 1, seed=1)
        faster = dataclasses.replace(config, lr=4 * config.lr, ema=None)
        self.phases = [
            Phase(self.critic, self.add_gradient_of_critic, faster, "critic"),
            Phase(self.network, self.add_gradient, config, "generator"),
        ]

    def turns(self, step):
        return self.phases if step % 2 else self.phases[:1]  # the generator learns every second step

    def drawn(self, step, shard, tape=None):
        part = self.config.part(shard)
        return self.network.forward(self.noise(step, shard).normal((part.stop - part.start, 2), "z"), tape)

    def add_gradient_of_critic(self, step, shard, grads):
        """Descend -log D(x) - log (1 - D(G(z)))."""
        fake = self.drawn(step, shard)
        real = self.noise(step, shard).normal(fake.shape, "x") + np.float32(2)
        return self.judge(real, 1, grads)[0] + self.judge(fake, -1, grads)[0]

    def add_gradient(self, step, shard, grads):
        """Descend -log D(G(z)), through the critic, which stands still."""
        tape = Tape()
        loss, d_fake = self.judge(self.drawn(step, shard, tape), 1, None)
        self.network.backward(d_fake, tape, grads)
        return loss

    def judge(self, x, sign, grads):
        """Return the loss of calling points real (sign 1) or drawn (-1), and its gradient in them."""
        tape = Tape()
        logits = sign * self.critic.forward(x, tape)
        d_logits = -sign / (1 + np.exp(logits)) / self.config.batch
        return np.logaddexp(0, -logits).sum() / self.config.batch, self.critic.backward(d_logits, tape, grads)

    def validate(self, *networks):
        critic, generator = networks
        z = self.noise(10**6).normal((500, 2), "z")
        mean = generator.forward(z).mean()
        return {"mean": float(mean), "logit": float(critic.forward(generator.forward(z)).mean())}


def vectors(run):
    return np.concatenate([v for learner in run.learners.values() for v in learner.state().values()])


@pytest.mark.slow
def test_two_networks_take_turns_and_learn():
    config = TrainConfig(steps=600, batch=64, micro_batch=32, lr=3e-3, betas=(0.5, 0.9))
    run = Run(Adversarial(config), threads=1)
    assert abs(run.validate()["mean"]) < 0.5
    run.run(progress=False)
    assert run.validate()["mean"] == pytest.approx(2, abs=0.5)  # where the real points are


def test_each_network_moves_in_its_own_turn_only():
    run = Run(Adversarial(CONFIG), threads=1)
    generator, critic = run.learners["generator"], run.learners["critic"]
    before = generator.network.theta.copy(), critic.network.theta.copy()
    assert set(run.train_step()) == {"step", "critic_loss", "critic_gradient_norm", "critic_lr"}
    np.testing.assert_array_equal(generator.network.theta, before[0])
    assert (critic.network.theta != before[1]).any()
    record = run.train_step()
    assert record["critic_lr"] == 4 * record["generator_lr"]
    assert (generator.network.theta != before[0]).any()
    assert (generator.optimizer.steps, critic.optimizer.steps) == (1, 2)


def test_two_networks_go_on_bit_for_bit_also_when_each_is_computed_by_processes(tmp_path):
    """Each process sees the other network's weights change."""
    whole = Run(Adversarial(CONFIG), threads=1)
    whole.run(progress=False)
    for processes in (True, False):
        folder = tmp_path / str(processes)
        Run(Adversarial(CONFIG), folder, threads=2, processes=processes).run(progress=False)
        for path in folder.glob("step-00000006*"):
            path.unlink()
        again = Run(Adversarial(CONFIG), folder, threads=2, processes=processes)
        assert again.step == 4
        again.run(progress=False)
        np.testing.assert_array_equal(vectors(again), vectors(whole))
    records = read_log(tmp_path / "True")
    assert {"critic_loss", "generator_loss"} <= set(records[0])


def test_a_config_without_validate_every_validates_at_the_end_only():
    seen = []

    class Validated(Points):
        def validate(self, network):
            seen.append(network)
            return {"validation_loss": 1.0}

    Run(Validated(mlp(3, 2), CONFIG)).run(progress=False)
    assert len(seen) == 1
    config = ValidatedConfig(steps=6, batch=12, validate_every=2)
    Run(Validated(mlp(3, 2), config)).run(progress=False)
    assert len(seen) == 1 + 3


def test_a_memo_that_no_sum_would_use_is_refused():
    objective = Points(mlp(3, 2), CONFIG)
    with pytest.raises(InputError, match="only a phase with a join, or in order, uses one"):
        Phase(objective.network, objective.add_gradient, CONFIG, memo=Memo())


def test_one_name_for_two_phases_and_another_objective_in_a_folder_are_refused(tmp_path):
    objective = Adversarial(CONFIG)
    objective.phases = [dataclasses.replace(phase, name="same") for phase in objective.phases]
    with pytest.raises(InputError, match="have one name"):
        Run(objective)
    Run(Points(mlp(3, 2), CONFIG), tmp_path).run(progress=False)

    class Other(Points):
        pass

    with pytest.raises(InputError, match=r"^The objective is Other, but the run in .* has Points"):
        Run(Other(mlp(3, 2), CONFIG), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["about"]["step"] == 6
