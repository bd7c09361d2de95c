"""Links into Looker Studio hold the published parameters, and no more than belongs into them."""

from urllib.parse import parse_qs, urlsplit

import pytest

from dashboard.cli import PAGES
from dashboard.looker import CREATE, looker_from_environment, url
from dashboard.pages import read_pages
from dashboard.target import TargetError

PAGE_LIST = read_pages(PAGES)
ENVIRONMENT = {"TIDELINE_PROJECT": "acme-dw", "TIDELINE_DATASET_PREFIX": "dev_"}


def parameters(page, **more):
    link = url(page, looker_from_environment(ENVIRONMENT | more))
    assert link.startswith(f"{CREATE}?")
    assert "+" not in urlsplit(link).query, "a space must be %20 there"
    return {name: value for name, (value,) in parse_qs(urlsplit(link).query, strict_parsing=True).items()}


@pytest.mark.parametrize("page", PAGE_LIST, ids=lambda page: page.name)
def test_a_link_names_every_table_of_its_page(page):
    found = parameters(page)
    tables = [found[f"ds.ds{number}.tableId"] for number in range(len(page.tables))]
    assert tuple(tables) == page.tables
    assert f"ds.ds{len(tables)}.tableId" not in found
    for number, table in enumerate(tables):
        source = {name.split(".")[2]: v for name, v in found.items() if name.startswith(f"ds.ds{number}.")}
        assert source == {
            "connector": "bigQuery",
            "type": "TABLE",
            "datasourceName": table,
            "projectId": "acme-dw",
            "datasetId": "dev_marts",
            "tableId": table,
            "billingProjectId": "acme-dw",
            "refreshFields": "true",
            **({"isPartitioned": "true"} if table in page.partitioned else {}),
        }
    assert {name for name in found if not name.startswith("ds.")} == {"c.mode", "r.reportName"}


def test_a_template_is_linked_and_its_fields_are_kept():
    found = parameters(
        PAGE_LIST[0], TIDELINE_LOOKER_TEMPLATE="abc-DEF_1", TIDELINE_LOOKER_BILLING_PROJECT="payer"
    )
    assert found["c.reportId"] == "abc-DEF_1"
    assert found["ds.ds0.refreshFields"] == "false"
    assert found["ds.ds0.billingProjectId"] == "payer"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIDELINE_LOOKER_TEMPLATE", "https://lookerstudio.google.com/reporting/abc"),
        ("TIDELINE_PROJECT", "a b"),
        ("TIDELINE_DATASET_PREFIX", "x&ds.ds0.sql=y"),
        ("BIGQUERY_EMULATOR_HOST", "no url"),
    ],
)
def test_what_does_not_belong_into_a_link_is_refused(name, value):
    with pytest.raises(TargetError, match=name):
        looker_from_environment({name: value})
