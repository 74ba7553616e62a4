"""The objectives that can be trained, one in each file."""

from tinydiff.train.objectives.adversarial import Adversarial, AdversarialConfig
from tinydiff.train.objectives.attributes import AttributeData, ClassifyAttributes, ClassifyAttributesConfig
from tinydiff.train.objectives.classify import Classify, ClassifyConfig
from tinydiff.train.objectives.contrast import Contrast, ContrastConfig
from tinydiff.train.objectives.decode import Decode, DecodeConfig
from tinydiff.train.objectives.denoise import Denoise, DenoiseConfig, random_steps
from tinydiff.train.objectives.flow_likelihood import FlowLikelihood, FlowLikelihoodConfig
from tinydiff.train.objectives.new_word import NewWord, NewWordConfig, learn_word
from tinydiff.train.objectives.quantise import Quantise, QuantiseConfig
from tinydiff.train.objectives.reconstruct import Reconstruct, ReconstructConfig
from tinydiff.train.objectives.variational import Variational, VariationalConfig, importance_bound

__all__ = [
    "Adversarial",
    "AdversarialConfig",
    "AttributeData",
    "Classify",
    "ClassifyAttributes",
    "ClassifyAttributesConfig",
    "ClassifyConfig",
    "Contrast",
    "ContrastConfig",
    "Decode",
    "DecodeConfig",
    "Denoise",
    "DenoiseConfig",
    "FlowLikelihood",
    "FlowLikelihoodConfig",
    "NewWord",
    "NewWordConfig",
    "Quantise",
    "QuantiseConfig",
    "Reconstruct",
    "ReconstructConfig",
    "Variational",
    "VariationalConfig",
    "importance_bound",
    "learn_word",
    "random_steps",
]
