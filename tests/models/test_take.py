"""Weights of one network in another: what fits is taken, what does not stays as it was."""

import numpy as np

from tinydiff.models.take import take_weights
from tinydiff.networks import UNet, UNetConfig

SMALL = {"image_size": 8, "channels": 8, "channel_mult": (1, 2), "blocks_per_level": 1, "heads": 2}


def network(seed, **options):
    net = UNet(UNetConfig(**{**SMALL, **options}), np.random.default_rng(seed))
    net.theta[:] = np.random.default_rng(seed).standard_normal(net.theta.shape)
    return net


def test_an_equal_shape_takes_all_and_each_number_is_counted_once():
    here, there = network(0), network(1)
    before = there.theta.copy()
    taken = take_weights(here, there)
    np.testing.assert_array_equal(here.theta, before)
    np.testing.assert_array_equal(there.theta, before)
    assert (sum(taken.taken.values()), taken.new, taken.left, taken.share) == (here.theta.size, {}, {}, 1)
    assert len(taken.lines()) == 1


def test_what_does_not_fit_stays_as_it_was_and_is_listed():
    here, there = network(0, in_channels=3, num_classes=2), network(1, num_classes=4, attention_levels=(0,))
    before = {name: p.value.copy() for name, p in here.named_parameters().items()}
    taken = take_weights(here, there, {"embed.label.table": {0: 3, 2: 4}})
    others = {name: p.value for name, p in there.named_parameters().items()}
    for name, p in here.named_parameters().items():
        if name == "embed.label.table":
            np.testing.assert_array_equal(p.value, [others[name][3], before[name][1], others[name][4]])
            assert (taken.taken[name], taken.new[name]) == (2 * 32, 32)
        elif name in taken.taken:
            np.testing.assert_array_equal(p.value, others[name])
        else:
            np.testing.assert_array_equal(p.value, before[name])
    assert {name for name in taken.new if name != "embed.label.table"} == {
        "stem.weight", "head.layers.2.weight", "head.layers.2.bias",
    }  # fmt: skip
    assert sum(taken.taken.values()) + sum(taken.new.values()) == here.theta.size
    assert taken.left
    assert all(".attention." in name for name in taken.left)
    assert [line.split()[0] for line in taken.lines()] == ["Taken", "New,", "Left"]
