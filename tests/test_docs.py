"""The documents point to what exists: files, headings, tests, equations."""

import re
from pathlib import Path

import numpy as np
import pytest

from tinydiff.base import Noise
from tinydiff.data import load_data
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule
from tinydiff.functional import mse, mse_backward
from tinydiff.networks import UNet, UNetConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.train import AdamW
from tools.check_equations import Check

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), *ROOT.glob("tinydiff/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def headings(path):
    """Return the anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_named_tests_exist(page):
    text = page.read_text(encoding="utf-8")
    for target, anchor in LINK.findall(text):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{page.name} links to {target}, which does not exist"
        if anchor and there.suffix == ".md":
            assert anchor in headings(there), f"{page.name} links to {target}#{anchor}, but there is no such heading"
    for file, test in TEST.findall(text):
        assert (ROOT / file).exists(), f"{page.name} names {file}"
        assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{page.name} names {test}"


@pytest.mark.parametrize("name", ["article", "faq", "glossary"])
def test_equations_stand_in_the_index(name):
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"Eq\. ([A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+)", text))
    if name == "glossary":
        named = {i for part in re.findall(r"\(([A-Z0-9 ,-]+)\) \|", text) for i in part.split(", ")}
    assert len(named) > 5
    assert named <= set(Check().equations)


def test_the_train_step_of_the_readme_runs():
    (step,) = re.findall(
        r"```python\n(x_0, labels = .*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    unet = UNet(UNetConfig(channels=8, channel_mult=(1, 2), blocks_per_level=1, num_classes=10))
    names = {
        "data": load_data("mnist-small", "train"),
        "diffusion": GaussianDiffusion(cosine_schedule(1000)),
        "unet": unet,
        "optimizer": AdamW(unet.theta),
        "noise": Noise(0),
        "indices": np.arange(2),
        **{"Tape": Tape, "Gradients": Gradients, "mse": mse, "mse_backward": mse_backward},
    }
    before = unet.theta.copy()
    exec(step, names)
    assert 0.5 < float(names["loss"]) < 2
    assert not np.array_equal(unet.theta, before)


def test_every_question_has_a_notebook_and_a_test():
    _, *answers = re.split(r"^## ", (ROOT / "docs" / "faq.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for answer in answers:
        assert "](../notebooks/" in answer, answer.splitlines()[0]
        assert re.search(r"`tests/[\w/]+\.py::test_\w+`", answer), answer.splitlines()[0]
