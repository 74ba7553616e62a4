"""Good calls of `tinydiff.networks`: the shapes of networks, and what flows through them."""

import numpy as np

from honest_calls import families, unclip
from tinydiff import networks as N
from tinydiff.nn import Gradients, Tape

rng = np.random.default_rng(0)
UNET = N.UNetConfig(4, 1, channels=4, channel_mult=(1, 2), blocks_per_level=1, heads=1, num_classes=3)
TEXT = N.TextConfig(vocabulary=9, length=3, channels=4, layers=1, heads=1, causal=True)
DIT = N.DiTConfig(4, 1, channels=8, layers=1, heads=2, num_classes=3)
WORDS_UNET = N.UNetConfig(
    4, 1, channels=4, channel_mult=(1,), blocks_per_level=1, heads=1, context_channels=4, pooled_channels=4
)
CLIP = N.CLIPConfig(4, 1, (4,), 4, TEXT)
MLP, POINTS = N.MLPConfig(2, 4, 1, 3), rng.normal(size=(2, 1, 1, 2)).astype("f4")
PATCHES = N.PatchDiscriminatorConfig(1, 4, 1)
CLASSIFIER, NOISY = N.ClassifierConfig(4, 1, 3, (4,), 4), N.NoisyClassifierConfig(4, 1, 3, (4,))
READER = N.AttributeClassifierConfig(4, 1, (4, 4), 1, 1, 4, {"shape": ("circle", "square"), "colour": ("red",)})
X, T, LABELS = rng.normal(size=(2, 4, 4, 1)).astype("f4"), np.array([3, 7]), np.array([1, 0])
TOKENS = np.array([[1, 2, 8], [3, 8, 8]])
UNIT = np.eye(4, dtype="f4")[:2]
AUTOENCODER = N.AutoencoderConfig(4, 1, 4, (1, 2), 1, 2)
Z = rng.normal(size=(2, 2, 2, 2)).astype("f4")
QUANTISED = N.QuantisedAutoencoderConfig(4, 1, 4, (1, 2), 1, 2, codes=5)
INDICES = np.array([[[0, 4], [2, 1]]])


def packed(module):
    module.pack()
    return module


NETWORKS = {
    "UNet": (lambda: N.UNet(UNET), {"x_t": X, "t": T, "context": LABELS}),
    "DiT": (lambda: N.DiT(DIT), {"x_t": X, "t": T, "context": LABELS}),
    "TextToImage": (lambda: N.TextToImage(WORDS_UNET, TEXT), {"x_t": X, "t": T, "context": TOKENS}),
    "TextEncoder": (lambda: N.TextEncoder(TEXT), {"tokens": TOKENS}),
    "CLIP": (lambda: N.CLIP(CLIP), {"x_t": X, "t": T, "tokens": TOKENS}),
    "Classifier": (lambda: N.Classifier(CLASSIFIER), {"x": X}),
    "NoisyClassifier": (lambda: N.NoisyClassifier(NOISY), {"x_t": X, "t": T}),
    "PatchDiscriminator": (lambda: N.PatchDiscriminator(PATCHES), {"x": X}),
    "AttributeClassifier": (lambda: N.AttributeClassifier(READER), {"x": X}),
    "MLP": (lambda: N.MLP(MLP), {"x_t": POINTS, "t": T, "context": LABELS}),
    "ImageEncoder": (lambda: N.ImageEncoder(4, 1, (4,), np.random.default_rng(0)), {"x_t": X, "t": T}),
    "Encoder": (lambda: packed(N.Encoder(AUTOENCODER, 4, np.random.default_rng(0))), {"x": X}),
    "QuantisedAutoencoder": (lambda: N.QuantisedAutoencoder(QUANTISED), {"x": X}),
    "PriorTransformer": unclip.PRIOR,
    "Decoder": (lambda: packed(N.Decoder(AUTOENCODER, 2, np.random.default_rng(0))), {"z": Z}),
}


def backward(name):
    make, inputs = NETWORKS[name]
    model, tape = make(), Tape()
    d_out = model.forward(**inputs, tape=tape)
    grads = Gradients(model.parameters())
    called = {"UNet": "d_out", "DiT": "d_out", "TextToImage": "d_out", "TextEncoder": "dy", "ImageEncoder": "dy"}
    called["PriorTransformer"] = "d_out"
    called["MLP"] = "d_out"
    called |= {"Encoder": "dy", "Decoder": "dy", "QuantisedAutoencoder": "d_x_hat"}
    return (lambda **given: (model.backward(*given.values(), tape, grads), grads.flat)), {
        called.get(name, "d_logits"): d_out
    }


def maps_backward():
    network, tape = N.AttributeClassifier(READER), Tape()
    d_maps = network.maps(X, tape)
    return (lambda d_maps: network.maps_backward(d_maps, tape)), {"d_maps": d_maps}


def clip_backward(method, **inputs):
    model, tape = N.CLIP(CLIP), Tape()
    d = getattr(model, method)(**inputs, tape=tape)
    name = "d_logits" if method == "logits" else "dy"
    return (lambda **given: getattr(model, f"{method}_backward")(*given.values(), tape)), {name: d}


def autoencoder_backward(method, inputs, *called, kind=N.Autoencoder, config=AUTOENCODER):
    """Return a call of the backward that belongs to a method, given what the method returns as gradients."""
    model, tape = kind(config), Tape()
    d = getattr(model, method)(**inputs, tape=tape)
    grads = Gradients(model.parameters())
    f_backward = getattr(model, {"forward": "backward"}.get(method, f"{method}_backward"))
    d = d if isinstance(d, tuple) else (d,)
    return (lambda **given: (f_backward(*given.values(), tape, grads), grads.flat)), dict(zip(called, d, strict=True))


def seeded():
    return np.random.default_rng(0)


CALLS = {f"{name}.forward": lambda name=name: (NETWORKS[name][0]().forward, NETWORKS[name][1]) for name in NETWORKS}
CALLS |= {f"{name}.backward": lambda name=name: backward(name) for name in NETWORKS}
CALLS |= {
    "UNetConfig": lambda: (
        N.UNetConfig,
        {
            "image_size": 8,
            "in_channels": 1,
            "out_channels": 1,
            "channels": 8,
            "channel_mult": (1, 2),
            "blocks_per_level": 1,
            "attention_levels": (1,),
            "heads": 2,
            "groups": 2,
            "dropout": 0.5,
            "num_classes": 10,
            "context_channels": 8,
            "pooled_channels": 8,
            "image_channels": 1,
            "scale_shift": True,
            "time_embedding": "ddpm",
            "time_offset": 1,
        },
    ),
    "TextConfig": lambda: (
        N.TextConfig,
        {"vocabulary": 9, "length": 3, "channels": 4, "layers": 1, "heads": 1, "causal": True, "positions": True},
    ),
    "PriorConfig": lambda: (
        N.PriorConfig,
        {"embedding": 4, "text_channels": 4, "length": 3, "channels": 8, "layers": 1, "heads": 2},
    ),
    "PriorTransformer": lambda: (N.PriorTransformer, {"config": N.PriorConfig(4, 4, 3, 8, 1, 2), "rng": seeded()}),
    "CLIP.read_text": lambda: (N.CLIP(CLIP).read_text, {"tokens": TOKENS}),
    "CLIPConfig": lambda: (
        N.CLIPConfig,
        {"image_size": 4, "in_channels": 1, "channels": (4,), "embedding": 4, "text": TEXT},
    ),
    "ClassifierConfig": lambda: (
        N.ClassifierConfig,
        {"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": (4,), "features": 4},
    ),
    "NoisyClassifierConfig": lambda: (
        N.NoisyClassifierConfig,
        {"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": (4,)},
    ),
    "PatchDiscriminatorConfig": lambda: (
        N.PatchDiscriminatorConfig,
        {"in_channels": 1, "channels": 4, "layers": 1},
    ),
    "PatchDiscriminator": lambda: (N.PatchDiscriminator, {"config": PATCHES, "rng": seeded()}),
    "AttributeClassifierShape": lambda: (
        N.AttributeClassifierShape,
        {"image_size": 4, "in_channels": 1, "channels": (4, 4), "blocks": 1, "stem_stride": 1, "features": 4},
    ),
    "AttributeClassifierConfig": lambda: (
        N.AttributeClassifierConfig,
        {
            "image_size": 4,
            "in_channels": 1,
            "channels": (4, 4),
            "blocks": 1,
            "stem_stride": 1,
            "features": 4,
            "attributes": {"shape": ("circle", "square")},
        },
    ),
    "UNet": lambda: (N.UNet, {"config": UNET, "rng": seeded()}),
    "MLPConfig": lambda: (N.MLPConfig, {"channels": 2, "width": 4, "depth": 1, "num_classes": 3}),
    "MLP": lambda: (N.MLP, {"config": MLP, "rng": seeded()}),
    "DiTConfig": lambda: (
        N.DiTConfig,
        {"image_size": 4, "in_channels": 2, "patch": 2, "channels": 8, "layers": 1, "heads": 2, "num_classes": 3},
    ),
    "DiT": lambda: (N.DiT, {"config": DIT, "rng": seeded()}),
    "TextEncoder": lambda: (N.TextEncoder, {"config": TEXT, "rng": seeded()}),
    "TextToImage": lambda: (N.TextToImage, {"denoiser": WORDS_UNET, "text": TEXT, "rng": seeded()}),
    "CLIP": lambda: (N.CLIP, {"config": CLIP, "rng": seeded()}),
    "Classifier": lambda: (N.Classifier, {"config": CLASSIFIER, "rng": seeded()}),
    "NoisyClassifier": lambda: (N.NoisyClassifier, {"config": NOISY, "rng": seeded()}),
    "ImageEncoder": lambda: (
        N.ImageEncoder,
        {"image_size": 4, "in_channels": 1, "channels": (4,), "rng": seeded()},
    ),
    "AutoencoderConfig": lambda: (
        N.AutoencoderConfig,
        {
            "image_size": 8,
            "in_channels": 1,
            "channels": 8,
            "channel_mult": (1, 2),
            "blocks_per_level": 1,
            "latent_channels": 2,
            "groups": 2,
            "mid_attention": True,
            "asymmetric_pad": True,
            "norm_eps": 1e-6,
            "quant_conv": True,
        },
    ),
    "Autoencoder": lambda: (N.Autoencoder, {"config": AUTOENCODER, "rng": seeded()}),
    "Encoder": lambda: (N.Encoder, {"config": AUTOENCODER, "c_out": 4, "rng": seeded()}),
    "Decoder": lambda: (N.Decoder, {"config": AUTOENCODER, "c_in": 2, "rng": seeded()}),
    "Autoencoder.forward": lambda: (N.Autoencoder(AUTOENCODER).forward, {"x": X, "eps": Z}),
    "Autoencoder.encode": lambda: (N.Autoencoder(AUTOENCODER).encode, {"x": X}),
    "Autoencoder.decode": lambda: (N.Autoencoder(AUTOENCODER).decode, {"z": Z}),
    "Autoencoder.backward": lambda: autoencoder_backward(
        "forward", {"x": X, "eps": Z}, "d_x_hat", "d_mean", "d_log_variance"
    ),
    "Autoencoder.encode_backward": lambda: autoencoder_backward("encode", {"x": X}, "d_mean", "d_log_variance"),
    "Autoencoder.decode_backward": lambda: autoencoder_backward("decode", {"z": Z}, "d_x_hat"),
    "QuantisedAutoencoderConfig": lambda: (
        N.QuantisedAutoencoderConfig,
        {
            "image_size": 8,
            "channels": 8,
            "channel_mult": (1, 2),
            "latent_channels": 2,
            "quantiser": "fsq",
            "codes": 9,
            "levels": (5, 4),
        },
    ),
    "QuantisedAutoencoder": lambda: (N.QuantisedAutoencoder, {"config": QUANTISED, "rng": seeded()}),
    "QuantisedAutoencoder.encode": lambda: (N.QuantisedAutoencoder(QUANTISED).encode, {"x": X}),
    "QuantisedAutoencoder.decode": lambda: (N.QuantisedAutoencoder(QUANTISED).decode, {"z_q": Z}),
    "QuantisedAutoencoder.to_indices": lambda: (N.QuantisedAutoencoder(QUANTISED).to_indices, {"x": X}),
    "QuantisedAutoencoder.from_indices": lambda: (N.QuantisedAutoencoder(QUANTISED).from_indices, {"indices": INDICES}),
    "QuantisedAutoencoder.encode_backward": lambda: autoencoder_backward(
        "encode", {"x": X}, "dz", kind=N.QuantisedAutoencoder, config=QUANTISED
    ),
    "QuantisedAutoencoder.decode_backward": lambda: autoencoder_backward(
        "decode", {"z_q": Z}, "d_x_hat", kind=N.QuantisedAutoencoder, config=QUANTISED
    ),
    "build": lambda: (N.build, {"config": UNET, "rng": seeded()}),
    "AttributeClassifier": lambda: (N.AttributeClassifier, {"config": READER, "rng": seeded()}),
    "AttributeClassifier.features": lambda: (N.AttributeClassifier(READER).features, {"x": X}),
    "AttributeClassifier.maps": lambda: (N.AttributeClassifier(READER).maps, {"x": X}),
    "AttributeClassifier.maps_backward": maps_backward,
    "AttributeClassifier.split": lambda: (N.AttributeClassifier(READER).split, {"logits": np.ones((2, 3), "f4")}),
    "Classifier.features": lambda: (N.Classifier(CLASSIFIER).features, {"x": X}),
    "CLIP.encode_image": lambda: (N.CLIP(CLIP).encode_image, {"x_t": X, "t": T}),
    "CLIP.encode_text": lambda: (N.CLIP(CLIP).encode_text, {"tokens": TOKENS}),
    "CLIP.logits": lambda: (N.CLIP(CLIP).logits, {"image": UNIT, "text": UNIT}),
    "CLIP.encode_image_backward": lambda: clip_backward("encode_image", x_t=X, t=T),
    "CLIP.encode_text_backward": lambda: clip_backward("encode_text", tokens=TOKENS),
    "CLIP.logits_backward": lambda: clip_backward("logits", image=UNIT, text=UNIT),
    "TextToImage.read": lambda: (N.TextToImage(WORDS_UNET, TEXT).read, {"context": TOKENS}),
}
# What takes no arguments, or is called by a backward alone; `network` is a decorator.
CALLS |= families.OF_NETWORKS
WITHOUT = {
    "CLIP.bound_scale",
    "TextToImage.read_backward",
    "network",
    "DenoiserGradients",
    "Autoencoder.one_input",
    "Posterior",
    "Reconstruction",
} | {f"{name}.one_input" for name in NETWORKS}
WITHOUT |= families.OF_NETWORKS_WITHOUT
RECORDS = {"Network", "DenoiserGradients", "Posterior", "Reconstruction"}
