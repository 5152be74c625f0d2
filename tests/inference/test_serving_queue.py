"""The serving queue: its order, bounds, batches, and closing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, wait
from itertools import chain
from pathlib import Path
from threading import Barrier, Event, Lock, Thread

import numpy as np
import pytest

from sonoseg.errors import InputError, ModelError, SonosegError, UsageError
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.serving_queue import PredictionQueue, QueueClosed, QueueFull
from sonoseg.inference.steps import NetworkInput, NetworkOutput

SOON = 30  # seconds after which a test fails; nothing here takes one


def frame(name: str = "one", grey: int = 150) -> Frame:
    pixels = np.full((70, 90), grey, dtype=np.uint8)
    pixels[20:50, 30:60] = 10
    return Frame(pixels, name=name)


class Gate:
    """A Predictor whose network waits until it is let through, and records its batches."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.steps = predictor.steps
        self.open = Event()
        self.entered = Event()
        self.runs: list[list[str]] = []
        self.bad: set[str] = set()

    def read(self, image: Callable[[], Frame], /) -> NetworkInput:
        return self._predictor.read(image)

    def run(self, inputs: Sequence[NetworkInput], attention: bool = False, /) -> list[NetworkOutput]:
        self.runs.append([one.frame.name for one in inputs])
        self.entered.set()
        assert self.open.wait(SOON)
        if self.bad & set(self.runs[-1]):
            raise RuntimeError("out of memory")
        return self._predictor.run(inputs, attention)

    def finish(self, output: NetworkOutput, /) -> Segmentation:
        return self._predictor.finish(output)


@pytest.fixture(scope="module")
def predictor(dark_model: Path) -> Predictor:
    return Predictor(dark_model, runtime="onnx", threads=1)


@pytest.fixture
def gate(predictor: Predictor) -> Iterator[Gate]:
    gate = Gate(predictor)
    yield gate
    gate.open.set()  # no thread waits forever where a test failed


def submit_behind_gate(gate: Gate, queue: PredictionQueue, wanted: int) -> list[Future[Segmentation]]:
    """Submit one image, and `wanted` more while the network is busy with it."""
    first = queue.submit(lambda: frame("first"))
    assert gate.entered.wait(SOON)
    return [first, *(queue.submit(lambda n=n: frame(str(n))) for n in range(wanted))]  # type: ignore[misc]


def test_results_are_those_of_predict(predictor: Predictor) -> None:
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
        futures = submit_behind_gate(gate, queue, 9)
        gate.open.set()
        wait(futures, SOON)
    assert gate.runs[0] == ["first"]  # no image waits for a batch to fill
    assert sorted(chain(*gate.runs)) == sorted(["first", *map(str, range(9))])
    assert max(map(len, gate.runs)) <= 4
    assert queue.runs == len(gate.runs) < 10


def test_a_full_queue_refuses_at_once_until_a_result_frees_a_place(gate: Gate) -> None:
    with PredictionQueue(gate, 3, 1) as queue:
        futures = submit_behind_gate(gate, queue, 2)
        assert queue.depth == 3
        with pytest.raises(QueueFull, match="3 images are waiting") as full:
            queue.submit(frame)
        assert full.value.retry_after >= 1
        gate.open.set()
        wait(futures, SOON)
        assert queue.submit(frame).result(SOON).mask.any()


def test_the_last_places_are_reserved_for_urgent_requests(gate: Gate) -> None:
    with PredictionQueue(gate, 8, 1) as queue:
        submit_behind_gate(gate, queue, 6)
        with pytest.raises(QueueFull):
            queue.submit(frame)
        queue.submit(frame, urgent=True)
        with pytest.raises(QueueFull):
            queue.submit(frame, urgent=True)
        gate.open.set()


@pytest.mark.parametrize("late", [False, True])
def test_urgent_requests_go_first(gate: Gate, late: bool) -> None:
    with PredictionQueue(gate, 20, 1) as queue:
        futures = submit_behind_gate(gate, queue, 6)
        read = Event()

        def urgent() -> Frame:
            read.set()
            return frame("urgent")

        futures.append(queue.submit(urgent, urgent=not late))
        if late:
            queue.hurry(futures[-1])
        assert read.wait(SOON)  # at once, however many wait
        while not any(request.urgent for request in queue._read):
            pass
        gate.open.set()
        wait(futures, SOON)
    assert gate.runs[:2] == [["first"], ["urgent"]]
    assert gate.runs[2:] == [[str(n)] for n in range(6)]  # the others in their order


def test_an_image_that_cannot_be_read_affects_no_other(predictor: Predictor) -> None:
    def absent() -> Frame:
        raise InputError("no such file", where="a.png")

    def odd() -> Frame:
        raise ZeroDivisionError("unforeseen")

    with PredictionQueue(predictor, 20, 8) as queue:
        good, bad, worse, last = [queue.submit(one) for one in (frame, absent, odd, frame)]
        with pytest.raises(InputError, match=r"a\.png: no such file"):
            bad.result(SOON)
        with pytest.raises(InputError, match=r"cannot be read \(unforeseen\)"):
            worse.result(SOON)
        assert good.result(SOON).mask.any()
        assert last.result(SOON).mask.any()
        assert (queue.answered, queue.failed) == (4, 2)


def test_a_batch_that_fails_is_run_one_by_one(gate: Gate) -> None:
    gate.bad = {"2"}
    with PredictionQueue(gate, 20, 8) as queue:
        first, *futures = submit_behind_gate(gate, queue, 5)
        gate.open.set()
        wait([first, *futures], SOON)
        errors = [future.exception(SOON) for future in futures]
    assert [type(error) for error in errors] == [type(None), type(None), ModelError, type(None), type(None)]
    assert "out of memory" in str(errors[2])


def test_attention_maps_only_where_requested(gate: Gate) -> None:
    with PredictionQueue(gate, 20, 8) as queue:
        first, without = submit_behind_gate(gate, queue, 1)
        wanted = queue.submit(frame, attention=True)
        gate.open.set()
        assert first.result(SOON).attention is without.result(SOON).attention is None
        attention = wanted.result(SOON).attention
    assert attention is not None
    assert attention["attention_1"].shape == (70, 90)


def test_closing_answers_every_request(gate: Gate) -> None:
    queue = PredictionQueue(gate, 20, 2)
    first, *others = submit_behind_gate(gate, queue, 9)
    closing = Thread(target=queue.close)
    closing.start()
    for future in others:
        assert isinstance(future.exception(SOON), QueueClosed)
    gate.open.set()
    assert first.result(SOON).mask.any()  # the network had begun it
    closing.join(SOON)
    assert not closing.is_alive()
    assert queue.depth == 0
    with pytest.raises(QueueClosed, match="stopping"):
        queue.submit(frame)
    queue.close()


def test_a_cancelled_future_frees_its_place(gate: Gate) -> None:
    with PredictionQueue(gate, 5, 1) as queue:
        futures = submit_behind_gate(gate, queue, 4)
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


def test_retry_after_follows_the_measured_pace(gate: Gate) -> None:
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
        futures = submit_behind_gate(gate, queue, 9)
        assert queue.retry_after == 10 / 2 * 8
        gate.open.set()
        wait(futures, SOON)


def test_many_concurrent_threads_lose_no_request(predictor: Predictor) -> None:
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
def test_a_length_or_batch_below_one_is_refused(predictor: Predictor, length: int, batch: int) -> None:
    with pytest.raises(UsageError, match="Give 1 or more"):
        PredictionQueue(predictor, length, batch)


def test_errors_are_sonoseg_errors() -> None:
    assert issubclass(QueueFull, SonosegError)
    assert issubclass(QueueClosed, SonosegError)
    assert "Retry in 3 s" in str(QueueFull(7, 3.2))
