"""What all tests of plots share: the same random numbers, whichever tests run."""

import numpy as np
import pytest
from pictures import RNG


@pytest.fixture(autouse=True)
def _same_numbers_whichever_tests_run():
    RNG.bit_generator.state = np.random.PCG64(0).state
