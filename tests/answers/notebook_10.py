"""Answers to the exercises of notebook 10."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
