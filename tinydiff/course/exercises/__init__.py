"""The exercises of the notebooks, one module per notebook: what is asked, what is right, and known mistakes.

A notebook checks an answer with ``my_step = exercises.STEP.check(my_step)``; see `tinydiff.course.Exercise`.
Teachers can add more in the same way.
"""
