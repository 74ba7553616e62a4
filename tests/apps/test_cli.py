"""The command line: what it leaves, what it says, and its exit status."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import typing
from dataclasses import replace

import numpy as np
import pooch
import pytest
from PIL import Image

import tinydiff
from tinydiff.apps.cli import main
from tinydiff.apps.cli.options import SamplerName
from tinydiff.apps.cli.toml import read_toml
from tinydiff.apps.cli.train import Train
from tinydiff.data import fetch
from tinydiff.models import SAMPLERS, DiffusionModel, load_model
from tinydiff.train import Run

TINY = [
    "--data", "digits", "--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2",
    "--unet.blocks-per-level", "1", "--unet.num-classes", "10", "--train.batch", "8", "--train.micro-batch", "4",
    "--train.validation-images", "16",
]  # fmt: skip


def train(out, *more, steps=4):
    return main(["train", *TINY, "--train.steps", str(steps), "--out", str(out), *more])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert train(folder) == 0
    return folder


def fails(capsys, arguments, status, *words):
    """Run a command that must fail with one sentence, without a traceback."""
    try:
        code = main(arguments)
    except SystemExit as stop:  # arguments that do not parse
        code = stop.code
    error = capsys.readouterr().err
    assert code == status, error
    assert "Traceback" not in error
    assert error.strip()
    for word in words:
        assert word in error, error


def test_a_run_leaves_weights_a_log_and_its_resolved_configuration(trained):
    names = {p.name for p in trained.iterdir()}
    assert {"model.safetensors", "config.json", "run.json", "log.jsonl", "loss.png", "best"} <= names
    run = json.loads((trained / "run.json").read_text())
    assert run["unet"]["channel_mult"] == [1, 2]
    assert run["train"]["steps"] == 4
    assert run["T"] == 1000


TINY_TEXT = [
    "avatars", "--images", "24", "--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2",
    "--unet.attention-levels", "1", "--unet.heads", "2", "--text.layers", "1", "--text.channels", "8",
    "--text.heads", "2", "--train.steps", "2", "--train.batch", "8", "--train.validation-images", "16",
]  # fmt: skip


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "avatars"
    assert main(["train", *TINY_TEXT, "--out", str(folder)]) == 0
    return folder


def test_the_recipe_for_avatars_learns_from_captions_and_draws_from_a_prompt(portraits, tmp_path, capsys):
    config = load_model(portraits).config
    assert config.text is not None
    assert config.unet.context_channels == config.text.channels == 8
    request = ["sample", "--model", str(portraits), "--n", "2", "--steps", "2", "--prompt", "a person with\nred hair"]
    assert main([*request, "--negative", "a hat", "--guidance", "2.5", "--out", str(tmp_path / "a")]) == 0
    assert main([*request, "--out", str(tmp_path / "b")]) == 0
    pixels = [np.asarray(Image.open(tmp_path / name / "grid.png")) for name in "ab"]
    assert pixels[0].shape != pixels[1].shape or (pixels[0] != pixels[1]).any()
    assert main([*request[:-1], "red \udcff hair", "--out", str(tmp_path / "c")]) == 0  # a byte that is no text
    fails(capsys, [*request[:3], "--label", "1"], 2, "draws from text")
    fails(capsys, [*request, "--guidance", "nan"], 2, "guidance is nan")
    fails(capsys, [*request, "--interval", "9", "3"], 2, "interval is (9.0, 3.0)")
    fails(capsys, ["sample", "--model", "mnist", "--prompt", "a seven"], 2, "does not read text")


def test_a_classifier_pulls_what_is_drawn(trained, tmp_path, capsys):
    request = ["sample", "--n", "1", "--label", "3", "--steps", "2", "--classifier", "mnist-noisy-classifier"]
    for scale in ("0", "8"):
        assert main([*request, "--guidance", scale, "--out", str(tmp_path / scale)]) == 0
    assert main([*request, "--guidance", "8", "--interval", "0", "500", "--out", str(tmp_path / "late")]) == 0
    nothing, pulled, late = (np.asarray(Image.open(tmp_path / name / "grid.png")) for name in ("0", "8", "late"))
    assert (nothing != pulled).any()
    assert (late != pulled).any()
    fails(capsys, [*request, "--rescale", "0.5"], 2, "rescale is 0.5, but with a classifier")
    fails(capsys, [*request, "--negative", "a one"], 2, "negative is 'a one', but with a classifier")
    fails(capsys, [*request, "--label", "10"], 2, "the classifier knows 0 to 9 alone")
    fails(capsys, [*request, "--model", str(trained)], 2, "(any, 28, 28, 1) was expected")
    fails(capsys, [*request[:-1], "mnist-classifier-28"], 1, "does not describe a noisy classifier")


def test_one_picture_is_computed_by_itself_and_several_as_the_model_says(portraits, tmp_path, monkeypatch, capsys):
    taken, chain = [], DiffusionModel.chain

    def watched(model, n, *arguments, **options):
        taken.append((n, model.micro_batch))
        return chain(model, n, *arguments, **options)

    monkeypatch.setattr(DiffusionModel, "chain", watched)
    request = ["sample", "--model", str(portraits), "--steps", "2", "--prompt", "red hair", "--out", str(tmp_path)]
    for options in (["--n", "1"], ["--n", "2"], ["--n", "2", "--micro-batch", "4"], ["--n", "1", "--micro-batch", "4"]):
        assert main([*request, *options]) == 0
    own = load_model(portraits).micro_batch
    assert taken == [(1, 1), (2, own), (2, 4), (1, 4)]
    fails(capsys, [*request, "--micro-batch", "0"], 2, "micro_batch is 0")


def test_training_goes_on_from_a_model_that_reads_text(portraits, tmp_path):
    options = ["--data", "avatars", "--images", "24", "--train.steps", "1", "--train.batch", "8"]
    start = ["--start-from", str(portraits), "--train.validation-images", "16"]
    assert main(["train", *options, *start, "--out", str(tmp_path)]) == 0
    assert load_model(tmp_path).config == load_model(portraits).config


def test_a_recipe_may_go_on_from_a_model_of_its_own_shape_and_of_no_other(portraits, tmp_path, capsys):
    options = ["train", "avatars", "--images", "8", "--train.steps", "1", "--train.batch", "4"]
    options += ["--train.validation-images", "4", "--out", str(tmp_path)]
    assert main([*options, "--start-from", "avatars"]) == 0
    assert load_model(tmp_path).config == load_model("avatars").config
    fails(capsys, [*options, "--start-from", str(portraits)], 2, "unet was given with start_from")


def test_a_picture_is_edited_as_a_whole_or_in_part(portraits, tmp_path, capsys):
    picture, mask = tmp_path / "in.png", tmp_path / "mask.png"
    Image.new("RGB", (8, 8), (200, 30, 90)).save(picture)
    half = np.zeros((8, 8), np.uint8)
    half[4:] = 255
    Image.fromarray(half).save(mask)
    request = ["edit", "--model", str(portraits), "--image", str(picture), "--n", "2", "--steps", "2"]
    request += ["--prompt", "a person with red hair", "--out", str(tmp_path)]
    assert main(request) == 0
    assert main([*request, "--mask", str(mask), "--resample", "2"]) == 0
    assert main([*request, "--prompt", "red \udcff hair"]) == 0  # a byte that is no text
    assert "Edited" in capsys.readouterr().out
    with Image.open(tmp_path / "edited.png") as drawn:
        assert drawn.width > 100

    fails(capsys, [*request, "--strength", "1.5"], 2, "strength is 1.5")
    fails(capsys, [*request, "--n", "0"], 2, "n is 0")
    bad = tmp_path / "bad.png"
    for shape, value, mode, words in [
        ((9, 8), 0, "RGB", "images has shape (1, 8, 9, 3), but (any, 8, 8, 3)"),
        ((8, 8), 0, "RGBA", "has the mode RGBA"),
        ((8, 8), 0, "P", "has the mode P"),
    ]:
        Image.new(mode, shape, value).save(bad)
        fails(capsys, [*request, "--image", str(bad)], 2, words)
    for shape, value, words in [
        ((9, 8), 0, "mask has shape (1, 8, 9, 1), but (1, 8, 8, 1)"),
        ((1, 1), 0, "mask has shape (1, 1, 1, 1)"),
        ((1, 8), 255, "mask has shape (1, 8, 1, 1)"),
        ((8, 8), 7, "holds the level 7"),
        ((8, 8), (255, 0, 0), "holds the colour (255, 0, 0)"),
    ]:
        Image.new("L" if isinstance(value, int) else "RGB", shape, value).save(bad)
        fails(capsys, [*request, "--mask", str(bad)], 2, words)
    fails(capsys, [*request, "--steps", "1", "--strength", "0.9"], 2, "take more steps or a larger strength")
    bad.write_bytes(picture.read_bytes()[:40])
    fails(capsys, [*request, "--image", str(bad)], 1, "cannot be read as a picture")
    fails(capsys, [*request, "--image", str(tmp_path / "none.png")], 1, "cannot be read as a picture")


def test_a_model_can_be_trained_to_fill_in_and_then_does(tmp_path, capsys):
    assert train(tmp_path, "--unet.image-channels", "2", steps=1) == 0
    picture, mask = tmp_path / "in.png", tmp_path / "mask.png"
    Image.new("L", (8, 8), 130).save(picture)
    Image.new("L", (8, 8), 255).save(mask)
    request = ["edit", "--model", str(tmp_path), "--image", str(picture), "--mask", str(mask), "--label", "3"]
    request += ["--n", "2", "--steps", "2", "--out", str(tmp_path)]
    assert main([*request, "--sampler", "dpmpp_2m"]) == 0
    fails(
        capsys, ["train", *TINY, "--unet.image-channels", "1", "--out", str(tmp_path / "b")], 2, "image_channels is 1"
    )


def test_a_model_without_a_condition_edits_without_guidance(tmp_path, capsys):
    """The kind of model that plain `tinydiff train` makes."""
    assert main(["train", *without_classes(TINY), "--train.steps", "1", "--out", str(tmp_path)]) == 0
    assert load_model(tmp_path).config.unet.num_classes is None
    picture, mask = tmp_path / "in.png", tmp_path / "mask.png"
    Image.new("L", (8, 8), 130).save(picture)
    Image.new("L", (8, 8), 255).save(mask)
    request = ["edit", "--model", str(tmp_path), "--image", str(picture), "--n", "1", "--steps", "3"]
    request += ["--out", str(tmp_path)]
    assert main(request) == 0
    assert main([*request, "--mask", str(mask), "--resample", "1"]) == 0
    fails(capsys, [*request, "--guidance", "2"], 2, "guidance is 2.0, but this model was trained without a condition")


def without_classes(options):
    i = options.index("--unet.num-classes")
    return options[:i] + options[i + 2 :]


@pytest.mark.parametrize("masked", [False, True])
def test_guidance_is_2_where_there_is_something_to_follow(trained, portraits, tmp_path, monkeypatch, masked):
    taken, chain = [], DiffusionModel.chain

    def watched(model, n, *arguments, **options):
        taken.append((options["guidance"], options.get("labels")))
        return chain(model, n, *arguments, **options)

    monkeypatch.setattr(DiffusionModel, "chain", watched)
    picture, mask = tmp_path / "in.png", tmp_path / "mask.png"
    Image.new("L", (8, 8), 130).save(picture)
    Image.new("L", (8, 8), 255).save(mask)
    request = ["edit", "--image", str(picture), "--n", "1", "--steps", "2", "--resample", "1", "--out", str(tmp_path)]
    request += ["--mask", str(mask)] if masked else []
    assert main([*request, "--model", str(portraits)]) == 0
    assert main([*request, "--model", str(trained)]) == 0
    assert main([*request, "--model", str(trained), "--label", "3", "--guidance", "0"]) == 0
    assert taken == [(2, None), (2, 10), (0, 3)]  # 10 is no class


def test_captions_that_do_not_exist_are_refused(tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    fails(capsys, ["train", *TINY, "--captions", *out], 2, "captions was given, but digits has none")
    fails(capsys, ["train", *TINY, "--images", "9", *out], 2, "images is 9, but only avatars")
    fails(capsys, ["train", *TINY_TEXT, "--text.vocabulary", "9", *out], 2, "vocabulary is 9, but 514 or more")
    assert not (tmp_path / "run").exists()


def test_the_same_command_goes_on_and_other_options_are_refused(tmp_path, capsys):
    assert train(tmp_path) == 0
    assert train(tmp_path) == 0
    assert "Going on from step 4" in capsys.readouterr().out
    fails(capsys, ["train", *TINY, "--train.steps", "9", "--out", str(tmp_path)], 2, "steps = 4, but steps = 9")


def test_the_same_command_goes_on_from_a_checkpoint_to_the_same_weights(trained, tmp_path, capsys):
    """The process dies after its first checkpoint and in the middle of a line of the log."""
    options = ["--train.save-every", "2", "--train.log-every", "1"]
    assert train(tmp_path / "whole", *options) == 0
    assert train(tmp_path / "cut", *options) == 0
    (tmp_path / "cut" / "step-00000004.safetensors").unlink()
    (tmp_path / "cut" / "model.safetensors").unlink()
    log = tmp_path / "cut" / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 5, "lo')
    capsys.readouterr()
    assert train(tmp_path / "cut", *options) == 0
    assert "Going on from step 2" in capsys.readouterr().out
    a, b = load_model(tmp_path / "whole").network.theta, load_model(tmp_path / "cut").network.theta
    np.testing.assert_array_equal(a, b)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [r["step"] for r in records if "loss" in r] == [1, 2, 3, 4]


def test_the_pictures_and_the_weights_do_not_depend_on_the_number_of_threads(trained, tmp_path):
    assert train(tmp_path, "--threads", "3") == 0
    np.testing.assert_array_equal(load_model(trained).network.theta, load_model(tmp_path).network.theta)


def test_ctrl_c_exits_with_130_and_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    step = Run.train_step

    def pressed(self):
        record = step(self)
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return record

    monkeypatch.setattr(Run, "train_step", pressed)
    assert train(tmp_path) == 130
    captured = capsys.readouterr()
    assert "Stopped after step 2; saved up to step 2. To go on: tinydiff" in captured.out
    assert "Traceback" not in captured.err
    assert (tmp_path / "step-00000002.safetensors").exists()


def test_a_toml_file_can_hold_a_run(tmp_path):
    toml = tmp_path / "run.toml"
    toml.write_text(
        f'data = "digits"\nout = "{(tmp_path / "run").as_posix()}"\n[unet]\nimage_size = 8\nchannels = 8\n'
        "channel_mult = [1, 2]\nblocks_per_level = 1\nheads = 2\n[train]\nsteps = 2\nbatch = 4\nmicro_batch = 4\n"
    )
    assert main(["train", "--config", str(toml), "--train.steps", "3"]) == 0
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["train"]["steps"] == 3
    assert run["unet"]["heads"] == 2
    assert load_model(tmp_path / "run").config.unet.num_classes is None
    assert load_model(tmp_path / "run").config.unet.channel_mult == (1, 2)


def test_a_value_of_the_command_line_may_be_called_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text("[train]\nsteps = 1\n")
    assert main(["train", "--config=run.toml", *TINY, "--out", "train"]) == 0
    assert load_model(tmp_path / "train").config.unet.image_size == 8


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nonsense = 1", "option 'nonsense'"),
        ("[train]\nsteps = 0", "steps is 0"),
        ("= =", "TOML"),
        ("[train]\nnonsense = 1", "[train] has an option 'nonsense'"),
        ('[train]\nsteps = "many"', "[train]: steps is 'many', but int was expected"),
        ("[train]\nsteps = 2.5", "steps is 2.5, but int"),
        ("[train]\nlr = true", "lr is True, but float"),
        ("[train]\nbetas = [0.9]", "betas is [0.9], but tuple[float, float]"),
        ("[train]\nseed = -1", "seed is -1"),
        ("[train]\nvalidation_images = 0", "validation_images is 0"),
        ("[unet]\nchannel_mult = 3", "channel_mult is 3, but tuple[int, ...]"),
        ('schedule = "mine"', "schedule is 'mine', but Literal['cosine', 'linear']"),
        ("out = 3", "out is 3"),
        ('threads = "all"', "threads is 'all', but int | None"),
        ("train = 3", "a table"),
        ("[kind]\nv = 1", "a value"),
        ("unet = 3", "a table"),
    ],
)
def test_a_bad_toml_file_is_one_sentence(tmp_path, capsys, text, word):
    (tmp_path / "run.toml").write_text(text)
    fails(capsys, ["train", "--config", str(tmp_path / "run.toml")], 2, word)


def test_a_missing_toml_file_is_one_sentence(tmp_path, capsys):
    fails(capsys, ["train", "--config", "no/such.toml"], 2, "no/such.toml cannot be read")
    fails(capsys, ["train", "--config", str(tmp_path)], 2, "cannot be read")
    fails(capsys, ["train", "--config"], 2, "cannot be read")
    (tmp_path / "latin.toml").write_bytes(b"data = '\xff'")
    fails(capsys, ["train", "--config", str(tmp_path / "latin.toml")], 2, "cannot be read as TOML")


def test_fine_tuning_starts_from_given_weights_and_takes_the_shape_of_the_model(trained, tmp_path, capsys):
    """Images are resized for it, and run.json says what it is."""
    options = ["--data", "digits", "--train.steps", "1", "--train.batch", "4", "--train.validation-images", "4"]
    options += ["--train.lr", "1e-9", "--start-from", str(trained), "--out", str(tmp_path)]
    assert main(["train", *options]) == 0
    before, after = load_model(trained), load_model(tmp_path)
    np.testing.assert_allclose(before.network.theta, after.network.theta, atol=1e-6)
    assert before.config == after.config
    assert json.loads((tmp_path / "run.json").read_text())["unet"]["image_size"] == 8
    fails(capsys, ["train", *options, "--kind", "eps"], 2, "kind was given with start_from")


def test_a_model_folder_named_like_a_shipped_model_is_named_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train("mnist", steps=1) == 0
    assert f"tinydiff sample --model {tmp_path / 'mnist'}" in capsys.readouterr().out


def test_a_second_ctrl_c_does_not_claim_to_have_saved(tmp_path, capsys, monkeypatch):
    step = Run.train_step

    def pressed_twice(self):
        step(self)
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Run, "train_step", pressed_twice)
    assert train(tmp_path, "--train.log-every", "3") == 130
    assert "Stopped after step 2; saved up to step 0" in capsys.readouterr().out


def test_a_toml_table_has_the_defaults_of_the_command_line(tmp_path):
    (tmp_path / "run.toml").write_text("[unet]\nnum_classes = 10\n")
    assert read_toml(Train, tmp_path / "run.toml").unet == replace(Train().unet, num_classes=10)


def test_the_demo_deletes_nothing_and_refuses_bad_arguments_at_once(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    fails(capsys, ["demo", "--steps", "0", "--out", str(tmp_path)], 2, "steps is 0")
    assert [p.name for p in tmp_path.rglob("*")] == ["run", "thesis.txt"]


@pytest.mark.skipif(os.name == "nt", reason="pipes differ")
def test_a_closed_pipe_is_no_error_for_info_but_for_training(tmp_path):
    for command, status in (
        (["info"], 0),
        (["train", "--help"], 0),
        (["train", *TINY, "--train.steps", "1", "--out", str(tmp_path)], 1),
    ):
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tinydiff", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.stdout.close()
        assert process.wait() == status
        assert b"Traceback" not in process.stderr.read()
        process.stderr.close()


def test_one_can_train_on_a_folder_of_images(trained, tmp_path, capsys):
    for label in ("a", "b"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for i in range(20):
            Image.new("L", (10, 12), 10 * i).save(tmp_path / "images" / label / f"{i}.png")
    assert train(tmp_path / "run", "--data", str(tmp_path / "images"), steps=1) == 0
    printed = capsys.readouterr().out
    assert "38 images 8 x 8 x 1" in printed
    assert "2 images 8 x 8 x 1" in printed
    (tmp_path / "one").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "one" / "a.png")
    fails(capsys, ["train", *TINY, "--data", str(tmp_path / "one"), "--out", str(tmp_path / "x")], 2, "one image")
    (tmp_path / "empty").mkdir()
    fails(capsys, ["train", *TINY, "--data", str(tmp_path / "empty")], 1, "holds no images")


def test_the_name_of_a_data_set_is_not_taken_for_a_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert train("run", steps=1) == 0
    assert "1,497 images" in capsys.readouterr().out


def test_the_command_line_knows_every_sampler():
    assert typing.get_args(SamplerName) == SAMPLERS


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sample_writes_a_grid_and_a_film(trained, tmp_path, sampler, capsys):
    arguments = ["sample", "--model", str(trained), "--n", "3", "--steps", "2", "--sampler", sampler]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    with Image.open(tmp_path / "grid.png") as grid, Image.open(tmp_path / "chain.gif") as film:
        assert grid.size[0] > 24
        assert film.n_frames >= 2
    assert "Drew 3 images" in capsys.readouterr().out


def test_the_same_seed_draws_the_same_pictures(trained, tmp_path):
    def draw(name, *more):
        arguments = ["sample", "--model", str(trained), "--n", "2", "--steps", "2", "--label", "3", *more]
        assert main([*arguments, "--out", str(tmp_path / name)]) == 0
        with Image.open(tmp_path / name / "grid.png") as grid:
            picture = np.asarray(grid.convert("L"))
        return picture[picture.shape[0] // 2 :]  # without the title, which names the seed

    np.testing.assert_array_equal(draw("a"), draw("b"))
    assert not np.array_equal(draw("a"), draw("c", "--seed", "1"))


def test_evaluate_prints_samples_beside_real_images(trained, tmp_path, capsys, monkeypatch):
    from tinydiff.evaluate import samples
    from tinydiff.networks import Classifier, ClassifierConfig

    monkeypatch.setattr(samples, "load_classifier", lambda name: Classifier(ClassifierConfig(8, channels=(4,))))
    arguments = ["evaluate", "--model", str(trained), "--data", "digits", "--n", "30", "--steps", "2"]
    arguments += ["--classifier", "stand-in"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "Fréchet distance to 30 test images" in text
    assert "test loss (v) by timestep" in text
    assert {p.name for p in tmp_path.iterdir()} == {"samples.png", "nearest.png", "loss_by_timestep.png"}
    fails(capsys, ["evaluate", "--model", str(trained)], 2, "No classifier of digits ships", "of 8 x 8", "--classifier")


def test_info_prints_versions_models_and_data(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in (
        f"tinydiff {tinydiff.__version__}",
        f"NumPy {np.__version__}",
        "GPU",
        "mnist-classifier-28",
        "mnist-small, train: 6,000 images",
    ):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["sample", "--model", "nope"], "There is no model 'nope'. Shipped with tinydiff: "),
        (["sample", "--sampler", "mine"], "sampler"),
        (["fly"], "fly"),
        ([], "demo, train, sample, evaluate, edit, serve, info"),
        (["sample", "--colour", "red"], "--colour"),
        (["sample", "--n", "many"], "--n"),
        (["sample", "--device", "tpu"], "tpu"),
        (["train", "--start-from", "nope"], "There is no model 'nope'"),
        (["train", "--train.seed", "-1"], "seed is -1"),
        (["train", *TINY, "--threads", "0"], "threads is 0"),
        (["train", *TINY, "--T", "0"], "T is 0"),
        (["train", *TINY, "--unet.heads", "3"], "heads = 3"),
        (["train", *TINY, "--unet.num-classes", "3"], "labels up to 9, but the model's num_classes is 3"),
        (["train", "--data", "cifar"], "name is 'cifar'"),
        (["train", "--train.lr", "-1"], "lr is -1"),
        (["train", "--unet.image-size", "9"], "image_size = 9"),
    ],
)
def test_bad_arguments_exit_with_2(capsys, arguments, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for runs/mine
    fails(capsys, arguments, 2, word)


def test_bad_numbers_for_sampling_exit_with_2(trained, capsys):
    base = ["sample", "--model", str(trained)]
    fails(capsys, [*base, "--n", "0"], 2, "n is 0")
    fails(capsys, [*base, "--steps", "2000"], 2, "number of steps is 2000")
    fails(capsys, [*base, "--label", "11", "--n", "1"], 2, "11")
    fails(capsys, [*base, "--seed", "-1"], 2, "seed is -1")


def test_missing_data_exits_with_1(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("TINYDIFF_DATA", raising=False)
    monkeypatch.setattr(fetch, "cache_folder", lambda name: tmp_path)
    monkeypatch.setattr(fetch, "MIRRORS", {"mnist": ()})
    fails(capsys, ["train", "--data", "mnist", "--out", str(tmp_path)], 1, "TINYDIFF_DATA", "mnist-small")


def test_without_a_network_missing_data_exits_with_1_and_leaves_nothing(capsys, monkeypatch, tmp_path):
    def offline(self, url, output_file, *_, **__):
        raise OSError("no route to host")

    monkeypatch.delenv("TINYDIFF_DATA", raising=False)
    monkeypatch.setattr(fetch, "cache_folder", lambda name: tmp_path / "cache")
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", offline)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "pooch")
    fails(capsys, ["train", "--data", "mnist", "--out", str(tmp_path / "out")], 1, "no route to host", "TINYDIFF_DATA")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_damaged_weights_exit_with_1(trained, tmp_path, capsys, damage):
    shutil.copytree(trained, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    data = weights.read_bytes()
    weights.unlink()
    if damage == "truncated":
        weights.write_bytes(data[: len(data) // 2])
    fails(capsys, ["sample", "--model", str(tmp_path / "model"), "--n", "1"], 1, "model.safetensors")


def test_a_model_of_the_wrong_sort_exits_with_1(trained, capsys):
    fails(capsys, ["sample", "--model", "mnist-classifier-28"], 1, "does not describe a diffusion model")
    arguments = ["evaluate", "--model", str(trained), "--classifier", "mnist", "--data", "digits", "--n", "4"]
    fails(capsys, [*arguments, "--steps", "1"], 1, "does not describe a classifier")


def test_an_unwritable_folder_is_one_sentence(trained, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    out = str(tmp_path / "file" / "below")
    fails(capsys, ["sample", "--model", str(trained), "--n", "1", "--steps", "1", "--out", out], 2, "cannot be written")
    fails(capsys, ["train", *TINY, "--out", out], 2, "cannot be written", "Choose another folder")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_is_one_sentence_and_leaves_no_partial_file(tmp_path, capsys, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    fails(capsys, ["train", *TINY, "--out", str(tmp_path)], 1, "the disk is full")
    assert list(tmp_path.iterdir()) == []


def test_without_cupy_cuda_is_refused_with_what_to_install(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    from tinydiff.base import arrays as backend

    backend._probe_gpu.cache_clear()
    arguments = ["sample", "--model", str(trained), "--device", "cuda"]
    fails(capsys, arguments, 1, "CuPy cannot be imported", 'pip install "cupy-cuda13x[ctk]"', "--device cpu")
    assert main(arguments) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*arguments[:-1], "auto", "--n", "1", "--steps", "1", "--out", str(tmp_path)]) == 0
    assert "on CPU" in capsys.readouterr().out
