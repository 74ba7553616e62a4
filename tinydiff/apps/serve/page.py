"""The demo page: type words, watch noise become a picture, and see where the network looks for each word.

`draw` computes all that the page shows and checks all that is asked of it; it needs only NumPy. The page itself is
Gradio's (``pip install 'tinydiff[demo]'``), and loads nothing from anywhere but its own server.
"""

import base64
import html
import io
import os
import socket
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from tinydiff.apps.serve.drawing import MOST_SCALE, MOST_STEPS, Frame, draw, is_shown, number
from tinydiff.apps.serve.limits import _SmallRequests
from tinydiff.base import InputError, TinydiffError
from tinydiff.diffusion import SAMPLERS
from tinydiff.models import GUIDANCE_FOR_PROMPTS, DiffusionModel
from tinydiff.plot.sheets import to_pixels

MOST_WAITING = 8  # pictures in the queue
SHOWN = 10  # moments of the chain that stay on the page
WIDTH = 256  # of a picture, at least, in pixels of the screen
DARK = -0.7  # where a word is not looked for
EXAMPLES = (
    "a person with long red hair, round glasses and a green shirt",
    "curly blond hair, blue cap, pink turtleneck",
    "short black hair, sunglasses",
    "a portrait of a person with a beard and a red beanie",
)
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
                if is_shown(frame):
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
                    0,
                    MOST_SCALE,
                    GUIDANCE_FOR_PROMPTS,
                    step=0.1,
                    label="Guidance",
                    info="0 ignores the words, 1 follows them",
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
        The address to listen on; the default can only be reached from this machine.
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
    port = number("The port", port, 1, 65535, whole=True)
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
