"""Answers to the exercises of notebook 40."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
