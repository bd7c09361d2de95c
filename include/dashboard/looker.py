"""Links into Looker Studio: one URL of its Linking API for each page. Sends nothing.

The API's parameters: https://developers.google.com/looker-studio/integrate/linking-api
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from dashboard.target import Target, TargetError, from_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboard.pages import Page

CREATE = "https://lookerstudio.google.com/reporting/create"
_REPORT_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Looker:
    """What links need to know.

    Attributes:
        target: The warehouse whose marts are shown.
        billing_project: Who pays for the queries.
        template: The id of a report that was built once from looker/pages.md; None for a blank one.
    """

    target: Target
    billing_project: str
    template: str | None = None


def looker_from_environment(environ: Mapping[str, str] | None = None) -> Looker:
    """The warehouse of this environment, TIDELINE_LOOKER_BILLING_PROJECT and TIDELINE_LOOKER_TEMPLATE.

    Raises:
        TargetError: A variable does not hold what it should.
    """
    env = os.environ if environ is None else environ
    target = from_environment(env)
    template = env.get("TIDELINE_LOOKER_TEMPLATE") or None
    if template and not _REPORT_ID.fullmatch(template):
        raise TargetError(
            f"TIDELINE_LOOKER_TEMPLATE is {template!r}; set it to the id between /reporting/ and /page/ "
            "in the URL of the template, or unset it for a blank report"
        )
    return Looker(target, env.get("TIDELINE_LOOKER_BILLING_PROJECT") or target.project, template)


def url(page: Page, looker: Looker) -> str:
    """The link that makes a report of a page's tables; the data sources are `ds0`, `ds1` … in their order."""
    parameters = {"c.mode": "edit", "r.reportName": f"Tideline: {page.title}"}
    if looker.template:
        parameters["c.reportId"] = looker.template
    for number, table in enumerate(page.tables):
        source = f"ds.ds{number}"
        parameters |= {
            f"{source}.connector": "bigQuery",
            f"{source}.datasourceName": table,
            f"{source}.type": "TABLE",
            f"{source}.projectId": looker.target.project,
            f"{source}.datasetId": f"{looker.target.prefix}marts",
            f"{source}.tableId": table,
            f"{source}.billingProjectId": looker.billing_project,
            # a template's fields are those of pages.md already; a blank report has none and must look
            f"{source}.refreshFields": "false" if looker.template else "true",
        }
        if table in page.partitioned:
            # its partition column becomes the date range: a table that refuses queries without one needs it
            parameters[f"{source}.isPartitioned"] = "true"
    return f"{CREATE}?{urlencode(parameters, quote_via=quote)}"
