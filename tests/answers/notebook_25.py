"""Answers to the exercises of notebook 25."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
