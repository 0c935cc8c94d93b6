"""Who may ask: tried as a browser, a page of another site and a name that leads here would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import tissue_rgb, write_tiff
from helpers.served_pages import TOKEN, Answer, ask, served
from helpers.written_results import write_labels

from wsi_seg.view.finding import Asked

Client = Callable[..., Answer]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (5, 6)), np.ones((32, 32))).astype(np.uint8)
    return write_labels(tmp_path_factory.mktemp("guard") / "a", labels)


@pytest.fixture(scope="module")
def client(result: Path) -> Iterator[Client]:
    with served(Asked(result)) as address:
        yield partial(ask, address)


def test_who_knows_the_address_sees_the_slide(client: Client) -> None:
    answer = client(f"/{TOKEN}/")
    assert (answer.status, answer.headers["location"]) == (307, "s/0/")
    answer = client(f"/{TOKEN}/s/0/")
    assert answer.status == 200
    assert "<title>wsi-seg</title>" in answer.text
    assert client(f"/{TOKEN}/s/0/about.json").json["legend"][1]["name"] == "Stroma"
    for name, kind in (("slide.js", "text/javascript"), ("slide.css", "text/css")):
        answer = client(f"/{TOKEN}/web/{name}")
        assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    "path", ["/", "/s/0/", "/wrong/", "/wrong/s/0/about.json", f"/{TOKEN[:-1]}/", "/%C3%A9/"]
)
def test_without_the_token_there_is_nothing(client: Client, path: str) -> None:
    answer = client(path)
    assert answer.status == 404
    assert answer.text == "open the whole address that wsi-seg view prints"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[::1"])
def test_a_name_that_leads_here_is_refused(client: Client, host: str) -> None:
    answer = client(f"/{TOKEN}/s/0/about.json", host=host)
    assert answer.status == 403


def test_the_port_may_be_another_as_through_a_tunnel(client: Client) -> None:
    for host in ("localhost:9999", "127.0.0.1:1234", "localhost"):
        assert client(f"/{TOKEN}/s/0/about.json", host=host).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
    ],
)
def test_a_page_of_another_site_is_refused(client: Client, headers: dict[str, str]) -> None:
    answer = client(f"/{TOKEN}/s/0/about.json", **headers)
    assert answer.status == 403
    assert "Stroma" not in answer.text


def test_a_link_may_be_followed_and_a_page_of_ours_may_ask(client: Client) -> None:
    followed = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    ours = {"host": "localhost:5", "origin": "http://localhost:5", "sec_fetch_site": "same-origin"}
    for headers in (followed, ours, {"sec_fetch_site": "none"}):
        assert client(f"/{TOKEN}/s/0/", **headers).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(client: Client, method: str) -> None:
    answer = client(f"/{TOKEN}/s/0/about.json", method)
    assert answer.status == 405
    assert "access-control-allow-origin" not in answer.headers


def test_every_answer_says_what_a_browser_may_do_with_it(client: Client) -> None:
    for path in (f"/{TOKEN}/s/0/", f"/{TOKEN}/s/0/labels/0/0_0.png", "/wrong", f"/{TOKEN}/none"):
        headers = client(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "web/../guard.py",
        "web/%2e%2e/guard.py",
        "web/..%2fguard.py",
        "web/%2e%2e%2f%2e%2e%2f__init__.py",
        "web//etc/passwd",
        "web/%2fetc%2fpasswd",
        "web/slide.html",
        "web/LICENSE.txt",
        "web/.hidden.js",
        "web/slide.js/../../guard.py",
        "web/..%5cguard.py",
        "s/0/slide/../../../guard.py",
        "s/0/%2e%2e/%2e%2e/record.json",
        "picture/..%2f..%2fx",
        "about.json",
        "s/1/",
        "s/-1/",
        "s/9999999999/about.json",
        "s/0/slide/99/0_0.jpg",
        "s/0/slide/0/99999999_0.jpg",
        "s/0/slide/x/0_0.jpg",
        "s/0/labels/0/-1_0.png",
    ],
)
def test_no_other_file_and_no_other_tile_is_served(client: Client, path: str) -> None:
    answer = client(f"/{TOKEN}/{path}")
    assert answer.status == 404, answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("s/0/labels/0/0_0.png?as=wood", 422),
        ("s/0/labels/0/0_0.png?as=confidence", 422),
        ("s/0/labels/0/0_0.png?hidden=a", 422),
        ("s/0/at.json", 400),
        ("s/0/at.json?x=1&y=nan", 400),
        ("s/0/at.json?x=1&y=1e300", 400),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(client: Client, path: str, status: int) -> None:
    answer = client(f"/{TOKEN}/{path}")
    assert answer.status == status
    assert "\n" not in answer.text
    assert "Traceback" not in answer.text


def test_a_slide_alone_has_no_classes(tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "s.tiff", tissue_rgb(200, 300), levels=2)
    with served(Asked(slide)) as address:
        client = partial(ask, address)
        about = client(f"/{TOKEN}/s/0/about.json").json
        assert about["labels"] is None
        assert about["mpp"] == [2.0, 2.0]
        assert client(f"/{TOKEN}/s/0/slide/0/0_0.jpg").headers["content-type"] == "image/jpeg"
        assert client(f"/{TOKEN}/s/0/labels/0/0_0.png").status == 404
        assert client(f"/{TOKEN}/s/0/at.json?x=3&y=4").json == {}
