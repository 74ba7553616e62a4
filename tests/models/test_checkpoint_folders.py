"""Folders of public checkpoints that are damaged, or hold what tinydiff does not have: one sentence."""

import contextlib
import json
import re
import shutil

import numpy as np
import pytest
import safetensors.numpy
from checkpoints import USUAL, config_of, pipelines, scheduler_of, weights_of, write_part, write_pipeline

import tinydiff
from tinydiff.base import CheckpointError, InputError, TinydiffError
from tinydiff.models import LatentDiffusion, inspect_checkpoint, read_checkpoint, read_scheduler, timetable
from tinydiff.models.diffusers import describe_parts, describe_tensors, find_tensors, read_network, read_tokenizer


@pytest.fixture
def unet(tmp_path):
    return write_part(tmp_path / "unet", "sd 1")


@pytest.fixture
def pipeline(tmp_path):
    return write_pipeline(tmp_path / "latents", "latents")


def change(path, **fields):
    """Change fields of a JSON file; None takes one out."""
    table = json.loads(path.read_text())
    for name, value in fields.items():
        table[name] = value
    path.write_text(json.dumps(table))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"_class_name": "Transformer2DModel"}, "is of the class 'Transformer2DModel', which tinydiff does not have"),
        ({"act_fn": "gelu"}, "says act_fn is 'gelu', which tinydiff does not have; it knows 'silu'"),
        ({"addition_embed_type": "text_time"}, "addition_embed_type is 'text_time'"),
        ({"transformer_layers_per_block": 2}, "transformer_layers_per_block is 2"),
        ({"only_cross_attention": True}, "only_cross_attention is True"),
        ({"conv_in_kernel": 5}, "conv_in_kernel is 5"),
        ({"cross_attention_dim": [6, 6, 6]}, "cross_attention_dim is .*it knows whole numbers"),
        ({"class_embed_type": "timestep"}, "class_embed_type is 'timestep'"),
        ({"block_out_channels": [8, 12, 16]}, "block_out_channels is .* whole multiples of the first, 8"),
        ({"block_out_channels": []}, "block_out_channels is .*lists of whole numbers"),
        ({"freq_shift": 1}, "flip_sin_to_cos is True and freq_shift 1"),
        (
            {"up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]},
            "the same levels with attention",
        ),
        ({"down_block_types": ["SimpleCrossAttnDownBlock2D"] * 3}, "down_block_types is"),
        ({"downsample_padding": 2}, "downsample_padding is 2"),
        ({"sample_size": 7}, "image_size is 7 x 7"),
        ({"attention_head_dim": 3}, "heads is 3"),
        ({"norm_num_groups": 3}, "groups"),
        ({"layers_per_block": [2, 2, 2]}, "layers_per_block is"),
        ({"out_channels": 5}, "out_channels is 5"),
        ({"time_embedding_dim": 33}, "time_embedding_dim is 33"),
        ({"dropout": "none"}, "dropout is 'none'"),
    ],
)
def test_what_a_config_says_that_tinydiff_does_not_have_is_refused_by_name(unet, fields, message):
    change(unet / "config.json", **fields)
    with pytest.raises(InputError, match=message):
        read_network(unet)
    (part,) = inspect_checkpoint(unet)
    assert re.search(message, part.why_not)
    assert any(part.why_not in line for line in describe_parts([part]))


def test_a_field_that_nobody_knows_is_left_out_as_there(unet):
    change(unet / "config.json", something_new=3, _private=4)
    assert read_network(unet).theta.size


def damaged_weights(unet, **changes):
    """Write weights of which some are others; None leaves one out."""
    weights = weights_of("sd 1", np.float32)
    for name, array in changes.items():
        name = name.replace("__", ".")
        if array is None:
            del weights[name]
        else:
            weights[name] = array
    write_part(unet, "sd 1", weights=weights)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv_in__weight": None}, r"lacks conv_in\.weight, .*1 tensor missing, 0 besides"),
        ({"conv_more__weight": np.zeros(3, np.float32)}, r"holds conv_more\.weight, for which .* no place"),
        (
            {"conv_in__weight": np.zeros((8, 4, 1, 1), np.float32)},
            r"holds conv_in\.weight of shape \(8, 4, 1, 1\), but by its config\.json it is \(8, 4, 3, 3\)",
        ),
        ({"conv_in__bias": np.full(8, np.nan, np.float32)}, r"NaN or infinity in conv_in\.bias"),
        ({"conv_in__bias": np.zeros(8, np.int32)}, r"conv_in\.bias as I32, but F16, F32, F64"),
    ],
)
def test_weights_that_do_not_fit_are_named(unet, changes, message):
    damaged_weights(unet, **changes)
    with pytest.raises(CheckpointError, match=message):
        read_network(unet)


def test_older_names_are_read(tmp_path):
    """Attention of old DDPMs has other names, old text encoders a prefix, and positions that nobody learned."""
    for case, rename in (
        ("ddpm", {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}),
        ("clip", {}),
    ):
        weights = {}
        for name, array in weights_of(case).items():
            for new, old in rename.items():
                name = name.replace(f".{new}.", f".{old}.")
            weights[f"text_model.{name}" if case == "clip" else name] = array
        if case == "clip":
            weights["text_model.embeddings.position_ids"] = np.arange(9)[None]
        old = read_network(write_part(tmp_path / case / "old", case, weights=weights))
        new = read_network(write_part(tmp_path / case / "new", case))
        np.testing.assert_array_equal(old.theta, new.theta)


def test_files_that_are_missing_or_of_other_kinds(unet):
    (unet / USUAL).rename(unet / "diffusion_pytorch_model.fp16.safetensors")
    assert read_network(unet).theta.size, "the only one there is"
    assert read_network(unet, variant="fp16").theta.size
    with pytest.raises(InputError, match=r"variant is 'fp32', but .* has fp16"):
        read_network(unet, variant="fp32")
    shutil.copy(unet / "diffusion_pytorch_model.fp16.safetensors", unet / "diffusion_pytorch_model.non_ema.safetensors")
    with pytest.raises(InputError, match="say which, such as variant = 'fp16'"):
        read_network(unet)
    for path in unet.glob("*.safetensors"):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"holds no diffusion_pytorch_model\.safetensors"):
        read_network(unet)
    (unet / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(InputError, match="a pickle, which may run any code"):
        read_network(unet)
    (unet / USUAL).write_bytes(b"not a file of weights")
    with pytest.raises(CheckpointError, match="cannot be read as a safetensors file"):
        read_network(unet)
    (unet / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        read_network(unet)
    with pytest.raises(InputError, match="AutoencoderKL was expected"):
        read_network(write_part(unet, "sd 1"), "AutoencoderKL")


def shards(unet, weights):
    """Write weights as two shards and an index; return the index."""
    (unet / USUAL).unlink()
    names, index = sorted(weights), {}
    for i, part in enumerate((names[::2], names[1::2]), 1):
        file = f"diffusion_pytorch_model-{i:05}-of-00002.safetensors"
        safetensors.numpy.save_file({name: weights[name] for name in part}, unet / file)
        index |= dict.fromkeys(part, file)
    path = unet / "diffusion_pytorch_model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": index}))
    return path


def test_shards_are_read_and_must_add_up(unet):
    whole, weights = read_network(unet), weights_of("sd 1", np.float32)
    index = shards(unet, weights)
    np.testing.assert_array_equal(read_network(unet).theta, whole.theta)
    assert len(find_tensors(unet).files) == 2
    table = json.loads(index.read_text())["weight_map"]
    for wrong, message in (
        (table | {"conv_none.weight": table["conv_in.weight"]}, r"lacks conv_none\.weight"),
        ({name: file for name, file in table.items() if name != "conv_in.bias"}, r"holds conv_in\.bias, of which"),
        (table | {"conv_in.bias": "another.safetensors"}, r"another\.safetensors is missing"),
        ({}, "names no shards"),
        (["conv_in.bias"], "cannot be read as an index"),
        (table | {"conv_in.bias": "../../secret.safetensors"}, r"unet/secret\.safetensors is missing"),
    ):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(CheckpointError, match=message):
            read_network(unet)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("StableDiffusionXLPipeline", "Stable Diffusion XL, with two text encoders"),
        ("FluxPipeline", "Flux, a Transformer"),
        ("StableDiffusion3Pipeline", "Stable Diffusion 3, a Transformer"),
        ("AudioLDMPipeline", "says the pipeline is 'AudioLDMPipeline'"),
        (None, "says the pipeline is None"),
        (["a"], r"says the pipeline is \['a'\]"),
    ],
)
def test_other_pipelines_are_refused_and_named(pipeline, name, what):
    change(pipeline / "model_index.json", _class_name=name)
    for load in (read_checkpoint, tinydiff.load):
        with pytest.raises(InputError, match=what):
            load(pipeline)


def test_a_pipeline_that_is_not_whole(pipeline):
    change(pipeline / "model_index.json", controlnet=["diffusers", "ControlNetModel"])
    with pytest.raises(InputError, match="names a part 'controlnet'"):
        read_checkpoint(pipeline)
    change(pipeline / "model_index.json", controlnet=[None, None], safety_checker=["x", "SafetyChecker"])
    checkpoint = read_checkpoint(pipeline)
    assert any("safety_checker is left out" in note for note in checkpoint.notes)
    shutil.rmtree(pipeline / "vae")
    with pytest.raises(CheckpointError, match="lacks its vae"):
        read_checkpoint(pipeline)
    (pipeline / "model_index.json").unlink()
    with pytest.raises(CheckpointError, match=r"neither model_index\.json nor config\.json"):
        inspect_checkpoint(pipeline)


def test_a_scheduler_without_a_rule_here_leaves_its_noise_and_a_pipeline_sets_what_it_sets(pipeline):
    path = pipeline / "scheduler" / "scheduler_config.json"
    expected = read_checkpoint(pipeline).model.diffusion.alpha_bar
    change(path, _class_name="UniPCMultistepScheduler", clip_sample=True, steps_offset=0)
    checkpoint = read_checkpoint(pipeline)
    assert checkpoint.scheduler.class_name == "DDIMScheduler"
    assert "UniPCMultistepScheduler is left out" in checkpoint.notes[0]
    assert "steps_offset 1 and clip_sample False is taken" in checkpoint.notes[1]
    assert (checkpoint.scheduler["steps_offset"], checkpoint.scheduler["clip_sample"]) == (1, False)
    np.testing.assert_array_equal(checkpoint.model.diffusion.alpha_bar, expected)


def test_a_checkpoint_is_loaded_and_saved_as_any_model(pipeline, tmp_path):
    model = tinydiff.load(pipeline)
    assert isinstance(model, LatentDiffusion)
    assert model.picture_shape == (16, 16, 3)
    again = tinydiff.load(tinydiff.save(tmp_path / "ours", model))
    np.testing.assert_array_equal(again.network.theta, model.network.theta)
    assert again.config == model.config
    assert again.autoencoder.checksum() == model.autoencoder.checksum()
    with pytest.raises(InputError, match="is a latent diffusion model, but a CLIP was expected"):
        tinydiff.load(pipeline, kind=tinydiff.models.ClipModel)


@pytest.mark.parametrize(
    ("chain", "fields", "steps", "message"),
    [
        ("latents/ddim", {"thresholding": True}, 5, "thresholding is True"),
        ("latents/ddim", {"prediction_type": "flow"}, 5, "prediction_type is 'flow'"),
        ("latents/ddim", {"beta_schedule": "sigmoid"}, 5, "beta_schedule is 'sigmoid'"),
        ("latents/ddim", {"trained_betas": [0.1, 0.2]}, 5, "trained_betas is"),
        ("latents/ddim", {"timestep_spacing": "even"}, 5, "timestep_spacing is 'even'"),
        ("latents/ddim", {"steps_offset": 30}, 1000, "steps_offset is 30, with which 1000 steps lead beyond"),
        ("latents/ddim", {}, 1001, "steps is 1001, but a whole number from 1 to 1000"),
        ("latents/ddim", {}, 0, "steps is 0"),
        ("latents/ddim", {"clip_sample_range": 2.0}, 5, "clip_sample_range is 2.0"),
        ("latents/pndm", {"skip_prk_steps": False}, 5, "skip_prk_steps is False"),
        ("latents/pndm", {"timestep_spacing": "linspace"}, 7, "PNDM takes all steps for 142 long"),
        ("latents/dpm", {"algorithm_type": "sde-dpmsolver++"}, 5, "algorithm_type is"),
        ("latents/dpm", {"solver_order": 4}, 5, "solver_order is 4"),
        ("latents/dpm", {"solver_type": "heun"}, 5, "solver_type is 'heun'"),
        ("latents/dpm", {"final_sigmas_type": "sigma_min"}, 5, "final_sigmas_type is 'sigma_min'"),
        ("latents/euler", {"use_beta_sigmas": True}, 5, "use_beta_sigmas is True"),
        ("latents/euler", {"timestep_type": "continuous"}, 5, "timestep_type is 'continuous'"),
        ("latents/heun", {"clip_sample": True}, 5, "clip_sample is True"),
        ("pixels/ddpm", {"variance_type": "fixed_small_log"}, 5, "variance_type is 'fixed_small_log'"),
        ("pixels/ddpm", {"_class_name": "UniPCMultistepScheduler"}, 5, "is of the class 'UniPCMultistepScheduler'"),
    ],
)
def test_every_field_of_a_scheduler_is_honoured_or_refused_by_name(chain, fields, steps, message, tmp_path):
    path, _ = scheduler_of(tmp_path, chain)
    change(path, **fields)
    with pytest.raises(InputError, match=message):
        timetable(read_scheduler(path), steps)


def test_trained_betas_are_those_of_the_chain(tmp_path):
    path, steps = scheduler_of(tmp_path, "latents/ddim")
    expected = timetable(read_scheduler(path), steps)
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    change(path, trained_betas=betas.tolist(), beta_schedule="linear")
    np.testing.assert_allclose(timetable(read_scheduler(path), steps).alpha_bar, expected.alpha_bar, rtol=1e-12)


def test_a_tokenizer_with_numbers_of_its_own(pipeline, tmp_path):
    folder = pipeline / "tokenizer"
    plain = read_tokenizer(folder)
    assert plain.numbering is None
    table = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = {token: (7 * i) % 520 for token, i in table["model"]["vocab"].items()}
    table["model"]["vocab"] = vocabulary
    table["added_tokens"] = [token | {"id": vocabulary[token["content"]]} for token in table["added_tokens"]]
    (folder / "tokenizer.json").write_text(json.dumps(table))
    change(folder / "tokenizer_config.json", pad_token="!")
    other = read_tokenizer(folder)
    text = "A red cat, and no dogs"
    assert other.decode(other.rows([text], 30)[0]) == plain.decode(plain.rows([text], 30)[0])
    rows, padded = plain.rows([text], 30)[0], other.rows([text], 30)[0]
    length = 1 + list(rows).index(plain.end)
    np.testing.assert_array_equal(padded[:length], 7 * rows[:length] % 520)
    assert set(padded[length:]) == {0}, "the number of !"
    path = tmp_path / "tokenizer.json"
    other.save(path)
    again = type(other).load(path)
    np.testing.assert_array_equal(again.rows([text], 30)[0], padded)
    table["model"]["type"] = "WordPiece"
    (folder / "tokenizer.json").write_text(json.dumps(table))
    with pytest.raises(InputError, match="another kind of tokenizer"):
        read_tokenizer(folder)


def test_the_older_two_files_give_the_same_tokenizer(pipeline, tmp_path):
    new = pipeline / "tokenizer"
    table = json.loads((new / "tokenizer.json").read_text())
    (tmp_path / "vocab.json").write_text(json.dumps(table["model"]["vocab"]))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in table["model"]["merges"]), ""]
    (tmp_path / "merges.txt").write_text("\n".join(lines))
    assert read_tokenizer(tmp_path).ids == read_tokenizer(new).ids
    (tmp_path / "merges.txt").write_text("one two three")
    with pytest.raises(CheckpointError, match="cannot be read as a tokenizer"):
        read_tokenizer(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(CheckpointError, match="cannot be read as a tokenizer"):
        read_tokenizer(tmp_path)


def test_what_is_inspected_is_told_by_headers_alone(pipeline):
    parts = inspect_checkpoint(pipeline)
    lines = describe_parts(parts)
    assert lines[-1] == "tinydiff opens all of it."
    named = {part.name: part for part in parts}
    assert set(named) == {"unet", "vae", "text_encoder", "tokenizer", "scheduler"}
    shapes = json.loads(str(pipelines()["latents"]["shapes"]))
    assert {name: list(tensor.shape) for name, tensor in named["unet"].tensors.of.items()} == shapes["unet"]
    (line,) = [line for line in describe_tensors(named["unet"]) if line.startswith("conv_in.weight ")]
    assert line.split() == ["conv_in.weight", "8x4x3x3", "F64", "stem.weight"]
    shutil.rmtree(pipeline / "vae")
    change(pipeline / "unet" / "config.json", act_fn="mish")
    lines = describe_parts(inspect_checkpoint(pipeline))
    assert any(line.startswith("vae: ") for line in lines)
    assert any(line.startswith("unet: ") and "act_fn is 'mish'" in line for line in lines)


VALUES = (None, -1, 1.5, 1e300, "x", [1, 2], {})


@pytest.mark.slow
@pytest.mark.parametrize("case", ["sd 1", "vae", "clip", "ddpm"])
def test_damage_anywhere_in_a_config_is_a_sentence(case, tmp_path):
    """Every field in turn becomes something else: it is read, or refused by one of our errors."""
    config = config_of(case)
    folder = write_part(tmp_path, case)
    for name in config:
        for value in VALUES:
            (folder / "config.json").write_text(json.dumps(config | {name: value}))
            with contextlib.suppress(TinydiffError):
                read_network(folder)


@pytest.mark.slow
@pytest.mark.parametrize("chain", ["latents/ddim", "latents/pndm", "latents/dpm", "latents/euler", "pixels/ddpm"])
def test_damage_anywhere_in_a_scheduler_is_a_sentence(chain, tmp_path):
    path, steps = scheduler_of(tmp_path, chain)
    said = json.loads(path.read_text())
    for name in said:
        for value in VALUES:
            path.write_text(json.dumps(said | {name: value}))
            with contextlib.suppress(TinydiffError):
                assert len(timetable(read_scheduler(path), steps).diffusion.alpha_bar) >= steps


@pytest.mark.slow
def test_damage_anywhere_in_a_pipeline_is_a_sentence(pipeline):
    for file in ("model_index.json", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"):
        said = json.loads((pipeline / file).read_text())
        for name in said:
            for value in VALUES:
                (pipeline / file).write_text(json.dumps(said | {name: value}))
                with contextlib.suppress(TinydiffError):
                    read_checkpoint(pipeline)
                inspect_checkpoint(pipeline)
        (pipeline / file).write_text(json.dumps(said))
    assert read_checkpoint(pipeline).model.reads_text
