"""Generated pages say what the code says now, and lead to where they point."""

import re

import pytest

from docs.generate import DOCS, PAGES
from domain.records import EVENTS


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_has_not_drifted(name: str) -> None:
    path = DOCS / name
    assert path.exists(), f"docs/{name} is missing: run `python -m docs.generate`"
    assert path.read_text(encoding="utf-8") == PAGES[name](), f"docs/{name} has drifted: run `python -m docs.generate`"


def anchors(page: str) -> list[str]:
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_catalogue_of_events_links_to_what_it_holds() -> None:
    page = PAGES["reference/events.md"]()
    assert len(anchors(page)) == len(set(anchors(page)))
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(anchors(page))


def test_the_catalogue_holds_every_event_and_says_whether_it_is_personal() -> None:
    page = PAGES["reference/events.md"]()
    for name in EVENTS:
        assert f"### {name}\n" in page
    assert "| personal | The person was said to bear this name. |" in page
    assert "| open | Goods were seized. |" in page
    assert "its subject is `party`" in page
