"""The report on autoencoders, and the PCA of blocks that stands beside it."""

import dataclasses

import numpy as np
import pytest
from latents import autoencoder

from tinydiff.base import InputError
from tinydiff.data import Dataset, peak_signal_to_noise, to_images
from tinydiff.data.scenes import ATTRIBUTES, DrawnScenes
from tinydiff.evaluate import evaluate_autoencoder, fit_block_pca
from tinydiff.networks import AttributeClassifier, AttributeClassifierConfig

TRAINING, TEST = DrawnScenes("train", 30, 16), DrawnScenes("test", 20, 16)


PLAIN = Dataset(TEST.pictures(range(3)), np.arange(3), "mine", "all", "here")


def judge_of(attributes):
    return AttributeClassifier(AttributeClassifierConfig(16, 3, (4,), 1, 1, 4, attributes=attributes))


def pictures(data):
    return data.batch(range(len(data)))[0]


@pytest.mark.equation("PCA-1")
def test_blocks_made_of_few_directions_come_back_exactly():
    rng = np.random.default_rng(0)
    directions, shift = rng.normal(size=(3, 12)), rng.normal(size=12)
    blocks = rng.normal(size=(2 * 4 * 5, 3)) @ directions + shift
    images = blocks.reshape(2, 4, 5, 2, 2, 3).swapaxes(2, 3).reshape(2, 8, 10, 3)
    pca = fit_block_pca([images[:1], images[1:]], 2, 3)
    np.testing.assert_allclose(pca.reconstruct(images), images, atol=1e-10)
    np.testing.assert_allclose(pca.components @ pca.components.T, np.eye(3), atol=1e-12)
    fewer = fit_block_pca([images], 2, 2)
    assert abs(fewer.reconstruct(images) - images).max() > 0.1


@pytest.mark.equation("PCA-1")
def test_its_error_is_that_of_a_singular_value_decomposition():
    images = pictures(TRAINING).astype(float)
    blocks = images.reshape(30, 4, 4, 4, 4, 3).swapaxes(2, 3).reshape(-1, 48)
    singular = np.linalg.svd(blocks - blocks.mean(axis=0), compute_uv=False)
    for numbers in (1, 8, 47, 48):
        error = ((fit_block_pca([images], 4, numbers).reconstruct(images) - images) ** 2).sum()
        assert error == pytest.approx((singular[numbers:] ** 2).sum(), rel=1e-6, abs=1e-6)


def test_no_other_linear_code_of_the_training_blocks_is_better():
    images, rng = pictures(TRAINING).astype(float), np.random.default_rng(1)
    pca = fit_block_pca([images], 4, 8)
    best = ((pca.reconstruct(images) - images) ** 2).mean()
    for _ in range(10):
        other, _ = np.linalg.qr((pca.components + 0.05 * rng.normal(size=(8, 48))).T)
        worse = pca._replace(components=other.T)
        assert ((worse.reconstruct(images) - images) ** 2).mean() > best


def test_the_report_has_the_figures_of_each_style(tmp_path):
    model, x = autoencoder(), pictures(TEST)
    text = evaluate_autoencoder(model, TRAINING, TEST, out=tmp_path)
    decoded = to_images(model.decode(model.encode(x)))
    expected = peak_signal_to_noise(to_images(x), decoded)
    (line,) = (line for line in text.splitlines() if line.startswith("all "))
    assert f"{expected:.2f}" in line
    styles = {scene.style for scene in TEST.scenes(range(20))}
    assert all(any(line.startswith(style) for line in text.splitlines()) for style in styles)
    assert (tmp_path / "reconstructions.png").is_file()
    assert "1 / 6 of the picture's numbers" in text


def test_a_judge_says_what_is_read_as_before():
    judge = judge_of(ATTRIBUTES)
    text = evaluate_autoencoder(autoencoder(), TRAINING, TEST, judge, n=6)
    (line,) = (line for line in text.splitlines() if line.startswith("place "))
    assert line.split()[1] == "6"
    judge.theta[:] = 0  # reads the first word of everything, so that nothing ever changes
    text = evaluate_autoencoder(autoencoder(), TRAINING, TEST, judge, n=6)
    (line,) = (line for line in text.splitlines() if line.startswith("place "))
    assert line.split()[2:4] == ["100.0%", "100.0%"]


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="numbers is 13"):
        fit_block_pca([np.zeros((1, 4, 4, 3))], 2, 13)
    with pytest.raises(InputError, match="no pictures"):
        fit_block_pca([], 2, 3)
    images = np.zeros((1, 4, 4, 3))
    for batches, sentence in (
        ([images[:, :3]], "a batch has shape .*multiples of the factor, 2"),
        ([images, images[..., :1]], "a batch has shape"),
        ([images[:0]], "at least one picture"),
        ([images * np.nan], "batches hold NaN or infinity"),
        ([None], "batches"),
    ):
        with pytest.raises(InputError, match=sentence):
            fit_block_pca(batches, 2, 3)
    pca = fit_block_pca([images], 2, 3)
    for wrong in (images[:, :3], images[..., :1], images[0]):
        with pytest.raises(InputError, match="images has"):
            pca.reconstruct(wrong)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"test": dataclasses.replace(TEST, size=17)}, "test has shape .*multiples of the factor, 2"),
        ({"training": dataclasses.replace(TEST, size=17)}, "training has shape .*multiples of the factor, 2"),
        ({"training": None}, "training is None, but a Dataset or a DrawnScenes was expected"),
        ({"n": 0}, "n is 0"),
        ({"fitted_on": -1}, "fitted_on is -1"),
        ({"judge": judge_of({"shape": ("round",)})}, "judge reads shape, but of the test pictures there is known: ob"),
        ({"judge": judge_of(ATTRIBUTES), "test": PLAIN}, "of the test pictures there is known: nothing"),
        ({"test": PLAIN.take(slice(0, 0))}, "the number of pictures of test is 0"),
    ],
)
def test_what_an_autoencoder_cannot_be_judged_by_is_refused(changes, sentence):
    arguments = {"model": autoencoder(), "training": TRAINING, "test": TEST, "n": 2, **changes}
    with pytest.raises(InputError, match=sentence):
        evaluate_autoencoder(**arguments)
