"""What the page shows of a drawing, as HTML: pictures with their alternative texts, and files to keep."""

import base64
import html
import io
from collections.abc import Iterable

import numpy as np
from PIL import Image, PngImagePlugin

from tinydiff.apps.serve.drawing import Asked, Frame
from tinydiff.plot.sheets import to_pixels

WIDTH = 256  # of a picture, at least, in pixels of the screen
DARK = -0.7  # where a word is not looked for


def shown(frame: Frame, moments: Iterable[str] = (), model: str = "", stopped: str = "") -> str:
    """Return what there is to see of the chain, as HTML.

    Parameters
    ----------
    frame : Frame
    moments : iterable of str
        The pictures on the way, from `moment`.
    model : str
        The name of the model, for the file.
    stopped : str
        Why this is the last one though the chain is not at its end; a sentence.
    """
    notes = "".join(note(text) for text in (*frame.notes, *filter(None, [stopped])))
    now, done = f"step {frame.step} of {frame.steps}", frame.step == frame.steps
    subject = _subject(frame.asked)
    x_t = figure(frame.x_t, f"{subject}, {now}", "the picture" if done else "x<sub>t</sub>, being denoised")
    x_0_hat = figure(frame.x_0_hat, f"the guess of {subject}, {now}", "x\u0302<sub>0</sub>, the guess that led there")
    return (
        f'{notes}<div class="frames">{x_t}{x_0_hat}</div>'
        f'<div class="progress"><div style="width: {frame.step / frame.steps:.0%}"></div></div>'
        f"<p>{now}, t = {frame.t:.0f}</p>{_downloads(frame, model) if done or stopped else ''}"
        f'<div class="moments">{"".join(moments)}</div>'
    )


def moment(frame: Frame) -> str:
    """Return a small picture of the chain on its way."""
    return figure(frame.x_t, f"{_subject(frame.asked)}, step {frame.step} of {frame.steps}", f"t = {frame.t:.0f}")


def shown_maps(frame: Frame) -> str:
    """Return what there is to see of each word, as HTML."""
    if not frame.maps:
        return ""
    subject = _subject(frame.asked)
    maps = "".join(
        figure(_lit(frame.x_t, map), f"where the network looks for {_plain(word)} in {subject}", html.escape(word))
        for word, map in ((_plain(word), map) for word, map in frame.maps)
    )
    return (
        "<h3>Where the network looks for each word</h3><p>Halfway through the chain; each word on its own scale, from "
        "least (dark) to most (bright). Dots part a word that the tokenizer knows only in pieces.</p>"
        f'<div class="maps">{maps}</div>'
    )


def note(text: str) -> str:
    """Return a sentence that stands out; a screen reader says it at once."""
    return f'<p class="note" role="alert">{html.escape(_plain(text))}</p>'


def png(image: np.ndarray, scale: int = 1, about: dict[str, object] | None = None) -> bytes:
    """Return a picture as the bytes of a PNG file, enlarged by a whole factor, with texts on what it is."""
    (pixels,) = to_pixels("image", image[None])
    texts = PngImagePlugin.PngInfo()
    for name, value in (about or {}).items():
        texts.add_itxt(name, _plain(str(value)))
    file = io.BytesIO()
    Image.fromarray(pixels.repeat(scale, axis=0).repeat(scale, axis=1)).save(file, format="PNG", pnginfo=texts)
    return file.getvalue()


def _downloads(frame, model):
    """Return two links that save the picture, as it is and enlarged; the files know what was asked for."""
    about = {"Software": "tinydiff", "model": model, **frame.asked._asdict(), "step": f"{frame.step} of {frame.steps}"}
    height, width = frame.x_t.shape[:2]
    links = []
    for scale in dict.fromkeys((1, _scale(frame.x_t))):
        name = f"tinydiff-seed-{frame.asked.seed}{f'-x{scale}' if scale > 1 else ''}.png"
        source = _source(png(frame.x_t, scale, about))
        size = f"{width * scale} x {height * scale}"
        links.append(f'<a class="download" href="{source}" download="{name}">Download, {size} pixels</a>')
    return f'<p class="downloads">{" ".join(links)}</p>'


def _lit(image, weights):
    """Return the picture, bright where a word is looked for most, dark where least."""
    share = (weights - weights.min()) / max(np.ptp(weights), 1e-12)
    scale = len(image) // len(weights)
    share = share.repeat(scale, axis=0).repeat(scale, axis=1)[..., None]
    return share * image.clip(-1, 1) + (1 - share) * DARK


def _subject(asked: Asked) -> str:
    return f"“{_plain(asked.prompt)}”" if asked.prompt.strip() else "a picture of nothing in particular"


def _plain(text):
    """Return a text without what no file and no page can hold: half characters, and control characters."""
    whole = text.encode("utf-8", "replace").decode()
    return "".join(c if (c >= " " and c != "\x7f") or c in "\t\n" else "\ufffd" for c in whole)


def _scale(image):
    return -(-WIDTH // max(image.shape[:2]))


def _source(file):
    return "data:image/png;base64," + base64.b64encode(file).decode()


def figure(image: np.ndarray, alt: str, caption: str) -> str:
    """Return an image of HTML that holds its own bytes, enlarged by a whole factor."""
    source = _source(png(image, _scale(image)))
    return f'<figure><img src="{source}" alt="{html.escape(alt)}"><figcaption>{caption}</figcaption></figure>'
