"""Answers to the exercises of notebook 04."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
