"""A cluster of two processes for each file of tests."""

import pytest


@pytest.fixture(scope="module")
def client():
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    psutil = pytest.importorskip("psutil")  # which distributed needs as well
    before = set(psutil.Process().children(recursive=True))
    settings = {"distributed.scheduler.work-stealing": False}  # parts stay where the tests put them
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
    # What is left is a resource tracker of Python's own, which lives as long as this process.
    left = set(psutil.Process().children(recursive=True)) - before
    left = {process for process in left if "resource_tracker" not in " ".join(process.cmdline())}
    _, alive = psutil.wait_procs(left, timeout=20)
    assert [process.cmdline() for process in alive] == []


@pytest.fixture(scope="module")
def skewed(client):
    from clusters import Skewed

    return Skewed(client)
