"""Answers to the exercises of notebook 07."""

LIBRARY: dict = {}
RIGHT: dict = {}
WRONG: dict = {}
