"""Machine code from loops over arrays, by numba."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """Compiles on first call; the machine code is kept beside the source or in the user's cache folder."""
    try:
        machine_code: Any = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither place can be written (a read-only install without a home): compile in each process
        machine_code = numba.njit(nogil=True)(function)
    return cast("_F", machine_code)
