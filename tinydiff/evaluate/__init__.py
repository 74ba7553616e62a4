"""Evaluation of models: metrics, what classifiers and the judge of portraits find in samples, and reports."""

from tinydiff.evaluate.by_timestep import LossByTimestep, loss_by_timestep
from tinydiff.evaluate.density_coverage import density_and_coverage
from tinydiff.evaluate.feature_metrics import FeatureMetrics, feature_metrics
from tinydiff.evaluate.frechet import frechet_distance, frechet_distance_of, frechet_infinity
from tinydiff.evaluate.intervals import Estimate
from tinydiff.evaluate.invention import Invention, among_training, invention
from tinydiff.evaluate.kernel_distance import kernel_distance
from tinydiff.evaluate.likelihood import (
    PictureBits,
    check_likelihood,
    decoder_floor,
    evaluate_likelihood,
    mean_bits,
    network_velocity,
    picture_bits,
)
from tinydiff.evaluate.neighbours import nearest_neighbours
from tinydiff.evaluate.obedience import Obedience, obedience
from tinydiff.evaluate.pictures import evaluate_pictures, real_halves
from tinydiff.evaluate.precision_recall import precision_and_recall
from tinydiff.evaluate.random_features import random_features, random_features_frechet
from tinydiff.evaluate.reconstruction import BlockPCA, evaluate_autoencoder, fit_block_pca
from tinydiff.evaluate.retrieval import PriorRetrieval, Retrieval, prior_retrieval, retrieval
from tinydiff.evaluate.samples import (
    ClassifierScores,
    balanced,
    classifier_frechet,
    classifier_scores,
    evaluate,
    held_out_loss,
)
from tinydiff.evaluate.scenes import SceneObedience, evaluate_scenes, scene_obedience
from tinydiff.evaluate.shares import Share, class_shares, confident_share, wilson_share
from tinydiff.evaluate.text import evaluate_text

__all__ = [
    "BlockPCA",
    "ClassifierScores",
    "Estimate",
    "FeatureMetrics",
    "Invention",
    "LossByTimestep",
    "Obedience",
    "PictureBits",
    "PriorRetrieval",
    "Retrieval",
    "SceneObedience",
    "Share",
    "among_training",
    "balanced",
    "check_likelihood",
    "class_shares",
    "classifier_frechet",
    "classifier_scores",
    "confident_share",
    "decoder_floor",
    "density_and_coverage",
    "evaluate",
    "evaluate_autoencoder",
    "evaluate_likelihood",
    "evaluate_pictures",
    "evaluate_scenes",
    "evaluate_text",
    "feature_metrics",
    "fit_block_pca",
    "frechet_distance",
    "frechet_distance_of",
    "frechet_infinity",
    "held_out_loss",
    "invention",
    "kernel_distance",
    "loss_by_timestep",
    "mean_bits",
    "nearest_neighbours",
    "network_velocity",
    "obedience",
    "picture_bits",
    "precision_and_recall",
    "prior_retrieval",
    "random_features",
    "random_features_frechet",
    "real_halves",
    "retrieval",
    "scene_obedience",
    "wilson_share",
]
