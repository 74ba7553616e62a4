"""The demo page in a browser: what a reader sees of it."""

import numpy as np
import pytest
from demo_page import PROMPT, drawn
from demo_server import picture_of
from PIL import Image

from tinydiff.apps.serve.drawing import MOST_CHARACTERS
from tinydiff.models import GUIDANCE_FOR_PROMPTS, SAMPLER
from tinydiff.plot.sheets import to_pixels

STEPS_SEEN = """() => {
    window.seen = [];
    const look = () => {
        const step = /step (\\d+) of/.exec(document.querySelector("#chain")?.innerText);
        if (step && Number(step[1]) !== window.seen.at(-1)) window.seen.push(Number(step[1]));
    };
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true});  // "#chain" may come later
}"""
ANOTHER_IS_DRAWN = """before => {
    const chain = document.querySelector("#chain");
    return chain.innerText.includes("step 40 of 40") && chain.querySelector("img").src !== before;
}"""

OF_THE_PAGE = {"scale": GUIDANCE_FOR_PROMPTS, "sampler": SAMPLER}  # what it asks for unless told otherwise


@pytest.mark.slow
def test_in_a_browser_words_become_a_picture(address, browser_page, model, tmp_path):
    """One long visit, since a browser takes a while to start: draw, save, draw another, err, and stop."""
    there, asked, errors = browser_page, [], []
    there.on("request", lambda request: asked.append(request.url))
    there.on("pageerror", lambda error: errors.append(str(error)))
    there.goto(address)
    there.get_by_label("Prompt", exact=True).fill(PROMPT)
    there.get_by_label("number input for Steps").fill("40")
    there.evaluate(STEPS_SEEN)
    there.get_by_role("button", name="Draw", exact=True).click()
    there.get_by_text("step 40 of 40, t = 0").wait_for()
    there.locator("#maps img").first.wait_for()
    seen = there.evaluate("window.seen")
    assert len(seen) >= 3  # the chain was seen on its way; a slow browser may skip steps
    assert seen == sorted(seen)
    frame = drawn(model, negative="", steps=40, seed=0, **OF_THE_PAGE)[-1]
    (pixels,) = to_pixels("image", frame.x_t[None])
    np.testing.assert_array_equal(picture_of(there.locator("#chain").inner_html())[16::32, 16::32], pixels)
    assert there.locator("#maps figcaption").all_inner_texts() == [word for word, _ in frame.maps]
    texts = [image.get_attribute("alt") for image in there.locator("#chain img, #maps img").all()]
    assert all(PROMPT in text for text in texts)
    assert len(set(texts[:2])) == 2
    assert f"“{PROMPT}”, step 40 of 40" in texts
    with there.expect_download() as saved:
        there.get_by_role("link", name="Download, 8 x 8 pixels").click()
    with Image.open(saved.value.path()) as file:
        np.testing.assert_array_equal(np.asarray(file), pixels)
        assert file.text["prompt"] == PROMPT
        assert {"negative", "seed", "steps", "sampler", "scale", "model", "Software"} <= file.text.keys()
    with there.expect_download() as saved:
        there.get_by_role("link", name="Download, 256 x 256 pixels").click()
    with Image.open(saved.value.path()) as file:
        assert file.size == (256, 256)
    there.screenshot(path=tmp_path / "page.png", full_page=True)

    before = there.locator("#chain img").first.get_attribute("src")
    there.get_by_role("button", name="Draw another").click()
    there.wait_for_function(ANOTHER_IS_DRAWN, arg=before)
    assert there.locator("#seed input").input_value() == "1"
    (pixels,) = to_pixels("image", drawn(model, negative="", steps=40, seed=1, **OF_THE_PAGE)[-1].x_t[None])
    np.testing.assert_array_equal(picture_of(there.locator("#chain").inner_html())[16::32, 16::32], pixels)

    there.get_by_label("Prompt", exact=True).fill("red hair, " * 8)
    there.get_by_label("Prompt", exact=True).press("Enter")
    there.get_by_text("dropped at its end").wait_for()
    there.get_by_text("step 40 of 40, t = 0").wait_for()
    there.get_by_label("Prompt", exact=True).fill("a" * (MOST_CHARACTERS + 1))
    there.get_by_role("button", name="Draw", exact=True).click()
    there.locator("#chain [role=alert]").get_by_text("The prompt has 1,001 characters").wait_for()
    assert there.locator("#chain img, #maps img").count() == 0  # an error replaces the old picture
    there.get_by_label("Prompt", exact=True).fill(PROMPT)
    there.get_by_role("button", name="Draw", exact=True).click()
    there.get_by_text("step 40 of 40, t = 0").wait_for()
    there.get_by_label("Prompt", exact=True).fill("a" * 100_000)
    there.get_by_role("button", name="Draw", exact=True).click()
    there.get_by_text("The request is larger than 65,536 bytes").first.wait_for()
    assert there.locator("#chain img, #maps img").count() == 0

    there.get_by_label("Prompt", exact=True).fill(PROMPT)
    there.get_by_label("number input for Steps").fill("250")
    there.get_by_role("button", name="Draw", exact=True).click()
    there.get_by_text("of 250, t =").first.wait_for()
    there.get_by_role("button", name="Stop").click()
    there.locator("#chain [role=alert]").get_by_text("You stopped it.").wait_for()
    assert there.get_by_text("step 250 of 250").count() == 0
    assert there.get_by_role("link", name="Download, 8 x 8 pixels").count() == 1

    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {address.removeprefix("http://")}
    assert errors == []
