"""Jobs under ids that a retry finds again. Knows their life, not what they do.

A job's id is made of its kind, its key and the number of the try. Who finds the id taken looks at that job:
one that runs is waited for, one that failed is history and the next number is tried, one that succeeded is
the result, where repeating it would be waste.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.api_core import exceptions

from tideline.errors import IntegrityError, RetriableError, WarehouseRefusedError, WarehouseUnavailableError
from tideline.warehouse import names
from tideline.warehouse.failures import of_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from google.cloud import bigquery

    from tideline.errors import TidelineError
    from tideline.settings import Settings
    from tideline.warehouse.patience import Patience

    Job: TypeAlias = bigquery.QueryJob | bigquery.LoadJob | bigquery.CopyJob

DONE = "DONE"
_MOST_NUMBERS = 100
_FIRST_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Work:
    """One job to be done, under whatever try number it takes."""

    kind: str
    """One word of the job id: `merge`, `load`, …"""
    key: str
    """What makes it this job and no other, on any machine."""
    begin: Callable[[str, float], Job]
    """Sends it under a job id, within so many seconds, without retries."""
    is_same: Callable[[Job], bool]
    """Whether a job found under the id does the same."""
    reuse: bool
    """Whether a success found under the id is as good as doing it again."""
    place: str = ""
    """What to show beside the job id in errors: the first lines of SQL, or a table."""


@dataclass(frozen=True)
class Jobs:
    """Runs jobs of one client."""

    client: bigquery.Client
    settings: Settings
    patience: Patience

    def run(self, work: Work) -> Job:
        """Do the work, or find it done.

        Raises:
            WarehouseUnavailableError: It failed again and again with something that passes, or it still runs.
            WarehouseRefusedError: It failed with something that does not pass.
            IntegrityError: A job of its id does something else.
        """
        failures = 0
        for number in range(1, _MOST_NUMBERS + 1):
            job, is_history = self._start(work, number)
            failure = self._finish(job, work)
            if failure is None:
                if not is_history or work.reuse:
                    return job
                continue
            if is_history:  # whatever it was, a person may have removed the cause since
                continue
            failures += 1
            if not isinstance(failure, RetriableError) or failures == self.patience.tries:
                raise failure
            self.patience.pause(failures, str(failure))
        raise WarehouseRefusedError(
            f"this {work.kind} job has been tried {_MOST_NUMBERS} times",
            place=self._place(names.job_id(work.kind, work.key, _MOST_NUMBERS, self.settings), work),
            remedy="look at the errors of these jobs, then run refine and merge of the window anew",
        )

    def _start(self, work: Work, number: int) -> tuple[Job, bool]:
        """The job of that number, and whether it was over before we came."""
        job_id = names.job_id(work.kind, work.key, number, self.settings)
        requests = 0
        found = was_there = False

        def request(seconds: float) -> Job:
            nonlocal requests, found, was_there
            requests += 1
            try:
                return work.begin(job_id, seconds)
            except exceptions.Conflict:
                # after a lost reply the job that is there is the one we sent
                found, was_there = True, was_there or requests == 1
                return self._find(job_id, seconds)

        job = self.patience.call(self._place(job_id, work), request)
        if found and not work.is_same(job):
            raise IntegrityError(
                "a job of this id exists and does something else",
                place=self._place(job_id, work),
                remedy="two deployments share a project: give each its own TIDELINE_DATASET_PREFIX",
            )
        return job, was_there and job.state == DONE

    def _find(self, job_id: str, seconds: float) -> Job:
        try:
            return self.client.get_job(job_id, location=self.settings.location, retry=None, timeout=seconds)
        except exceptions.NotFound as error:  # for a moment a job exists for jobs.insert alone
            raise exceptions.ServiceUnavailable(f"job {job_id} exists but cannot be read yet") from error

    def _finish(self, job: Job, work: Work) -> TidelineError | None:
        """Wait until the job is over; what went wrong, or None."""
        place = self._place(str(job.job_id), work)
        ends = self.patience.clock() + self.patience.deadline_seconds
        pause = _FIRST_POLL_SECONDS
        while job.state != DONE:
            if self.patience.clock() >= ends:
                raise WarehouseUnavailableError(
                    f"the job still runs after {self.patience.deadline_seconds:g} s",
                    place=place,
                    remedy="retry; it finds the job and goes on waiting",
                )
            self.patience.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
            self.patience.call(place, lambda seconds: job.reload(retry=None, timeout=seconds))
        return of_job(job.error_result, place) if job.error_result else None

    def _place(self, job_id: str, work: Work) -> str:
        return f"job {job_id}: {work.place}" if work.place else f"job {job_id}"
