"""The demo page: type words, watch noise become a picture, and see where the network looks for each word.

`draw` computes all that the page shows and checks all that is asked of it; it needs only NumPy. The page itself is
Gradio's (``pip install 'tinydiff[demo]'``), and loads nothing from anywhere but its own server.
"""

import html
import os
import socket
import threading
import time
from contextlib import aclosing, closing
from typing import Any

from tinydiff.apps.serve.drawing import MOST_SCALE, MOST_STEPS, check, draw, is_shown, number
from tinydiff.apps.serve.easel import MOST_WAITING, Easel, Turn, Waiting
from tinydiff.apps.serve.limits import MOST_CONNECTIONS, Guard, patient_protocol, silence_tracebacks
from tinydiff.apps.serve.playground import add_playground
from tinydiff.apps.serve.shown import moment, note, shown, shown_maps
from tinydiff.base import InputError, TinydiffError, printable
from tinydiff.diffusion import SAMPLERS
from tinydiff.models import GUIDANCE_FOR_PROMPTS, SAMPLER, STEPS, PictureModel

SHOWN = 10  # moments of the chain that stay on the page
ASKED = '<p role="status">Asked for: the picture will appear here.</p>'  # in the place of an earlier picture
EXAMPLES = {  # by what a model has learned from
    "avatars": (
        "a person with long red hair, round glasses and a green shirt",
        "curly blond hair, blue cap, pink turtleneck",
        "short black hair, sunglasses",
        "a portrait of a person with a beard and a red beanie",
    ),
    "scenes": (
        "a small cabin on top of a snowy mountain",
        "a robot on a road",
        "a big red castle by a lake at sunset",
        "a line drawing of a blue car in the city, in the rain",
        "pixel art of two orange tents in the desert at night",
    ),
}
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
.download { margin-right: 12px; }
.note { border-left: 4px solid #E69F00; padding: 4px 12px; margin-bottom: 12px; }
"""
ABOUT = """# tinydiff: words to pictures
A chain starts from noise. At every step the network looks at the picture so far and at your words, guesses the
finished picture, and a little of the noise is taken away. The network is **{name}**: {size:,} numbers, all learned from
gradients that were written by hand."""


def page(model: PictureModel, name: str, easel: Easel | None = None, data: str = "") -> Any:
    """Return the page, a Gradio `Blocks`; `name` is what the model is called on it, `easel` is where it draws.

    What it has learned from, `data`, decides which prompts are offered as examples.
    """
    gr = _gradio()
    from gradio.context import LocalContext

    easel = Easel() if easel is None else easel

    def pictures(asked):
        """Yield each frame with the moments so far, and with what the page shows of it, or None for most of many."""
        moments: list[str] = []
        with closing(draw(model, *asked)) as frames:
            for frame in frames:
                if frame.step * SHOWN // frame.steps > len(moments):
                    moments.append(moment(frame))
                here = (shown(frame, moments, name), shown_maps(frame)) if is_shown(frame) else None
                yield frame, tuple(moments), here

    async def drawn(*asked):
        request, event = LocalContext.request.get(), LocalContext.event_id.get()
        last: list = []
        try:
            asked = check(*asked)
            turn = Turn(
                lambda: pictures(asked), request.client.host, frozenset(filter(None, [request.session_hash, event]))
            )
            async with aclosing(easel.steps(turn)) as steps:
                async for step in steps:
                    if isinstance(step, Waiting):
                        yield f'<p role="status">Drawings before yours: {step.before}.</p>', ""
                        continue
                    *last, here = step
                    if here is not None:
                        yield here
            if turn.why:
                yield (shown(last[0], last[1], name, turn.why) if last else note(turn.why)), ""
        except TinydiffError as error:
            yield note(str(error)), ""  # in the place of an earlier picture
            raise gr.Error(html.escape(str(error)), print_exception=False) from error

    async def stop():
        easel.stop(LocalContext.request.get().session_hash, "You stopped it.")

    with gr.Blocks(title="tinydiff: words to pictures", analytics_enabled=False) as blocks:
        with gr.Tab("Words to pictures"):
            gr.Markdown(ABOUT.format(name=name, size=model.size))
            examples = EXAMPLES.get(data, ())
            prompt = gr.Textbox(
                examples[0] if examples else "", label="Prompt", max_lines=3, elem_id="prompt", render=False
            )
            if examples:
                gr.Examples(list(examples), prompt, label="Try")
            with gr.Row():
                with gr.Column(scale=2, min_width=320):
                    prompt.render()
                    negative = gr.Textbox(label="Negative prompt", info="what the picture should not show")
                    with gr.Row():
                        start = gr.Button("Draw", variant="primary", elem_id="draw")
                        another = gr.Button("Draw another", elem_id="another")
                        halt = gr.Button("Stop", variant="stop", elem_id="stop")
                    scale = gr.Slider(
                        0,
                        MOST_SCALE,
                        GUIDANCE_FOR_PROMPTS,
                        step=0.1,
                        label="Guidance",
                        info="0 ignores the words, 1 follows them",
                    )
                    steps = gr.Slider(1, MOST_STEPS, STEPS, step=1, label="Steps")
                    sampler = gr.Dropdown(SAMPLERS, value=SAMPLER, label="Sampler")
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
                "trigger_mode": "once",
            }
            clear = f"() => [{ASKED!r}, '']"  # by the browser: whatever comes then, an earlier picture is gone
            asked = gr.on([start.click, prompt.submit], None, None, [chain, maps], js=clear, api_visibility="private")
            asked.then(api_name="draw", **event)
            next_seed = another.click(None, seed, seed, js="seed => seed + 1", api_visibility="private")
            cleared = next_seed.then(None, None, [chain, maps], js=clear, api_visibility="private")
            cleared.then(api_visibility="private", **event)
            halt.click(stop, api_visibility="private", show_progress="hidden")
        with gr.Tab("Points in a plane"):
            by_mouse = add_playground(gr, easel, ASKED)
        blocks.load(None, js=by_mouse, api_visibility="private")
    # The easel draws one picture at a time and keeps the queue; there is no way round Gradio's own.
    return blocks.queue(max_size=MOST_WAITING, default_concurrency_limit=None, api_open=False)


def serve(model: PictureModel, name: str, host: str = "127.0.0.1", port: int = 7860, data: str = "") -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    model : DiffusionModel, Cascade or UnClip
        One that reads text.
    name : str
        What it is called on the page.
    host : str
        The address to listen on; the default can only be reached from this machine.
    port : int
    data : str
        What it has learned from, see `page`.

    Raises
    ------
    InputError
        If the model does not read text, or nobody can listen there.
    TinydiffError
        If Gradio is not installed.
    """
    if not model.reads_text:
        raise InputError(f"The model {name} does not read text: serve one that does.")
    port = number("The port", port, 1, 65535, whole=True)
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
        raise InputError(f"Nobody can listen on {host}:{port} ({error}): choose another --port or --host.") from error
    with listening:
        easel = Easel()
        server = _server(page(model, name, easel, data), easel, host, port)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise TinydiffError(f"The server at {host}:{port} did not start.")
            time.sleep(0.01)
        print(f"{printable(name)} draws at {_address(host, port)} until Ctrl-C.", flush=True)
        try:
            threading.Event().wait()
        finally:
            easel.close()
            server.should_exit = True
            thread.join()


def _server(blocks, easel, host, port):
    """Return uvicorn's server of a page, with what guards it."""
    import fastapi
    import uvicorn

    silence_tracebacks()
    gr = _gradio()
    app = gr.mount_gradio_app(
        fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        blocks,
        path="/",
        server_name=host,
        server_port=port,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css=STYLE,
        footer_links=[],
        max_file_size=0,
        run_history=False,  # which would keep what was asked
        show_error=True,
    )
    config = uvicorn.Config(
        Guard(app, easel, host),
        http=patient_protocol(),
        ws="none",
        log_config=None,
        access_log=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _address(host, port):
    name = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/"


def _gradio() -> Any:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before it is imported: it asks for news then
    try:
        import gradio
    except ImportError as error:
        raise TinydiffError(
            f"The demo page needs Gradio, which cannot be imported ({error}): pip install 'tinydiff[demo]'"
        ) from error
    return gradio
