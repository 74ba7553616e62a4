"""The exercises of the problem sets, one module for each set; see `tinydiff.course.Exercise`."""
