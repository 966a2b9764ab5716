"""How the loops over characters and words are compiled."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

OffsetArray = NDArray[np.int64]

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """Compiles on first call; the machine code is kept beside the source or in the user's cache folder.

    Call a kernel with arrays of one type, layout and mutability alone: numba keeps one file of machine code a
    combination, and processes that meet different ones for the first time at once could mix them up.
    """
    try:
        kernel: Any = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither place can be written (a read-only install without a home): compile in each process
        kernel = numba.njit(nogil=True)(function)
    return cast("_F", kernel)
