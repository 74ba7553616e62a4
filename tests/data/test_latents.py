"""Latents are encoded once, kept in parts, and belong to one autoencoder and one data set."""

import os
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from latents import SCENES, autoencoder, latents_of

from tinydiff.base import DataError, InputError
from tinydiff.data import LatentData, encode_once, to_floats
from tinydiff.data import latents as module
from tinydiff.data.scenes import DrawnScenes
from tinydiff.workers import can_fork


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


@pytest.mark.skipif(not can_fork(), reason="processes are forked on Linux only")
def test_in_processes_they_are_the_same_and_an_error_is_that_of_the_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 2)
    once = latents_of(tmp_path / "one")
    model = replace(autoencoder(), threads=1)
    again = encode_once(SCENES, model.encode, model.checksum(), tmp_path / "three", processes=3)
    assert (once.latents == again.latents).all()
    assert (once.labels == again.labels).all()

    def encode(pictures):
        raise InputError("that is no picture")

    with pytest.raises(InputError, match="that is no picture"):
        encode_once(SCENES, encode, "abc", tmp_path / "none", processes=2)
    monkeypatch.setattr(module, "can_fork", lambda: False)
    with pytest.raises(InputError, match="processes is 2, but they can be forked on Linux only: give 1"):
        encode_once(SCENES, encode, "abc", tmp_path / "none", processes=2)


def test_latents_of_another_autoencoder_or_of_other_pictures_are_refused(tmp_path):
    latents_of(tmp_path)
    with pytest.raises(DataError, match=r"holds latents of another autoencoder than asked for .*: delete the folder"):
        latents_of(tmp_path, model=autoencoder(1))
    with pytest.raises(DataError, match="holds latents of other pictures than those asked for"):
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
    with pytest.raises(InputError, match="labels has dtype float64, but whole numbers"):
        LatentData(found.latents, found.labels * 1.0, None, "x", "abc")
    with pytest.raises(InputError, match="latents is of type MaskedArray, but a plain NumPy array"):
        LatentData(np.ma.MaskedArray(found.latents), found.labels, None, "x", "abc")
    with pytest.raises(InputError, match="latents has 3 axes"):
        LatentData(found.latents[0], found.labels, None, "x", "abc")
    for indices in ([6], "a", None, [[0]], [0.5]):
        with pytest.raises(InputError, match="indices"):
            found.take(indices)


def test_captions_are_one_text_for_each_picture(tmp_path):
    found = latents_of(tmp_path)
    for captions, sentence in (
        (("a", "b"), "captions holds 2, but there are latents of 6 pictures"),
        ("abcdef", "captions is 'abcdef', but a tuple or None was expected"),
        ((1, 2, 3, 4, 5, 6), "captions.0. is 1, but a text was expected"),
        (("a", None, "c", "d", "e", "f"), "captions.1. is None, but a text was expected"),
    ):
        with pytest.raises(InputError, match=sentence):
            LatentData(found.latents, found.labels, captions, "x", "abc")


def test_some_are_chosen_by_indices_by_a_mask_or_by_a_slice(tmp_path):
    found = latents_of(tmp_path)
    for chosen in ([1, 3], np.array([False, True, False, True, False, False]), slice(1, 5, 2)):
        some = found.take(chosen)
        assert (some.latents == found.latents[[1, 3]]).all()
        assert (some.labels == found.labels[[1, 3]]).all()
        assert some.captions == (SCENES.captions[1], SCENES.captions[3])
        assert (some.name, some.autoencoder, some.source) == (found.name, found.autoencoder, found.source)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_encoded(tmp_path):
    def encode(pictures):
        raise AssertionError

    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="is a file, not a folder"):
            encode_once(SCENES, encode, "abc", folder)
    with pytest.raises(InputError, match="is no path"):
        encode_once(SCENES, encode, "abc", "a\0b")
    with pytest.raises(InputError, match="data is None, but a Dataset or a DrawnScenes was expected"):
        encode_once(None, encode, "abc", tmp_path)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read_will_do_if_it_holds_all_parts(tmp_path):
    found = latents_of(tmp_path)
    tmp_path.chmod(0o500)
    assert (latents_of(tmp_path).latents == found.latents).all()
    tmp_path.chmod(0o700)
    (tmp_path / "0000004.safetensors").unlink()
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="is not writable"):
        latents_of(tmp_path)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("encode", "sentence"),
    [
        (lambda x: None, "encode.pictures. is of type NoneType, but an array was expected"),
        (lambda x: x[:1], r"encode.pictures. has shape \(1, 16, 16, 3\), but \(4, any, any, any\) was expected"),
        (lambda x: x[0], "encode.pictures. has shape"),
        (lambda x: x[:, :0], "encode returned latents of shape .* no axis may have size 0"),
        (lambda x: x * np.nan, "encode returned numbers that are not finite"),
        (lambda x: x * 1e6, "too large for half precision"),
        (lambda x: x.astype(str), "but an array of numbers was expected"),
        (lambda x: np.ma.MaskedArray(x), "is a masked array"),
    ],
)
def test_what_is_no_latents_is_not_kept(tmp_path, encode, sentence):
    with pytest.raises(InputError, match=sentence):
        encode_once(SCENES, encode, "abc", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_damaged_is_refused(tmp_path):
    latents_of(tmp_path)
    part = tmp_path / "0000000.safetensors"
    whole = part.read_bytes()
    arrays = safetensors.numpy.load(whole)
    with safetensors.safe_open(part, framework="np") as file:
        about = file.metadata()

    def damaged(**changes):
        return safetensors.numpy.save({**arrays, **changes}, metadata=about)

    latents, labels = arrays["latents"], arrays["labels"]
    for written, sentence in (
        (whole[:-9], "cannot be read"),
        (b"", "cannot be read"),
        ((tmp_path / "0000004.safetensors").read_bytes(), "does not hold latents and labels of 4 pictures"),
        (damaged(latents=latents.astype(np.float32)), "does not hold latents"),
        (damaged(latents=latents * np.float16(np.nan)), "does not hold latents"),
        (damaged(labels=labels[:2]), "does not hold latents"),
        (
            damaged(latents=latents[:, :4].copy()),
            r"0000004.* holds latents of \(8, 8, 2\), but .*0000000.* \(4, 8, 2\)",
        ),
    ):
        part.write_bytes(written)
        with pytest.raises(DataError, match=sentence):
            latents_of(tmp_path)
    part.write_bytes(whole)
    assert (latents_of(tmp_path).latents[:4] == latents).all()


def test_parts_of_another_size_are_refused(tmp_path, monkeypatch):
    latents_of(tmp_path)
    for size in (2, 5, 6):
        monkeypatch.setattr(module, "PART", size)
        with pytest.raises(DataError, match=f"does not hold latents and labels of {size} pictures: delete the folder"):
            latents_of(tmp_path)


def test_more_of_the_same_pictures_need_only_what_is_new(tmp_path):
    encoded = []

    def encode(pictures):
        encoded.append(len(pictures))
        return autoencoder().encode(pictures)

    few = encode_once(DrawnScenes("train", 4, 16), encode, "abc", tmp_path)
    more = encode_once(DrawnScenes("train", 8, 16), encode, "abc", tmp_path)
    assert encoded == [4, 4]
    assert (more.latents[:4] == few.latents).all()
