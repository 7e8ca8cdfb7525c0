"""Memory, stall and size of a checkpoint, compared with torch.distributed.checkpoint: `make benchmark-checkpoint`.

Two processes hold the same model, as DDP does, and save and resume it with each. The reference copies the whole
state on every rank, saves in the background and resumes into a state that an empty step has created, as torch's
documentation shows. Then ours in an object store on loopback: moto, a server in Python that is slower than a real one.

    python benchmarks/checkpoint.py [MEGABYTES]     MEGABYTES: weights and optimizer state of one process (500)
    python benchmarks/checkpoint.py --store         only the last part, of 60 MB
"""

import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RANKS = 2
BUCKET = "bench"
STORE_MEGABYTES = 60
PERIOD = 600
"""Seconds between two checkpoints by default."""
WIDTH = 1024
SAVES = 3
MB = 1e6


@dataclass(frozen=True)
class Result:
    """Of one rank, in megabytes and seconds. Memory is above what the model and its optimizer take themselves.

    stall, total: the shortest of SAVES saves, until training continues and until the step is committed.
    """

    stall: float
    total: float
    save_memory: float
    resume: float
    resume_memory: float


Save = Callable[[Any, Any, Path], list[tuple[float, float]]]
Resume = Callable[[Any, Any, Path], None]


def read_memory() -> float:
    """Megabytes of this process that are not pages of a file, which the kernel can drop at any time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 / MB for line in lines if line.startswith(("RssAnon", "RssShmem")))


@contextmanager
def watching_memory() -> Iterator[list[float]]:
    """All readings while the block runs."""
    readings, done = [read_memory()], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            readings.append(read_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield readings
    finally:
        done.set()
        thread.join()


def build_model(megabytes: int, frozen: float) -> tuple[Any, Any]:
    """Layers of 4 MB of weights, the first `frozen` share of which is not trained, after one step."""
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(max(2, int(megabytes * MB / (12 * WIDTH**2))))]
    for layer in layers[: int(frozen * len(layers))]:
        layer.requires_grad_(requires_grad=False)
    model = torch.nn.Sequential(*layers)
    return model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)


def train_step(model: Any, optimizer: Any) -> None:
    import torch

    model(torch.ones(1, WIDTH)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def save_ours(model: Any, optimizer: Any, path: Path) -> list[tuple[float, float]]:
    return save_to(f"file://{path}", model, optimizer)


def save_to_store(model: Any, optimizer: Any, path: Path) -> list[tuple[float, float]]:
    return save_to(f"s3://{BUCKET}{path}", model, optimizer)


def save_to(uri: str, model: Any, optimizer: Any) -> list[tuple[float, float]]:
    from deepsynth_train.checkpoint.content import Snapshot
    from deepsynth_train.checkpoint.folder import CheckpointFolder
    from deepsynth_train.checkpoint.owner import Owner
    from deepsynth_train.checkpoint.state.trained import Trained

    folder = CheckpointFolder(uri, Owner("uid", "fingerprint", 1), keep_last=1)
    folder.claim()
    times = []
    for step in range(1, SAVES + 1):
        start = time.perf_counter()
        folder.save(step, Snapshot(Trained(model, optimizer), {}))
        stall = time.perf_counter() - start
        folder.wait()
        times.append((stall, time.perf_counter() - start))
    return times


def resume_ours(model: Any, optimizer: Any, path: Path) -> None:
    resume_from(f"file://{path}", model, optimizer)


def resume_from_store(model: Any, optimizer: Any, path: Path) -> None:
    resume_from(f"s3://{BUCKET}{path}", model, optimizer)


def resume_from(uri: str, model: Any, optimizer: Any) -> None:
    from deepsynth_train.checkpoint.folder import CheckpointFolder
    from deepsynth_train.checkpoint.owner import Owner
    from deepsynth_train.checkpoint.state.trained import Trained

    loaded = CheckpointFolder(uri, Owner("uid", "fingerprint", 2)).load_latest(Trained(model, optimizer))
    assert loaded is not None  # noqa: S101 - a benchmark


def save_reference(model: Any, optimizer: Any, path: Path) -> list[tuple[float, float]]:
    import torch.distributed as dist
    from torch.distributed.checkpoint.state_dict import get_state_dict
    from torch.distributed.checkpoint.state_dict_saver import async_save

    group: Any = dist.new_group(backend="gloo")
    times = []
    for _ in range(SAVES):
        dist.barrier()
        if dist.get_rank() == 0:
            shutil.rmtree(path, ignore_errors=True)
        dist.barrier()
        start = time.perf_counter()
        weights, state = get_state_dict(model, optimizer)
        saving: Any = async_save({"model": weights, "optimizer": state}, checkpoint_id=path, process_group=group)
        stall = time.perf_counter() - start
        saving.result()
        times.append((stall, time.perf_counter() - start))
    return times


def resume_reference(model: Any, optimizer: Any, path: Path) -> None:
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
    from torch.distributed.checkpoint.state_dict_loader import load

    weights, state = get_state_dict(model, optimizer)
    load({"model": weights, "optimizer": state}, checkpoint_id=path)
    set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=state)


def measure(rank: int, path: Path, size: tuple[int, float], ways: tuple[Save, Resume], queue: Any) -> None:
    """In one process. size: arguments of build_model."""
    import torch
    import torch.distributed as dist

    save, resume = ways
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{path}/meeting", rank=rank, world_size=RANKS)
    small, small_optimizer = build_model(1, 0)  # imports and buffers that are there once
    train_step(small, small_optimizer)
    save(small, small_optimizer, path / "small")
    resume(*build_model(1, 0), path / "small")
    model, optimizer = build_model(*size)
    train_step(model, optimizer)
    dist.barrier()
    before = read_memory()
    with watching_memory() as readings:
        times = save(model, optimizer, path / "large")
    save_memory = max(readings) - before
    expected = [parameter.detach().clone() for parameter in model.parameters()]
    del model, optimizer
    fresh, fresh_optimizer = build_model(*size)
    with torch.no_grad():
        for parameter in fresh.parameters():
            if parameter.requires_grad:
                parameter.zero_()
    dist.barrier()
    with watching_memory() as readings:
        start = time.perf_counter()
        resume(fresh, fresh_optimizer, path / "large")
        resumed = time.perf_counter() - start
    same = all(torch.equal(*pair) for pair in zip(fresh.parameters(), expected, strict=True))
    assert same  # noqa: S101 - a benchmark
    stall, total = (min(values) for values in zip(*times, strict=True))
    queue.put(Result(stall, total, save_memory, resumed, max(0.0, max(readings) - read_memory())))
    dist.barrier()


def run(megabytes: int, frozen: float, ways: tuple[Save, Resume]) -> tuple[Result, float]:
    """The largest figures of the ranks, and the megabytes on disk."""
    context = multiprocessing.get_context("spawn")
    path = Path(tempfile.mkdtemp())
    try:
        queue: Any = context.SimpleQueue()
        arguments = (path, (megabytes, frozen), ways, queue)
        processes = [context.Process(target=measure, args=(rank, *arguments)) for rank in range(RANKS)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            raise SystemExit("a rank failed")
        results = [queue.get() for _ in processes]
        size = sum(file.stat().st_size for file in (path / "large").rglob("*") if file.is_file()) / MB
        return Result(*(max(values) for values in zip(*(vars(r).values() for r in results), strict=True))), size
    finally:
        shutil.rmtree(path)


def start_store() -> None:
    """In this process, with an empty bucket; the ranks find it in their environment."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(AWS_ENDPOINT_URL=f"http://{host}:{port}", AWS_ACCESS_KEY_ID="key")
    os.environ["AWS_SECRET_ACCESS_KEY"] = "any"  # noqa: S105 - the server takes any
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)


def compare_with_store() -> None:
    start_store()
    folder, _ = run(STORE_MEGABYTES, 0.0, (save_ours, resume_ours))
    store, _ = run(STORE_MEGABYTES, 0.0, (save_to_store, resume_from_store))
    both = (folder, store)
    rows = {
        "save: training waits, ms": [1e3 * found.stall for found in both],
        "save: until committed, ms": [1e3 * found.total for found in both],
        "save: memory of a rank above its state, MB": [found.save_memory for found in both],
        "training waits, % of the time if saves follow each other": [100 * found.stall / found.total for found in both],
        f"training waits, % of the time with a save each {PERIOD} s": [100 * found.stall / PERIOD for found in both],
        "resume, ms": [1e3 * found.resume for found in both],
        "resume: memory of a rank above its state, MB": [found.resume_memory for found in both],
    }
    print(f"\n{STORE_MEGABYTES} MB, {RANKS} processes{'folder':>47} {'store':>11}")
    for name, values in rows.items():
        print(f"  {name:<58} {values[0]:>9.4g} {values[1]:>11.4g}")


def main() -> None:
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # freed memory is returned at once, so that readings are exact
    if sys.argv[1:] == ["--store"]:
        compare_with_store()
        return
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    for title, frozen in (("all weights trained", 0.0), ("95 % of the weights frozen", 0.95)):
        ours, our_size = run(megabytes, frozen, (save_ours, resume_ours))
        theirs, their_size = run(megabytes, frozen, (save_reference, resume_reference))
        rows = [
            ("save: memory of a rank above its state, MB", theirs.save_memory, ours.save_memory),
            ("save: training waits, ms", 1e3 * theirs.stall, 1e3 * ours.stall),
            ("save: until committed (ours: with sha256), ms", 1e3 * theirs.total, 1e3 * ours.total),
            ("resume: memory of a rank above its state, MB", theirs.resume_memory, ours.resume_memory),
            ("resume (ours: with sha256), ms", 1e3 * theirs.resume, 1e3 * ours.resume),
            ("size on disk, MB", their_size, our_size),
        ]
        print(f"\n{title}, {RANKS} processes{'torch':>32} {'deepsynth':>11} {'ratio':>7}")
        for name, reference, own in rows:
            print(f"  {name:<58} {reference:>9.1f} {own:>11.1f} {own / max(reference, 0.05):>7.2f}")
    compare_with_store()


if __name__ == "__main__":
    main()
