from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from kaggle_digits.core import interrupts


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_one_that_a_package_swallows_is_found_at_the_next_step() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.handle_sigint():
        interrupts.raise_if_interrupted()
        with contextlib.suppress(KeyboardInterrupt):
            press()
        interrupts.raise_if_interrupted()
        pytest.fail("not reached")
    interrupts.raise_if_interrupted()  # it is over


def test_a_package_that_stumbles_over_it_ends_as_it_does() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.handle_sigint():
        try:
            press()
        finally:
            raise UnboundLocalError("cannot access local variable")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_it_can_wait_the_second_one_cannot() -> None:
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


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(UnboundLocalError), interrupts.handle_sigint():
        raise UnboundLocalError


def test_within_another_the_outer_one_knows_too() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.handle_sigint():
        with contextlib.suppress(KeyboardInterrupt), interrupts.handle_sigint():
            press()
        interrupts.raise_if_interrupted()


@pytest.mark.parametrize("whose", [signal.SIG_IGN, lambda *_: None])
def test_somebody_elses_is_left_alone(whose: signal.Handlers) -> None:
    before = signal.signal(signal.SIGINT, whose)
    try:
        with interrupts.handle_sigint():
            assert signal.getsignal(signal.SIGINT) is whose
            press()
            interrupts.raise_if_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_a_thread_nothing_is_done() -> None:
    seen = []

    def work() -> None:
        with interrupts.handle_sigint():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
