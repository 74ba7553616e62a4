"""Latent diffusion: asked and edited as any other model, while its chain walks through latents."""

import dataclasses

import numpy as np
import pytest
from latents import SCENES, autoencoder, latent_diffusion

from tinydiff.base import InputError
from tinydiff.data import to_floats
from tinydiff.diffusion import last
from tinydiff.models import (
    DiffusionModel,
    Guidance,
    LatentDiffusion,
    Request,
    draw_from,
    fill_in,
    image_to_image,
    inpaint,
    interpolate,
    invert,
    load,
    save,
    word_maps,
)
from tinydiff.models.editing import mask_of_x

PROMPT = SCENES.captions[0]
PICTURES = to_floats(SCENES.pictures([0, 1]))


def test_a_chain_walks_through_latents_and_a_drawing_is_their_picture():
    model, request = latent_diffusion(), Request(n=3, prompt=PROMPT, guidance=2, seed=4)
    x_0 = last(model.chain(request, steps=4))
    assert x_0.shape == (3, 8, 8, 2)
    drawn = model.draw(request, steps=4)
    assert drawn.shape == (3, 16, 16, 3)
    assert (drawn == model.autoencoder.decode(x_0)).all()
    assert abs(drawn).max() <= 1


def test_a_model_of_pictures_is_its_own_autoencoder():
    model = latent_diffusion()
    plain = DiffusionModel(model.network, model.config, 4, 1, False, model.tokenizer)
    x = np.zeros((1, 8, 8, 2), np.float32)
    assert plain.encode(x) is x
    assert plain.decode(x) is x
    assert plain.picture_shape == (8, 8, 2)
    assert plain.multiple == 2
    assert plain.is_bounded


@pytest.mark.pitfall(18)
def test_latents_are_not_clipped():
    model = latent_diffusion()
    x_t, t = np.full((1, 8, 8, 2), 5.0, np.float32), np.full(1, 2.0)
    x_0_hat, _ = model.predictor(Request(n=1, prompt=PROMPT))(x_t, t)
    assert x_0_hat.min() > 1  # at t = 2 of 50 hardly any noise is left: the guess is near x_t
    x_0_hat, _ = model.predict(x_t, t, model.read(model.tokens([PROMPT])))
    assert x_0_hat.min() > 1


def test_bounds_for_latents_are_refused():
    with pytest.raises(InputError, match="threshold is 'dynamic', but this model draws latents, which have no bounds"):
        latent_diffusion().predictor(Request(n=1, prompt=PROMPT, guidance=Guidance(2, threshold="dynamic")))


def test_sizes_are_those_of_pictures():
    model = latent_diffusion()
    assert model.picture_shape == (16, 16, 3)
    assert model.multiple == 4  # 2 of the autoencoder, 2 of the UNet
    assert model.draw(Request(n=1, prompt=PROMPT, size=(8, 20)), steps=2).shape == (1, 8, 20, 3)
    assert model.x_size((8, 20)) == (4, 10)
    assert model.x_size() == (8, 8)
    with pytest.raises(InputError, match=r"size is 18 x 18, .* multiples of 4: 16 x 16 or 20 x 20 would do"):
        model.start(Request(n=1, prompt=PROMPT, size=18))
    for size in (0, -4, "big", 4.0, (8,), (8, None), True):
        with pytest.raises(InputError, match="size"):
            model.draw(Request(n=1, prompt=PROMPT, size=size), steps=1)


def test_latents_of_another_shape_are_refused():
    model = latent_diffusion()
    x = np.zeros((1, 8, 8, 2), np.float32)
    for wrong in (x[..., :1], x[0], x[:, :0], x[:0], x.astype(int), x.astype(float)):
        for f in (model.decode, lambda x: draw_from(model, x, Request(prompt=PROMPT), steps=1)):
            with pytest.raises(InputError):
                f(wrong)
    for sides in ((7, 8), (0, 8)):
        odd = np.zeros((1, *sides, 2), np.float32)
        with pytest.raises(InputError, match=f"x_T is {sides[0]} x 8, but height and width must be multiples of 2"):
            draw_from(model, odd, Request(prompt=PROMPT), steps=1)
        with pytest.raises(InputError, match=f"the first noise is {sides[0]} x 8"):
            interpolate(model, [odd, odd], (PROMPT, PROMPT), n=2, steps=1)


def test_pictures_and_masks_that_do_not_fit_are_refused():
    model = latent_diffusion()
    for wrong in (PICTURES[:, :15], PICTURES[..., :1], PICTURES[0], 2 * PICTURES, PICTURES * np.nan, PICTURES[:0]):
        for f in (model.encode, lambda x: image_to_image(model, x, Request(prompt=PROMPT), steps=1)):
            with pytest.raises(InputError):
                f(wrong)
    mask = np.ones((1, 16, 16, 1), np.float32)
    for wrong in (mask[:, :8, :8], mask[0], mask[None], 2 * mask, mask * np.nan, np.repeat(mask, 3, axis=0)):
        for f in (inpaint, fill_in):
            with pytest.raises(InputError, match="mask"):
                f(model, PICTURES, wrong, Request(prompt=PROMPT), steps=1)


def test_an_edit_of_full_strength_is_a_drawing():
    model, request = latent_diffusion(), Request(n=2, prompt=PROMPT, seed=3)
    edited = image_to_image(model, PICTURES, dataclasses.replace(request, n=None), strength=1.0, steps=4)
    assert (edited == model.draw(request, steps=4)).all()
    assert (image_to_image(model, PICTURES, strength=0.0) == PICTURES).all()


def test_what_is_known_stays_to_the_bit_and_the_rest_is_drawn():
    mask = np.ones((1, 16, 16, 1), np.float32)
    mask[:, 5:, 7:] = 0
    filled = inpaint(latent_diffusion(), PICTURES, mask, Request(prompt=PROMPT), steps=3, resample=1)
    known = np.broadcast_to(mask == 1, PICTURES.shape)
    assert (filled[known] == PICTURES[known]).all()
    assert abs(filled - PICTURES)[~known].mean() > 0.01


def test_a_latent_is_known_if_all_its_pixels_are():
    mask = np.ones((1, 16, 16, 1))
    mask[0, 5, 7] = 0
    mask[0, 12, 1] = 0.25
    pictures = np.zeros((1, 16, 16, 3))
    small = mask_of_x(mask, pictures, np.zeros((1, 8, 8, 2)))
    expected = np.ones((8, 8))
    expected[2, 3], expected[6, 0] = 0, 0.25
    np.testing.assert_array_equal(small[0, :, :, 0], expected)
    assert mask_of_x(mask, pictures, pictures) is mask
    rows = mask_of_x(mask[:, :, 7:8], pictures, np.zeros((1, 8, 8, 2)))  # a mask that holds for all columns
    np.testing.assert_array_equal(rows[0, :, :, 0], np.repeat(np.arange(8)[:, None] != 2, 8, axis=1))


def test_inversion_and_interpolation_have_the_shapes_of_their_worlds():
    model = latent_diffusion()
    x_T = invert(model, PICTURES, Request(prompt=PROMPT), steps=3)
    assert x_T.shape == (2, 8, 8, 2)
    assert draw_from(model, x_T, Request(prompt=PROMPT), steps=3).shape == PICTURES.shape
    between = interpolate(model, [x_T[:1], x_T[1:]], (PROMPT, SCENES.captions[1]), n=3, steps=2)
    assert between.shape == (3, 16, 16, 3)


def test_it_comes_out_of_a_folder_of_folders_as_it_went_in(tmp_path):
    model, request = latent_diffusion(), Request(n=1, prompt=PROMPT)
    save(tmp_path / "scenes", model)
    assert (tmp_path / "scenes" / "autoencoder" / "config.json").is_file()
    again = load(tmp_path / "scenes", kind=DiffusionModel)
    assert isinstance(again, LatentDiffusion)
    assert (again.draw(request, steps=2) == model.draw(request, steps=2)).all()
    alone = load(tmp_path / "scenes" / "autoencoder")
    assert alone.checksum() == model.autoencoder.checksum()


def test_words_have_maps_over_latents():
    x_t = np.zeros((1, 8, 8, 2), np.float32)
    maps = dict(word_maps(latent_diffusion(), PROMPT, x_t, 20.0))
    assert maps
    assert all(np.asarray(found).shape == (4, 4) for found in maps.values())


def test_parts_that_do_not_fit_are_refused():
    model = latent_diffusion()
    with pytest.raises(InputError, match="autoencoder is missing"):
        dataclasses.replace(model, autoencoder=None)
    with pytest.raises(InputError, match="autoencoder is of type Autoencoder, but a LatentAutoencoder or"):
        dataclasses.replace(model, autoencoder=model.autoencoder.network)
    wider = dataclasses.replace(model.config.unet, in_channels=3)
    config = dataclasses.replace(model.config, unet=wider)
    with pytest.raises(InputError, match=r"draws latents of 3 channels, but the autoencoder's have 2"):
        LatentDiffusion(config.network(), config, tokenizer=model.tokenizer, autoencoder=autoencoder())
