"""Memory: what nobody uses is not loaded, what stays is not looked through again, and what was freed goes back to the
system, as far as glibc lets it."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

#: See mallopt(3): how many heaps threads spread their allocations over.
_M_ARENA_MAX = -8


@contextmanager
def without(name: str, **stand_ins: object) -> Iterator[None]:
    """Import inside as if a module were not installed; with `stand_ins`, as if it held these alone. One that is loaded
    already stays."""
    if name in sys.modules:
        yield
        return
    stand_in: Any = None  # how Python itself notes that there is none
    if stand_ins:
        stand_in = ModuleType(name)
        vars(stand_in).update(stand_ins)
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


def keep_one_heap() -> None:
    """Have all threads of this process share one heap: they take turns in the interpreter anyway, and each heap keeps
    what it has freed for itself."""
    library = _glibc()
    if library is not None:
        library.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give what was freed back to the system, after work that will not come again soon."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def keep_for_good() -> None:
    """What this process holds by now it holds to its end: have the collector never look through it again. A look
    through a quarter of a million objects, which comes at any time, is a fifth of a second in which nobody is
    answered."""
    gc.collect()
    gc.freeze()


def _glibc() -> Any:
    """The C library, None where it is another's."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
