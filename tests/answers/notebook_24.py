"""Answers to the exercises of notebook 24."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
