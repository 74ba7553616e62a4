"""Network architectures, one in each file.

Each has a dataclass that says its shape, and is decorated with `network`, which puts both into the list `NETWORKS`: a
new file in this folder is found by itself, and `build` makes the network that a shape belongs to.
"""

from tinydiff.base import import_modules
from tinydiff.networks.attributes import AttributeClassifier, AttributeClassifierConfig, AttributeClassifierShape
from tinydiff.networks.autoencoder import Autoencoder, AutoencoderConfig, Decoder, Encoder
from tinydiff.networks.classifier import Classifier, ClassifierConfig
from tinydiff.networks.clip import CLIP, CLIPConfig
from tinydiff.networks.conditions import DenoiserGradients
from tinydiff.networks.discriminator import PatchDiscriminator, PatchDiscriminatorConfig
from tinydiff.networks.dit import DiT, DiTConfig
from tinydiff.networks.generator import Generator, GeneratorConfig, VectorDiscriminator, VectorDiscriminatorConfig
from tinydiff.networks.image_encoder import ImageEncoder
from tinydiff.networks.mlp import MLP, MLPConfig
from tinydiff.networks.noise_schedule import Gamma, NoiseSchedule
from tinydiff.networks.noisy_classifier import NoisyClassifier, NoisyClassifierConfig
from tinydiff.networks.prior import PriorConfig, PriorTransformer
from tinydiff.networks.quantised_autoencoder import QuantisedAutoencoder, QuantisedAutoencoderConfig
from tinydiff.networks.real_nvp import RealNVP, RealNVPConfig
from tinydiff.networks.registry import NETWORKS, Network, build, network
from tinydiff.networks.text_encoder import TextConfig, TextEncoder
from tinydiff.networks.text_to_image import TextToImage
from tinydiff.networks.unet import UNet, UNetConfig
from tinydiff.networks.vae import VAE, VAEConfig
from tinydiff.networks.variational import Posterior, Reconstruction

import_modules(__name__)

__all__ = [
    "CLIP",
    "MLP",
    "NETWORKS",
    "VAE",
    "AttributeClassifier",
    "AttributeClassifierConfig",
    "AttributeClassifierShape",
    "Autoencoder",
    "AutoencoderConfig",
    "CLIPConfig",
    "Classifier",
    "ClassifierConfig",
    "Decoder",
    "DenoiserGradients",
    "DiT",
    "DiTConfig",
    "Encoder",
    "Gamma",
    "Generator",
    "GeneratorConfig",
    "ImageEncoder",
    "MLPConfig",
    "Network",
    "NoiseSchedule",
    "NoisyClassifier",
    "NoisyClassifierConfig",
    "PatchDiscriminator",
    "PatchDiscriminatorConfig",
    "Posterior",
    "PriorConfig",
    "PriorTransformer",
    "QuantisedAutoencoder",
    "QuantisedAutoencoderConfig",
    "RealNVP",
    "RealNVPConfig",
    "Reconstruction",
    "TextConfig",
    "TextEncoder",
    "TextToImage",
    "UNet",
    "UNetConfig",
    "VAEConfig",
    "VectorDiscriminator",
    "VectorDiscriminatorConfig",
    "build",
    "network",
]
