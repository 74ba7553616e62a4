"""Latents are encoded once, kept in parts, and belong to one autoencoder and one data set."""

import numpy as np
import pytest
from latents import SCENES, autoencoder, latents_of

from tinydiff.base import DataError, InputError
from tinydiff.data import LatentData, encode_once, to_floats
from tinydiff.data import latents as module
from tinydiff.data.scenes import DrawnScenes


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(module, "PART", 4)


def test_they_are_the_latents_of_the_pictures_to_half_precision(tmp_path):
    found = latents_of(tmp_path)
    expected = autoencoder().encode(to_floats(SCENES.pictures(range(6))))
    assert found.latents.dtype == np.float16
    np.testing.assert_allclose(found.latents, expected, rtol=1e-3, atol=1e-3)
    assert found.captions == SCENES.captions
    assert found.shape == (8, 8, 2)
    assert len(found) == 6
    batch, labels = found.batch([4, 1])
    assert batch.dtype == np.float32
    assert (batch == found.latents[[4, 1]]).all()
    assert (labels == SCENES.batch([4, 1])[1]).all()


def test_nothing_is_encoded_twice_and_a_stopped_encoding_goes_on(tmp_path):
    encoded = []

    def encode(pictures):
        encoded.append(len(pictures))
        if encoded == [4, 2]:
            raise KeyboardInterrupt
        return autoencoder().encode(pictures)

    with pytest.raises(KeyboardInterrupt):
        encode_once(SCENES, encode, "abc", tmp_path)
    steps = []
    once = encode_once(SCENES, encode, "abc", tmp_path, lambda part, parts: steps.append((part, parts)))
    again = encode_once(SCENES, encode, "abc", tmp_path)
    assert encoded == [4, 2, 2]
    assert steps == [(1, 2), (2, 2)]
    assert (once.latents == again.latents).all()
    assert once.identity() == again.identity()


def test_latents_of_another_autoencoder_or_of_other_pictures_are_refused(tmp_path):
    latents_of(tmp_path)
    with pytest.raises(DataError, match=r"holds latents of another autoencoder than asked for .*: delete the folder"):
        latents_of(tmp_path, model=autoencoder(1))
    with pytest.raises(DataError, match="holds latents of other pictures than asked for"):
        latents_of(tmp_path, DrawnScenes("train", 6, 16, seed=1))
    (tmp_path / "0000000.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="cannot be read"):
        latents_of(tmp_path)


def test_what_decides_them_is_known(tmp_path):
    found = latents_of(tmp_path)
    assert found.autoencoder == autoencoder().checksum()
    assert found.identity() != found.take(slice(0, 5)).identity()
    assert found.take(slice(0, 5)).captions == SCENES.captions[:5]


def test_what_does_not_fit_is_refused(tmp_path):
    found = latents_of(tmp_path)
    with pytest.raises(InputError, match="indices run from 6 to 6, but there are 6 pictures"):
        found.batch([6])
    with pytest.raises(InputError, match="latents cannot be mirrored"):
        found.batch([1], flip=np.array([True]))
    with pytest.raises(InputError, match="latents has dtype float32, but float16"):
        LatentData(found.latents.astype(np.float32), found.labels, None, "x", "abc")
    with pytest.raises(InputError, match="labels holds 5, but there are latents of 6 pictures"):
        LatentData(found.latents, found.labels[:5], None, "x", "abc")
