"""The small model of the demo page's tests, a server that draws with it, and a browser."""

import shutil

import pytest
from demo_page import make
from demo_server import serving

from tinydiff.models import save

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder in which the server keeps files, if any."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def address(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("serve") / "tiny"
    save(folder, make())
    with serving(folder, files) as address:
        yield address


@pytest.fixture
def browser_page():
    sync_api = pytest.importorskip("playwright.sync_api", reason="this test drives a browser: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("this test drives Chromium, which is not installed: apt install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(120_000)
        yield page
        browser.close()
