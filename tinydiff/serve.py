"""The demo page: type words, watch noise become a picture, and see where the network looks for each word.

`draw` computes all that the page shows and checks all that is asked of it; it needs NumPy alone. The page itself is
Gradio's (``pip install 'tinydiff[demo]'``), and loads nothing from anywhere but its own server.
"""

import base64
import html
import io
import json
import numbers
import os
import reprlib
import socket
import threading
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tinydiff.attend import word_maps
from tinydiff.backend import to_numpy
from tinydiff.errors import InputError, TinydiffError
from tinydiff.model import SAMPLERS, DiffusionModel
from tinydiff.plot.images import to_pixels

MOST_CHARACTERS, MOST_SCALE, MOST_STEPS = 1_000, 20, 250  # of one picture, so that it does not keep others waiting
MOST_WAITING = 8  # pictures in the queue
MOST_BYTES = 2**16  # of a request: of words and numbers there are never so many
MOST_SHOWN = 40  # steps of a chain, so that an answer, which waits in memory until it is read, stays below 1 MB
SHOWN = 10  # moments of the chain that stay on the page
WIDTH = 256  # of a picture, at least, in pixels of the screen
DARK = -0.7  # where a word is not looked for
EXAMPLES = (
    "a person with long red hair, round glasses and a green shirt",
    "curly blond hair, blue cap, pink turtleneck",
    "short black hair, sunglasses",
    "a portrait of a person with a beard and a red beanie",
)


class Frame(NamedTuple):
    """What there is to see after a step of the chain.

    Parameters
    ----------
    step, steps : int
        Which one, counted from 1, and how many there are.
    t : float
        The time reached, 0 at the end.
    x_t, x_0_hat : array, shape (H, W, C)
        The picture at this time, and the guess of the finished one that led there.
    notes : tuple of str
        What the reader should know of the words: which were dropped.
    maps : tuple of (str, array of shape (h, w))
        With the last step: the `word_maps` of the moment halfway.
    """

    step: int
    steps: int
    t: float
    x_t: np.ndarray
    x_0_hat: np.ndarray
    notes: tuple[str, ...]
    maps: tuple[tuple[str, np.ndarray], ...]


def draw(
    model: DiffusionModel, prompt: Any, negative: Any, scale: Any, steps: Any, sampler: Any, seed: Any
) -> Iterator[Frame]:
    """Draw one picture from words, and yield what there is to see after every step.

    Parameters
    ----------
    model : DiffusionModel
        One that reads text.
    prompt, negative : str
        What the picture should show, and what not; an empty text asks for nothing.
    scale : float
        Of guidance, 0 .. 20; the negative prompt counts where it is not 1.
    steps : int
        1 .. 250.
    sampler : str
        One of `SAMPLERS`.
    seed : int

    Raises
    ------
    InputError
        If an argument is none of these, whatever it is: arguments come from anybody.
    """
    prompt, negative = _text("The prompt", prompt), _text("The negative prompt", negative)
    scale = _number("The guidance scale", scale, 0, MOST_SCALE)
    steps = _number("The number of steps", steps, 1, MOST_STEPS, whole=True)
    seed = _number("The seed", seed, 0, 2**32 - 1, whole=True)
    if sampler not in SAMPLERS:
        raise InputError(f"The sampler is {reprlib.repr(sampler)}, but one of {', '.join(SAMPLERS)} was expected.")
    with warnings.catch_warnings(record=True, action="always") as caught:  # the tokenizer's: a text may be too long
        chain = model.chain(1, seed, None, steps, sampler, prompt=prompt, negative=negative, guidance=scale)
    notes = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    maps: tuple = ()
    for step, (t, x_t, x_0_hat) in enumerate(chain, 1):
        if step == (steps + 1) // 2:
            halfway = x_t, max(t, 1)
        if step == steps:
            maps = tuple(word_maps(model, prompt, *halfway))
        yield Frame(step, steps, t, to_numpy(x_t[0]), to_numpy(x_0_hat[0]), notes, maps)


def _text(name, value):
    if not isinstance(value, str):
        raise InputError(f"{name} is {reprlib.repr(value)}, but a text was expected.")
    if len(value) > MOST_CHARACTERS:
        raise InputError(f"{name} has {len(value):,} characters, but at most {MOST_CHARACTERS:,} are read here.")
    return value


def _number(name, value, low, high, whole=False):
    """Return a number from `low` to `high`; a whole one may come as 30.0."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (is_number and low <= value <= high and (not whole or value == int(value))):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{name} is {reprlib.repr(value)}, but {kind} from {low} to {high} was expected.")
    return int(value) if whole else float(value)


STYLE = """
.frames, .moments, .maps { display: flex; flex-wrap: wrap; gap: 12px; }
.frames figure, .moments figure, .maps figure { margin: 0; text-align: center; font-size: 0.85em; }
.frames img, .moments img, .maps img { width: 100%; image-rendering: pixelated; border: 1px solid #BBBBBB; }
.frames figure { flex: 1 1 200px; max-width: 384px; }
.moments { flex-wrap: nowrap; gap: 4px; }
.moments figure { flex: 1 1 0; max-width: 74px; }
.maps figure { width: 104px; }
.progress { height: 8px; margin-top: 12px; background: var(--border-color-primary); border-radius: 4px; }
.progress div { height: 100%; background: #0072B2; border-radius: 4px; }
.note { border-left: 4px solid #E69F00; padding: 4px 12px; margin-bottom: 12px; }
"""
ABOUT = """# tinydiff: words to pictures
A chain starts from noise. At every step the network looks at the picture so far and at your words, guesses the
finished picture, and a little of the noise is taken away. The network is **{name}**: {size:,} numbers, all learned from
gradients that were written by hand."""


def page(model: DiffusionModel, name: str) -> Any:
    """Return the page, a Gradio `Blocks`; `name` is what the model is called on it."""
    gr = _gradio()

    def drawn(*asked):
        moments: list[str] = []
        try:
            for frame in draw(model, *asked):
                if frame.step * SHOWN // frame.steps > len(moments):
                    moments.append(_picture(frame.x_t, f"t = {frame.t:.0f}"))
                if _is_shown(frame):
                    yield _chain(frame, moments), _maps(frame)
        except TinydiffError as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from error

    with gr.Blocks(title="tinydiff: words to pictures", analytics_enabled=False) as blocks:
        gr.Markdown(ABOUT.format(name=name, size=model.network.theta.size))
        prompt = gr.Textbox(EXAMPLES[0], label="Prompt", max_lines=3, elem_id="prompt", render=False)
        gr.Examples(list(EXAMPLES), prompt, label="Try")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                prompt.render()
                negative = gr.Textbox(label="Negative prompt", info="what the picture should not show")
                with gr.Row():
                    start = gr.Button("Draw", variant="primary", elem_id="draw")
                    another = gr.Button("Draw another", elem_id="another")
                scale = gr.Slider(
                    0, MOST_SCALE, 3, step=0.1, label="Guidance", info="0 ignores the words, 1 follows them"
                )
                steps = gr.Slider(1, MOST_STEPS, 30, step=1, label="Steps")
                sampler = gr.Dropdown(SAMPLERS, label="Sampler")
                seed = gr.Number(0, label="Seed", info="the same seed starts from the same noise", elem_id="seed")
            with gr.Column(scale=3, min_width=320):
                chain = gr.HTML("The picture will appear here.", elem_id="chain")
                maps = gr.HTML(elem_id="maps")
        event: dict[str, Any] = {
            "fn": drawn,
            "inputs": [prompt, negative, scale, steps, sampler, seed],
            "outputs": [chain, maps],
            "preprocess": False,  # `draw` checks what comes, and says in sentences what is wrong
            "show_progress": "minimal",
        }
        gr.on([start.click, prompt.submit], api_name="draw", **event)
        next_seed = another.click(None, seed, seed, js="seed => seed + 1", api_visibility="private")
        next_seed.then(api_visibility="private", **event)
    # One picture at a time, and no way round the queue.
    return blocks.queue(max_size=MOST_WAITING, default_concurrency_limit=1, api_open=False)


def serve(model: DiffusionModel, name: str, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    model : DiffusionModel
        One that reads text.
    name : str
        What it is called on the page.
    host : str
        The address to listen on; the default is reached from this machine alone.
    port : int

    Raises
    ------
    InputError
        If the model does not read text, or nobody can listen there.
    TinydiffError
        If Gradio is not installed.
    """
    if model.tokenizer is None:
        raise InputError(f"The model {name} does not read text: serve one that does.")
    port = _number("The port", port, 1, 65535, whole=True)
    try:
        socket.create_server((host, port)).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
        raise InputError(f"Nobody can listen on {host}:{port} ({error}): choose another --port or --host.") from error
    blocks = page(model, name)
    from starlette.middleware import Middleware  # which Gradio stands on

    blocks.launch(
        server_name=host,
        server_port=port,
        theme=_gradio().themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css=STYLE,
        footer_links=[],
        app_kwargs={"middleware": [Middleware(_SmallRequests)]},
        max_file_size=0,
        share=False,
        run_history=False,  # which would keep what was asked
        quiet=True,
        show_error=True,
        prevent_thread_lock=True,
    )
    print(f"{name} draws at {blocks.local_url} until Ctrl-C.", flush=True)
    try:
        threading.Event().wait()
    finally:
        blocks.close(verbose=False)


def _gradio() -> Any:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before it is imported: it asks for news then
    try:
        import gradio
    except ImportError as error:
        raise TinydiffError(
            f"The demo page needs Gradio, which cannot be imported ({error}): pip install 'tinydiff[demo]'"
        ) from error
    return gradio


class _SmallRequests:
    """Refuses files and large requests before Gradio sees them, which would keep them; an ASGI middleware.

    What is refused is read to its end and thrown away: most clients read no answer before they have sent all.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        takes_files = any(name == b"content-type" and b"multipart" in kind.lower() for name, kind in scope["headers"])
        body, size, more = b"", 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            piece, more = message.get("body", b""), message.get("more_body", False)
            size += len(piece)
            if size <= MOST_BYTES and not takes_files:
                body += piece
        if takes_files:
            await _refuse(send, 415, "This page takes words and numbers, and no files.")
        elif size > MOST_BYTES:
            await _refuse(send, 413, f"The request is larger than {MOST_BYTES:,} bytes, and is not read.")
        else:
            again = iter([{"type": "http.request", "body": body, "more_body": False}])

            async def receive_again():
                return next(again, None) or await receive()

            await self.app(scope, receive_again, send)


async def _refuse(send, status, why):
    """Answer a request with an error, in the form of Gradio's own."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": why}).encode()})


def _is_shown(frame: Frame) -> bool:
    """Whether a step is one of at most `MOST_SHOWN`, evenly spread, with the last among them."""
    return frame.step * MOST_SHOWN // frame.steps > (frame.step - 1) * MOST_SHOWN // frame.steps


def _chain(frame: Frame, moments: Iterable[str]) -> str:
    """Return what there is to see of the chain, as HTML."""
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in frame.notes)
    x_t = _picture(frame.x_t, "the picture" if frame.step == frame.steps else "x<sub>t</sub>, being denoised")
    x_0_hat = _picture(frame.x_0_hat, "x\u0302<sub>0</sub>, the guess that led there")
    return (
        f'{notes}<div class="frames">{x_t}{x_0_hat}</div>'
        f'<div class="progress"><div style="width: {frame.step / frame.steps:.0%}"></div></div>'
        f'<p>step {frame.step} of {frame.steps}, t = {frame.t:.0f}</p><div class="moments">{"".join(moments)}</div>'
    )


def _maps(frame: Frame) -> str:
    """Return what there is to see of each word, as HTML."""
    if not frame.maps:
        return ""
    maps = "".join(_picture(_lit(frame.x_t, map), html.escape(word)) for word, map in frame.maps)
    return (
        "<h3>Where the network looks for each word</h3><p>Halfway through the chain; each word on its own scale, from "
        "least (dark) to most (bright). Dots part a word that the tokenizer knows only in pieces.</p>"
        f'<div class="maps">{maps}</div>'
    )


def _lit(image, weights):
    """Return the picture, bright where a word is looked for most, dark where least."""
    share = (weights - weights.min()) / max(np.ptp(weights), 1e-12)
    scale = len(image) // len(weights)
    share = share.repeat(scale, axis=0).repeat(scale, axis=1)[..., None]
    return share * image.clip(-1, 1) + (1 - share) * DARK


def _picture(image, caption):
    """Return an image of HTML that holds its own bytes, enlarged by a whole factor."""
    (pixels,) = to_pixels("image", image[None])
    scale = -(-WIDTH // max(pixels.shape))
    file = io.BytesIO()
    Image.fromarray(pixels.repeat(scale, axis=0).repeat(scale, axis=1)).save(file, format="PNG")
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return f'<figure><img src="{source}" alt=""><figcaption>{caption}</figcaption></figure>'
