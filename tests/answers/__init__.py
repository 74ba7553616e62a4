"""Answers to the exercises, one module for each module of exercises: what the checks must take, and what refuse.

A module has three tables by the names of the exercises. ``LIBRARY``: the library's function with the same arguments,
or a sentence that says why it has none. ``RIGHT``: right answers that are written otherwise. ``WRONG``: wrong answers
that the exercise does not list as mistakes, but must not take.

A module such as `ps1_more` holds further answers to `ps1`: RIGHT and WRONG alone. The answers in `edited`
are small edits of a right one.
"""
