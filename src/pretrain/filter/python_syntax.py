"""Whether a text is Python that this interpreter can parse, in bounded time and without running any of it."""

import ast
import threading
import warnings

# The parser recurses in C: 6,000 levels, which the small stacks of some systems' threads do not hold.
_STACK_BYTES = 64 << 20
_BYTE_ORDER_MARK = "\ufeff"


def syntax_error_in(text: str) -> str | None:
    """Why `text` is no Python, as `line 3: invalid syntax`, or None when it parses.

    What nests deeper than the parser takes counts as an error. Time grows with the square of a text's length at
    worst (many fields in one f-string): measured on Python 3.11, 2 s for 100 kB and 0.1 s for real code of that size.
    """
    found: list[str | None] = []
    previous = threading.stack_size(_STACK_BYTES)
    try:
        # In a thread of its own, for the depth that the parser takes depends on that of its caller.
        thread = threading.Thread(target=lambda: found.append(_parse(text.removeprefix(_BYTE_ORDER_MARK))))
        thread.start()
    finally:
        threading.stack_size(previous)
    thread.join()
    return found[0]


def _parse(text: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes that are deprecated are no errors
            ast.parse(text)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (RecursionError, MemoryError):
        return "nested too deeply"
    except ValueError as error:  # a NUL, in some versions
        return str(error)
    return None
