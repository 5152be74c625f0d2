"""The queue in front of the model: its order, its bounds, its batches, its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from itertools import chain
from pathlib import Path
from threading import Barrier, Event, Lock, Thread

import numpy as np
import pytest

from sonoseg.errors import InputError, ModelError, SonosegError, UsageError
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import NetworkInput, NetworkOutput, Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.serving_queue import PredictionQueue, QueueClosed, QueueFull

SOON = 30  # seconds after which a test gives up; nothing here takes one


def frame(name: str = "one", grey: int = 150) -> Frame:
    pixels = np.full((70, 90), grey, dtype=np.uint8)
    pixels[20:50, 30:60] = 10
    return Frame(pixels, name=name)


class Gate:
    """A Predictor whose network waits until it is let through, and tells what it was given."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.open = Event()
        self.entered = Event()
        self.runs: list[list[str]] = []
        self.bad: set[str] = set()

    def read(self, image: Callable[[], Frame], /) -> NetworkInput:
        return self._predictor.read(image)

    def run(self, ready: list[NetworkInput], attention: bool = False, /) -> list[NetworkOutput]:
        self.runs.append([one.frame.name for one in ready])
        self.entered.set()
        assert self.open.wait(SOON)
        if self.bad & set(self.runs[-1]):
            raise RuntimeError("out of memory")
        return self._predictor.run(ready, attention)

    def finish(self, found: NetworkOutput, /) -> Segmentation:
        return self._predictor.finish(found)


@pytest.fixture(scope="module")
def predictor(dark_model: Path) -> Predictor:
    return Predictor(dark_model, runtime="onnx", threads=1)


@pytest.fixture
def gate(predictor: Predictor) -> Iterator[Gate]:
    gate = Gate(predictor)
    yield gate
    gate.open.set()  # nobody waits for ever where a test failed


def closed(gate: Gate, queue: PredictionQueue, wanted: int) -> list[Future[Segmentation]]:
    """Ask for one image, and for `wanted` more while the network has that one."""
    first = queue.submit(lambda: frame("first"))
    assert gate.entered.wait(SOON)
    return [first, *(queue.submit(lambda n=n: frame(str(n))) for n in range(wanted))]  # type: ignore[misc]


def test_the_answer_is_predicts(predictor: Predictor) -> None:
    images = [frame(str(grey), grey) for grey in range(100, 200, 10)]
    with PredictionQueue(predictor, 20, 4) as queue:
        futures = [queue.submit(lambda one=one: one) for one in images]  # type: ignore[misc]
        found = [future.result(SOON) for future in futures]
    assert [one.frame.name for one in found] == [one.name for one in images]
    for one, image in zip(found, images, strict=True):
        expected = predictor.predict(image)
        assert np.allclose(one.probability, expected.probability, atol=1e-5)
        assert np.array_equal(one.mask, expected.mask)
    assert queue.depth == 0
    assert queue.answered == 10
    assert queue.failed == 0


def test_batches_form_while_the_network_works(gate: Gate) -> None:
    with PredictionQueue(gate, 20, 4) as queue:
        futures = closed(gate, queue, 9)
        gate.open.set()
        wait(futures, SOON)
    assert gate.runs[0] == ["first"]  # nobody waits for a batch to fill
    assert sorted(chain(*gate.runs)) == sorted(["first", *map(str, range(9))])
    assert max(map(len, gate.runs)) <= 4
    assert queue.runs == len(gate.runs) < 10


def test_full_is_said_at_once_and_a_place_is_free_after_an_answer(gate: Gate) -> None:
    with PredictionQueue(gate, 3, 1) as queue:
        futures = closed(gate, queue, 2)
        assert queue.depth == 3
        with pytest.raises(QueueFull, match="3 images wait") as full:
            queue.submit(frame)
        assert full.value.retry_after >= 1
        gate.open.set()
        wait(futures, SOON)
        assert queue.submit(frame).result(SOON).mask.any()


def test_the_last_places_are_kept_for_what_is_urgent(gate: Gate) -> None:
    with PredictionQueue(gate, 8, 1) as queue:
        closed(gate, queue, 6)
        with pytest.raises(QueueFull):
            queue.submit(frame)
        queue.submit(frame, urgent=True)
        with pytest.raises(QueueFull):
            queue.submit(frame, urgent=True)
        gate.open.set()


@pytest.mark.parametrize("late", [False, True])
def test_what_is_urgent_goes_first(gate: Gate, late: bool) -> None:
    with PredictionQueue(gate, 20, 1) as queue:
        futures = closed(gate, queue, 6)
        read = Event()

        def urgent() -> Frame:
            read.set()
            return frame("urgent")

        futures.append(queue.submit(urgent, urgent=not late))
        if late:
            queue.hurry(futures[-1])
        assert read.wait(SOON)  # at once, however many wait
        while not any(job.urgent for job in queue._read):
            pass
        gate.open.set()
        wait(futures, SOON)
    assert gate.runs[:2] == [["first"], ["urgent"]]
    assert gate.runs[2:] == [[str(n)] for n in range(6)]  # the others in their order


def test_a_image_that_cannot_be_read_is_its_own_failure(predictor: Predictor) -> None:
    def absent() -> Frame:
        raise InputError("no such file", where="a.png")

    def odd() -> Frame:
        raise ZeroDivisionError("no thought was given to this")

    with PredictionQueue(predictor, 20, 8) as queue:
        good, bad, worse, last = [queue.submit(one) for one in (frame, absent, odd, frame)]
        with pytest.raises(InputError, match=r"a\.png: no such file"):
            bad.result(SOON)
        with pytest.raises(InputError, match=r"cannot be read \(no thought was given to this\)"):
            worse.result(SOON)
        assert good.result(SOON).mask.any()
        assert last.result(SOON).mask.any()
        assert (queue.answered, queue.failed) == (4, 2)


def test_a_batch_that_fails_is_tried_one_by_one(gate: Gate) -> None:
    gate.bad = {"2"}
    with PredictionQueue(gate, 20, 8) as queue:
        first, *futures = closed(gate, queue, 5)
        gate.open.set()
        wait([first, *futures], SOON)
        errors = [future.exception(SOON) for future in futures]
    assert [type(error) for error in errors] == [type(None), type(None), ModelError, type(None), type(None)]
    assert "out of memory" in str(errors[2])


def test_gates_only_for_those_who_ask(gate: Gate) -> None:
    with PredictionQueue(gate, 20, 8) as queue:
        first, without = closed(gate, queue, 1)
        wanted = queue.submit(frame, attention=True)
        gate.open.set()
        assert first.result(SOON).attention is without.result(SOON).attention is None
        attention = wanted.result(SOON).attention
    assert attention is not None
    assert attention["attention_1"].shape == (70, 90)


def test_closing_answers_everybody(gate: Gate) -> None:
    queue = PredictionQueue(gate, 20, 2)
    first, *others = closed(gate, queue, 9)
    closing = Thread(target=queue.close)
    closing.start()
    for future in others:
        assert isinstance(future.exception(SOON), QueueClosed)
    gate.open.set()
    assert first.result(SOON).mask.any()  # the network had begun it
    closing.join(SOON)
    assert not closing.is_alive()
    assert queue.depth == 0
    with pytest.raises(QueueClosed, match="the server is stopping"):
        queue.submit(frame)
    queue.close()


def test_a_cancelled_future_gives_its_place_up(gate: Gate) -> None:
    with PredictionQueue(gate, 5, 1) as queue:
        futures = closed(gate, queue, 4)
        assert futures[-1].cancel()
        again = queue.submit(lambda: frame("again"))
        assert futures[-2].cancel()
        gate.open.set()
        assert again.result(SOON).mask.any()
        with pytest.raises(CancelledError):
            futures[-2].result(SOON)
        assert not wait(futures, SOON).not_done
    assert "3" not in chain(*gate.runs)
    assert queue.depth == 0
    assert queue.failed == 0


def test_retry_after_comes_from_the_measured_speed(gate: Gate) -> None:
    now = [100.0]
    with PredictionQueue(gate, 100, 1, clock=lambda: now[0]) as queue:
        assert queue.seconds_per_image is None
        first = queue.submit(lambda: frame("first"))
        assert gate.entered.wait(SOON)
        now[0] += 8
        gate.open.set()
        first.result(SOON)
        while queue.seconds_per_image is None:  # noted just after the answer
            pass
        assert queue.seconds_per_image == 8
        assert queue.retry_after == 1  # nobody waits
        gate.open.clear()
        gate.entered.clear()
        futures = closed(gate, queue, 9)
        assert queue.retry_after == 10 / 2 * 8
        gate.open.set()
        wait(futures, SOON)


def test_many_threads_at_once_lose_nothing(predictor: Predictor) -> None:
    answers: list[str] = []
    refused = [0]
    lock, start = Lock(), Barrier(8)

    def ask(who: int) -> None:
        start.wait(SOON)
        for n in range(6):
            name = f"{who}-{n}"
            while True:
                try:
                    found = queue.submit(lambda name=name: frame(name), urgent=n % 2 == 0).result(SOON)  # type: ignore[misc]
                except QueueFull:
                    refused[0] += 1
                    Event().wait(0.002)
                    continue
                assert found.frame.name == name
                with lock:
                    answers.append(name)
                break

    with PredictionQueue(predictor, 4, 3) as queue:
        threads = [Thread(target=ask, args=(who,)) for who in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)
        assert len(set(answers)) == len(answers) == 48
        assert queue.depth == 0
        assert queue.answered == 48
    assert refused[0] > 0


@pytest.mark.parametrize(("length", "batch"), [(0, 1), (1, 0)])
def test_a_queue_needs_places_and_a_batch(predictor: Predictor, length: int, batch: int) -> None:
    with pytest.raises(UsageError, match="Give 1 or more"):
        PredictionQueue(predictor, length, batch)


def test_its_errors_are_ours() -> None:
    assert issubclass(QueueFull, SonosegError)
    assert issubclass(QueueClosed, SonosegError)
    assert "Ask again in 3 s" in str(QueueFull(7, 3.2))
