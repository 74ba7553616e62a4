"""The linear preview of latents."""

import numpy as np
import pytest
from latents import SCENES, autoencoder

from tinydiff.base import InputError
from tinydiff.data import to_floats
from tinydiff.models import fit_preview

PICTURES = to_floats(SCENES.pictures(range(6)))


@pytest.mark.equation("PREVIEW-1")
def test_it_is_the_least_squares_solution_over_all_batches():
    model = autoencoder()
    preview = fit_preview(model, [PICTURES[:2], PICTURES[2:]])
    z = model.encode(PICTURES).reshape(-1, 2).astype(float)
    colours = PICTURES.reshape(6, 8, 2, 8, 2, 3).mean(axis=(2, 4)).reshape(-1, 3)
    rows = np.concatenate([z, np.ones((len(z), 1))], axis=1)
    expected, *_ = np.linalg.lstsq(rows, colours, rcond=None)
    np.testing.assert_allclose(preview.weight, expected[:2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(preview.bias, expected[2], rtol=1e-5, atol=1e-6)


@pytest.mark.equation("PREVIEW-1")
def test_latents_that_are_colours_are_shown_exactly():
    class Colours:
        factor, config = 2, autoencoder().config

        @staticmethod
        def encode(images):
            return images.reshape(len(images), 8, 2, 8, 2, 3).mean(axis=(2, 4))[..., :2] * 3 - 1

    preview = fit_preview.__wrapped__(Colours, [PICTURES])
    shown = preview.pictures(Colours.encode(PICTURES))
    np.testing.assert_allclose(shown[..., :2], (Colours.encode(PICTURES) + 1) / 3, atol=1e-5)


def test_its_pictures_are_small_and_within_bounds():
    preview = fit_preview(autoencoder(), [PICTURES])
    shown = preview.pictures(100 * autoencoder().encode(PICTURES))
    assert shown.shape == (6, 8, 8, 3)
    assert shown.dtype == np.float32
    assert abs(shown).max() <= 1
    with pytest.raises(InputError, match="no images"):
        fit_preview(autoencoder(), [])
    with pytest.raises(InputError, match="latents"):
        preview.pictures(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(InputError, match="latents has dtype int64, but a floating dtype"):
        preview.pictures(np.zeros((1, 8, 8, 2), int))
    with pytest.raises(InputError, match="a batch is 15 x 16, but height and width must be multiples of 2"):
        fit_preview(autoencoder(), [PICTURES[:, :15]])
    with pytest.raises(InputError, match="a batch has shape"):
        fit_preview(autoencoder(), [PICTURES[..., :1]])
