"""Answers to the exercises of notebook 09."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
