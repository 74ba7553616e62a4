"""The small model of the demo page's tests, and a server that draws with it."""

import pytest
from demo_page import make
from demo_server import serving

from tinydiff.models import save_model


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
    save_model(folder, make())
    with serving(folder, files) as address:
        yield address
