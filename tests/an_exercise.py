"""A small exercise, for tests of what checks one."""

from tinydiff.course import Exercise


def an_exercise(reference, cases, returns, mistakes=None, **more):
    return Exercise("transcribe", reference, cases, returns, mistakes or {}, ["a.", "b.", "c."], "Indeed.", **more)
