"""A small exercise, for tests of what checks one."""

from tinydiff.course import Exercise


def an_exercise(reference, cases, returns, **more):
    return Exercise("transcribe", reference, cases, returns, {}, ["a.", "b.", "c."], "Indeed.", **more)
