"""The UNet and the classifiers of `tinydiff.nn` in plain PyTorch: the yardstick for parity and for speed.

Images are NCHW, PyTorch's default. Modules bear the names of their tinydiff twins, so that weights and gradients
can be carried over by name. Dropout is left out.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from tinydiff.functional import default_groups
from tinydiff.networks import AttributeClassifierConfig, ClassifierConfig, UNetConfig


class SelfAttention(nn.Module):
    def __init__(self, channels, heads, groups):
        super().__init__()
        self.heads = heads
        self.norm = group_norm(channels, groups)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x):
        n, channels, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        qkv = self.qkv(tokens).view(n, height * width, 3, self.heads, channels // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        y = self.proj(y.transpose(1, 2).reshape(n, height * width, channels))
        return x + y.transpose(1, 2).reshape(x.shape)


class ResBlock(nn.Module):
    def __init__(self, c_in, c_out, config, attend):
        super().__init__()
        c_emb = 4 * config.channels
        self.scale_shift = config.scale_shift
        self.norm_1 = group_norm(c_in, config.groups)
        self.conv_1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.project = nn.Linear(c_emb, 2 * c_out if config.scale_shift else c_out)
        self.norm_2 = group_norm(c_out, config.groups)
        self.conv_2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.shortcut = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()
        self.attention = SelfAttention(c_out, config.heads, config.groups) if attend else nn.Identity()

    def forward(self, x, emb):
        h = self.conv_1(F.silu(self.norm_1(x)))
        time = self.project(emb)[:, :, None, None]
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            h = self.norm_2(h) * (1 + scale) + shift
        else:
            h = self.norm_2(h + time)
        return self.attention(self.shortcut(x) + self.conv_2(F.silu(h)))


class EmbedTimeAndClass(nn.Module):
    def __init__(self, config):
        super().__init__()
        c = 4 * config.channels
        self.config = config
        self.mlp = nn.Sequential(nn.Linear(config.channels, c), nn.SiLU(), nn.Linear(c, c))
        self.label = nn.Embedding(config.num_classes + 1, c) if config.num_classes is not None else None

    def forward(self, t, context):
        config = self.config
        half = config.channels // 2
        spacing = half if config.time_embedding == "stable-diffusion" else half - 1
        frequencies = torch.exp(torch.arange(half, dtype=torch.float64) * (-math.log(10000.0) / spacing))
        angles = (t - config.time_offset).double()[:, None] * frequencies
        parts = (
            [angles.cos(), angles.sin()]
            if config.time_embedding == "stable-diffusion"
            else [angles.sin(), angles.cos()]
        )
        emb = self.mlp(torch.cat(parts, dim=1).to(self.mlp[0].weight.dtype))
        if self.label is not None:
            emb = emb + self.label(torch.full_like(t, config.num_classes) if context is None else context)
        return F.silu(emb)


class Level(nn.Module):
    def __init__(self, blocks, resample):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.resample = resample


class UNet(nn.Module):
    """Images x_t (N, C, H, W), steps t (N,) and labels (N,) to eps_hat, like x_t."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        widths = [config.channels * mult for mult in config.channel_mult]
        levels = range(len(widths))
        self.embed = EmbedTimeAndClass(config)
        self.stem = nn.Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.down, skips, c = nn.ModuleList(), [widths[0]], widths[0]
        for level in levels:
            blocks = []
            for _ in range(config.blocks_per_level):
                blocks.append(ResBlock(c, widths[level], config, level in config.attention_levels))
                c = widths[level]
                skips.append(c)
            last = level == levels[-1]
            self.down.append(Level(blocks, None if last else nn.Conv2d(c, c, 3, stride=2, padding=1)))
            if not last:
                skips.append(c)
        self.mid_1 = ResBlock(c, c, config, True)
        self.mid_2 = ResBlock(c, c, config, False)
        self.up = nn.ModuleList()
        for level in reversed(levels):
            blocks = []
            for _ in range(config.blocks_per_level + 1):
                blocks.append(ResBlock(c + skips.pop(), widths[level], config, level in config.attention_levels))
                c = widths[level]
            upsample = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(c, c, 3, padding=1))
            self.up.append(Level(blocks, None if level == 0 else upsample))
        out = config.in_channels if config.out_channels is None else config.out_channels
        self.head = nn.Sequential(group_norm(c, config.groups), nn.SiLU(), nn.Conv2d(c, out, 3, padding=1))

    def forward(self, x_t, t, context=None):
        emb = self.embed(t, context)
        h = self.stem(x_t)
        skips = [h]
        for level in self.down:
            for block in level.blocks:
                h = block(h, emb)
                skips.append(h)
            if level.resample is not None:
                h = level.resample(h)
                skips.append(h)
        h = self.mid_2(self.mid_1(h, emb), emb)
        for level in self.up:
            for block in level.blocks:
                h = block(torch.cat([h, skips.pop()], dim=1), emb)
            if level.resample is not None:
                h = level.resample(h)
        return self.head(h)


class Classifier(nn.Module):
    """Images (N, C, H, W) to logits (N, num_classes)."""

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        layers, c, side = [], config.in_channels, config.image_size
        for width in config.channels:
            layers += [nn.Conv2d(c, width, 3, padding=1), group_norm(width, None), nn.SiLU()]
            layers += [nn.Conv2d(width, width, 3, stride=2, padding=1), group_norm(width, None), nn.SiLU()]
            c, side = width, (side + 1) // 2
        self.body = nn.Sequential(*layers)
        self.hidden = nn.Sequential(nn.Linear(c * side * side, config.features), nn.SiLU())
        self.logits = nn.Linear(config.features, config.num_classes)

    def forward(self, x):
        h = self.body(x).permute(0, 2, 3, 1)  # tinydiff flattens (H, W, C)
        return self.logits(self.hidden(h.flatten(1)))


class NormSiLU(nn.GroupNorm):
    def __init__(self, channels):
        super().__init__(default_groups(channels), channels)

    def forward(self, x):
        return F.silu(super().forward(x))


class ReaderBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        convolutions = [nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2)]
        self.branch = nn.Sequential(NormSiLU(channels), convolutions[0], NormSiLU(channels), convolutions[1])

    def forward(self, x):
        return x + self.branch(x)


class AttributeClassifier(nn.Module):
    """Images (N, C, H, W) to the feature maps of all levels, and logits (N, classes)."""

    def __init__(self, config: AttributeClassifierConfig):
        super().__init__()
        self.levels = nn.ModuleList()
        c, side = config.in_channels, config.image_size
        for i, width in enumerate(config.channels):
            stride = 2 if i else config.stem_stride
            blocks = [ReaderBlock(width) for _ in range(config.blocks)]
            self.levels.append(nn.Sequential(nn.Conv2d(c, width, 3, stride, 1), *blocks, NormSiLU(width)))
            c, side = width, -(-side // stride)
        self.hidden = nn.Sequential(nn.Linear(c * side * side, config.features), nn.SiLU())
        self.logits = nn.Linear(config.features, config.classes)

    def forward(self, x):
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps, self.logits(self.hidden(x.permute(0, 2, 3, 1).flatten(1)))  # tinydiff flattens (H, W, C)


def group_norm(channels, groups):
    return nn.GroupNorm(default_groups(channels) if groups is None else groups, channels)


def load_from(module: nn.Module, named: dict) -> None:
    """Copy tinydiff's weights (name -> NumPy array) into the twin; every parameter must be given."""
    weights = {torch_name(name): torch.from_numpy(value).clone() for name, value in named.items()}
    parameters = dict(module.named_parameters())
    if weights.keys() != parameters.keys():
        raise KeyError(f"These weights stand on one side only: {sorted(weights.keys() ^ parameters.keys())}.")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(to_torch_layout(weights[name], parameter, name))


def gradients_of(module: nn.Module, named: dict) -> dict:
    """Return the twin's gradients under tinydiff's names and in its layout, as NumPy arrays."""
    parameters = dict(module.named_parameters())
    return {
        name: to_tinydiff_layout(parameters[torch_name(name)].grad, value, name).numpy()
        for name, value in named.items()
    }


def torch_name(name: str) -> str:
    """Return PyTorch's name of a tinydiff parameter: ``head.layers.0.gamma`` is ``head.0.weight``."""
    *path, leaf = name.split(".")
    leaf = {"gamma": "weight", "beta": "bias", "table": "weight"}.get(leaf, leaf)
    return ".".join([part for part in path if part != "layers"] + [leaf])


def to_torch_layout(value, parameter, name):
    """(kh, kw, in, out) -> (out, in, kh, kw); (in, out) -> (out, in), or (out, in, 1, 1) for a 1 x 1 convolution."""
    if value.ndim == 4:
        return value.permute(3, 2, 0, 1)
    if value.ndim == 2 and not name.endswith("label.weight"):
        value = value.T
    return value.reshape(parameter.shape)


def to_tinydiff_layout(value, like, name):
    """Undo `to_torch_layout`."""
    if like.ndim == 4:
        return value.permute(2, 3, 1, 0).contiguous()
    if like.ndim == 2 and not name.endswith("label.table"):
        return value.reshape(value.shape[:2]).T.contiguous()
    return value
