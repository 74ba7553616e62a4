"""Answers to the exercises of notebook 26."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
