"""Answers to the exercises of notebook 05."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
