"""Answers to the exercises of notebook 03."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
