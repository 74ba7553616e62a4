"""Answers to the exercises of notebook 20."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
