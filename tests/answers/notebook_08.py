"""Answers to the exercises of notebook 08."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
