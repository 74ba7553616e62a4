"""Answers to the exercises of notebook 23."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
