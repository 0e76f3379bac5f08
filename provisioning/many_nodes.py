"""Works on many nodes: all at once, or one after the other until the first failure.

Ctrl-C lets every node finish the step it is at and begins no other; a second one leaves at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from provisioning.errors import ProvisioningError
from provisioning.one_node import Job
from provisioning.stop_sign import StopSign

Work = Callable[[Job], str]


def all_at_once(jobs: Sequence[Job], work: Work, together: int, stop: StopSign) -> bool:
    """Work on up to `together` nodes at a time; True when it went well on all."""
    with ThreadPoolExecutor(max_workers=max(1, together)) as pool:
        left: set[Future[bool]] = {pool.submit(_one, job, work, stop) for job in jobs}
        results = []
        while left:
            try:
                done, left = wait(left, timeout=0.2, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                if stop():
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
                stop.raise_()
                jobs[0].report.console.print(
                    "stopping: each node finishes its step first (Ctrl-C again: leave at once; "
                    "what runs on the nodes then runs on by itself)"
                )
                continue
            results += [future.result() for future in done]
    return all(results)


def one_by_one(jobs: Sequence[Job], work: Work, stop: StopSign) -> bool:
    """Work on one node after the other; the first failure is the end."""
    return all(all_at_once([job], work, 1, stop) for job in jobs)


def _one(job: Job, work: Work, stop: StopSign) -> bool:
    if stop():
        return False
    job.report.begin(job.node_id)
    try:
        outcome = work(job)
    except ProvisioningError as error:
        job.report.end(job.node_id, error.outcome, str(error))
        return False
    except Exception as error:
        job.report.end(job.node_id, "failed (a bug)", f"{job.node_id}: {error!r}")
        raise
    job.report.end(job.node_id, outcome)
    return True
