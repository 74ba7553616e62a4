"""Answers to the exercises of notebook 00."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
