"""Answers to the exercises of notebook 06."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
