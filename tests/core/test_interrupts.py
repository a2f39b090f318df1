from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from kaggle_digits.core import interrupts


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_swallowed_interrupt_is_raised_at_the_next_check() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.handle_sigint():
        interrupts.raise_if_interrupted()
        with contextlib.suppress(KeyboardInterrupt):
            press()
        interrupts.raise_if_interrupted()
        pytest.fail("not reached")
    interrupts.raise_if_interrupted()  # reset after the block


def test_other_exception_caused_by_the_interrupt_becomes_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.handle_sigint():
        try:
            press()
        finally:
            raise UnboundLocalError("cannot access local variable")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_deferred_interrupt_is_raised_at_once_the_second_time() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.handle_sigint(immediate=False):
        press()
        done.append("a transaction")
        press()
        done.append("another")
    with pytest.raises(KeyboardInterrupt), interrupts.handle_sigint(immediate=False):
        press()
        done.append("the last")
        interrupts.raise_if_interrupted()
    assert done == ["a transaction", "the last"]


def test_other_errors_are_not_changed() -> None:
    with pytest.raises(UnboundLocalError), interrupts.handle_sigint():
        raise UnboundLocalError


def test_nested_handlers() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.handle_sigint():
        with contextlib.suppress(KeyboardInterrupt), interrupts.handle_sigint():
            press()
        interrupts.raise_if_interrupted()


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_another_handler_is_not_replaced(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        with interrupts.handle_sigint():
            assert signal.getsignal(signal.SIGINT) is handler
            press()
            interrupts.raise_if_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_are_not_affected() -> None:
    handlers = []

    def work() -> None:
        with interrupts.handle_sigint():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
