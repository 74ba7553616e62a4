"""A strict stand-in for CuPy on machines without a GPU: NumPy inside, CuPy's rules outside.

`make` returns fake modules `cupy` and `cupyx`. Their array is a wrapper, for NumPy would swallow a subclass of its own
array without a word. What CuPy 14 refuses, the stand-in refuses:

- converting an array to NumPy behind the caller's back, and mixing it with NumPy arrays;
- names, methods and keywords that CuPy lacks (tests/fixtures/cupy_namespace.json says which those are).

Reductions and indexing give 0-d arrays, `empty` is filled with NaN, and floating-point warnings do not exist. All that
would make the host wait for a GPU is noted in ``cupy.synchronisations``, or raises within
``cupy.forbid_synchronisation()``. In two places the stand-in is stricter than CuPy: NumPy functions do not take its
arrays (CuPy dispatches them, slowly), and NumPy arrays can be neither indices nor values of an assignment (CuPy may
copy them to the device). What it cannot show: speed, races, rounding, and the order of atomic additions.
"""

from strict_cupy.ledger import Synchronisation
from strict_cupy.modules import make
from strict_cupy.rules import NAMESPACE, signature_of

__all__ = ["NAMESPACE", "Synchronisation", "make", "signature_of"]
