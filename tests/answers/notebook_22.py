"""Answers to the exercises of notebook 22."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
