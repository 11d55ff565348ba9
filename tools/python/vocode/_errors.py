"""Status codes (include/vocode/status.h) and the exception that carries them."""

import enum


class Status(enum.IntEnum):
    """What went wrong; the values are the library's."""

    OK = 0
    ARGUMENT = 1
    IO = 2
    FORMAT = 3
    UNSUPPORTED = 4
    SHAPE = 5
    VALUE = 6
    MEMORY = 7
    CANCELLED = 8
    CONVENTION = 9
    INTERNAL = 10


class VocodeError(Exception):
    """A call that failed: ``code`` says how, the text names what was expected and what was found."""

    def __init__(self, code: Status, message: str) -> None:
        super().__init__(message)
        self.code = code


class VocodeWarning(UserWarning):
    """Input that works but looks wrong, such as a mel of another convention."""
