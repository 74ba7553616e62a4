"""Answers to the exercises of notebook 21."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
