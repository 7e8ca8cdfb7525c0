"""What worker processes of tests run: they import it by its name, as they cannot import a test."""

import os


def find_process(number: int) -> tuple[int, int]:
    return number, os.getpid()


def die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), 9)
    return number
