"""Network architectures, one in each file."""

from tinydiff.networks.classifier import Classifier, ClassifierConfig
from tinydiff.networks.clip import CLIP, CLIPConfig
from tinydiff.networks.image_encoder import ImageEncoder
from tinydiff.networks.noisy_classifier import NoisyClassifier, NoisyClassifierConfig
from tinydiff.networks.text_encoder import TextConfig, TextEncoder
from tinydiff.networks.text_to_image import TextToImage
from tinydiff.networks.unet import UNet, UNetConfig, UNetGradients

__all__ = [
    "CLIP",
    "CLIPConfig",
    "Classifier",
    "ClassifierConfig",
    "ImageEncoder",
    "NoisyClassifier",
    "NoisyClassifierConfig",
    "TextConfig",
    "TextEncoder",
    "TextToImage",
    "UNet",
    "UNetConfig",
    "UNetGradients",
]
