"""Scenes: captioned pictures of any size, drawn by our own code from a few words and a seed."""
