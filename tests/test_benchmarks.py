"""The benchmark's own arithmetic, and what it says to bad arguments."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_folders import make

from tinydiff.models import save

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_own_time_is_without_that_of_the_calls_inside(monkeypatch):
    import where

    now = [0.0]
    monkeypatch.setattr(where.time, "perf_counter", lambda: now[0])
    clock = where.OwnTime()

    def inner(seconds):
        now[0] += seconds

    inner = clock.measure("inner", inner)

    def outer():
        now[0] += 1.0
        inner(2.0)
        inner(4.0)
        now[0] += 8.0

    clock.measure("outer", outer)()
    assert dict(clock.seconds) == {"inner": 6.0, "outer": 9.0}


def test_the_slope_of_a_power_is_its_exponent():
    import growth

    assert growth.slope([1, 4, 16], [5.0, 7.0, 7.0 * 4**1.5]) == pytest.approx(1.5)


def test_own_times_of_a_network_add_up_to_the_step():
    import where

    unet = {"image_size": 8, "in_channels": 1, "channels": 16, "channel_mult": [1, 2], "blocks_per_level": 1}
    seconds, whole = where.own_times({"unet": unet | {"attention_levels": [1]}, "batch": 4}, steps=1)
    assert set(seconds) >= {"Conv2d", "Linear", "GroupNormSiLU", "SelfAttention", "ResBlock", "UNet", "AdamW"}
    assert 0 < sum(seconds.values()) <= whole


def test_our_side_takes_a_train_step_and_draws():
    import sides

    unet = {"image_size": 8, "in_channels": 1, "channels": 8, "channel_mult": [1, 2], "blocks_per_level": 1}
    ours = sides.Tinydiff({"unet": unet}, batch=4, threads=1)
    before = ours.network.theta.copy()
    ours.train_step()
    assert (ours.network.theta != before).any()
    *_, (t, x_0, _) = ours.chain(2, steps=2)
    assert t == 0
    assert x_0.shape == (2, 8, 8, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--config", "d"], "--config is 'd', but one of a, b1, b2, c"), (["--rounds", "0"], "--rounds is 0")],
)
def test_bad_arguments_are_refused_with_status_2(arguments, message):
    done = subprocess.run([sys.executable, BENCHMARKS / "bench.py", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.slow
def test_without_pytorch_it_says_how_to_install_it(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('none here')\n")
    environment = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, BENCHMARKS / "bench.py"], capture_output=True, text=True, env=environment)
    assert done.returncode == 2, done.stderr
    assert "pip install torch" in done.stderr


def test_small_pictures_are_enlarged_for_the_judge_and_large_ones_are_not():
    import scenes

    small = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    assert scenes.enlarged(small, 16).shape == (2, 16, 16, 3)
    assert scenes.enlarged(small, 8) is small


@pytest.mark.slow
@pytest.mark.parametrize("asked", [["no such system"], ["latents="], []])
def test_a_model_without_a_name_is_no_line_of_the_table(asked):
    command = [sys.executable, str(BENCHMARKS / "scenes.py"), *asked]
    found = subprocess.run(command, capture_output=True, text=True, cwd=BENCHMARKS)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr


def test_a_system_is_named_by_its_key_or_by_a_model():
    import scenes

    listed, given = scenes.systems_of(["scenes", "mine=runs/mine"])
    assert listed["model"] == "scenes"
    assert listed["pictures"] > 0 < listed["minutes"]
    assert given == {"name": "mine", "model": "runs/mine"}


def test_lines_of_the_table_are_put_in_the_place_of_those_of_the_same_name():
    import scenes

    text = f"# Results\n\n{scenes.HEADER}\n| a | 1 |\n| b | 2 |\n\nWhat wins.\n"
    found = scenes.with_lines(text, ["| b | 3 |", "| c | 4 |"])
    assert found == f"# Results\n\n{scenes.HEADER}\n| a | 1 |\n| b | 3 |\n| c | 4 |\n\nWhat wins.\n"
    assert scenes.with_lines(f"{scenes.HEADER}\n", ["| a | 1 |"]) == f"{scenes.HEADER}\n| a | 1 |"
    with pytest.raises(ValueError, match="no table"):
        scenes.with_lines("# Results\n", ["| a | 1 |"])


@pytest.mark.slow
def test_models_of_scenes_are_compared_in_a_table_and_a_picture(tmp_path):
    picture = tmp_path / "compared.png"
    command = [sys.executable, str(BENCHMARKS / "scenes.py"), "latents=scenes", "--n", "2", "--picture", str(picture)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=BENCHMARKS, check=True)
    assert "| latents | 64 | 7.4 M | 0.72 | - | - |" in found.stdout
    assert picture.is_file()


@pytest.mark.slow
def test_the_prompts_of_the_article_are_drawn_and_counted(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "article.py"), "scenes", "--picture", str(tmp_path / "article.png")]
    found = subprocess.run(command, capture_output=True, text=True, cwd=BENCHMARKS, check=True)
    assert "latents: 'a robot on a road' in 16 of 16" in found.stdout
    assert (tmp_path / "article.png").exists()


@pytest.mark.slow
def test_bits_are_measured_in_parts_and_go_on(tmp_path):
    save(tmp_path / "model", make())
    model, kept = str(tmp_path / "model"), tmp_path / "bits.npz"
    command = [sys.executable, str(BENCHMARKS / "bits.py"), model, "--keep", str(kept)]
    said = {}
    for n in ("2", "4", "2"):
        done = subprocess.run(
            [*command, "--data", "digits", "--n", n], capture_output=True, text=True, cwd=BENCHMARKS, check=True
        )
        said.setdefault(n, done.stdout)
        assert done.stdout == said[n]
    with np.load(kept) as found:
        assert found["bits"].shape == (4, 4)
    assert "flow " in said["4"]
    assert said["4"] != said["2"]
    other = subprocess.run([*command, "--data", "mnist-small"], capture_output=True, text=True, cwd=BENCHMARKS)
    assert other.returncode == 2
    assert "was asked for: give another file" in other.stderr
