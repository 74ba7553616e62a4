"""Answers to the exercises of notebook 02."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
