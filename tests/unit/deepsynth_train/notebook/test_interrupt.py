"""Ctrl-C: the first saves and stops, the second ends at once."""

import os
import signal
import threading

import pytest

from deepsynth_train.notebook.interrupt import StopSwitch


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_asks_for_a_stop_and_says_so() -> None:
    said: list[str] = []
    with StopSwitch(said.append) as should_stop:
        assert not should_stop()
        press_ctrl_c()
        assert should_stop()
    assert said == ["stopping after this step, with a checkpoint; press Ctrl-C again to stop at once"]


def test_the_second_ends_at_once() -> None:
    with StopSwitch(lambda _: None) as should_stop:
        should_stop()
        press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()


def test_before_there_is_anything_to_save_the_first_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), StopSwitch(lambda _: None):
        press_ctrl_c()


def test_an_interrupt_while_loading_hides_the_frames_of_libraries() -> None:
    def load() -> None:
        press_ctrl_c()

    with pytest.raises(KeyboardInterrupt, match="interrupted before the first step") as caught:  # noqa: SIM117
        with StopSwitch(lambda _: None):
            load()
    assert "load" not in [entry.name for entry in caught.traceback]
    assert caught.value.__suppress_context__


def test_torchrun_may_repeat_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    said: list[str] = []
    with StopSwitch(said.append) as should_stop:
        should_stop()
        press_ctrl_c()
        os.kill(os.getpid(), signal.SIGTERM)
        assert should_stop()
    assert len(said) == 1


def test_a_termination_saves_too() -> None:
    with StopSwitch(lambda _: None) as should_stop:
        should_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert should_stop()


def test_the_earlier_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopSwitch(lambda _: None):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_stop_can_be_requested_by_code_and_ctrl_c_then_still_waits_for_the_save() -> None:
    with StopSwitch(lambda _: None) as should_stop:
        should_stop()
        should_stop.request()
        press_ctrl_c()
        assert should_stop()


def test_another_thread_trains_without_handlers() -> None:
    found: list[bool] = []

    def run() -> None:
        with StopSwitch(lambda _: None) as should_stop:
            should_stop.request()
            found.append(should_stop())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [True]
