"""The playground of the demo page: draw points with the mouse or type them, and watch noise flow to them."""

import html
import re
import reprlib
from collections.abc import Generator
from contextlib import aclosing, closing
from typing import Any, NamedTuple

import numpy as np

from tinydiff.apps.serve.drawing import number
from tinydiff.apps.serve.easel import Easel, Turn, Waiting
from tinydiff.apps.serve.shown import figure, note
from tinydiff.base import InputError, TinydiffError
from tinydiff.course import flow_of_points
from tinydiff.course.playground import FARTHEST, MOST_DRAWN, MOST_STEPS
from tinydiff.diffusion import SAMPLERS
from tinydiff.plot import plane_image
from tinydiff.plot.style import INK, VERMILION

FLOWING, STEPS = 600, 40
STATUS = ' role="status"'  # said by a screen reader, once, at the end
MOST_CHARACTERS = 20 * MOST_DRAWN  # of the text of all points
MOST_SHOWN = 40  # steps of a flow
REACH, SIDE = 2.2, 360
START = "-0.8 0.6; 0.8 0.6; -0.7 -0.3; -0.4 -0.6; 0 -0.7; 0.4 -0.6; 0.7 -0.3"
ABOUT = f"""## Points in a plane: watch noise flow to them
Draw points with the mouse, or type them below, x and y of each, with a semicolon between two points. Then start:
{FLOWING} points of noise walk along the exact score of *your* points. No network is trained, and nothing is guessed. So
they end on your points, and nowhere else: that is what a network would do that had learned them by heart."""
BOARD = f"""<svg id="board" viewBox="-{REACH} -{REACH} {2 * REACH} {2 * REACH}" role="img" aria-label="The plane, from
-{REACH} to {REACH} both ways. Draw here with the mouse, or type points into the field Points."
style="width: 100%; max-width: {SIDE}px; border: 1px solid #BBBBBB; background: #FFFFFF; touch-action: none;"></svg>"""
# The board writes into the field, and shows what stands there: the field is all that is sent.
DRAW_BY_MOUSE = """() => {
    const find = () => [document.querySelector("#board"), document.querySelector("#points textarea")];
    let shown = null;
    const show = () => {
        const [board, field] = find();
        if (!board || !field || (field.value === shown && board.childElementCount)) return;
        shown = field.value;
        board.replaceChildren(...shown.split(";").map(pair => pair.trim().split(/[\\s,]+/).map(Number))
            .filter(pair => pair.length === 2 && pair.every(Number.isFinite)).map(([x, y]) => {
                const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
                for (const [name, value] of Object.entries({cx: x, cy: -y, r: 0.035, fill: "#0072B2"}))
                    dot.setAttribute(name, value);
                return dot;
            }));
    };
    const add = event => {
        const [board, field] = find();
        if (!board || !field || !board.contains(event.target) || !(event.buttons & 1)) return;
        const box = board.getBoundingClientRect(), reach = REACH;
        const x = ((event.clientX - box.left) / box.width * 2 - 1) * reach;
        const y = (1 - (event.clientY - box.top) / box.height * 2) * reach;
        const before = field.value.trim();
        const pairs = before ? before.split(";").filter(pair => pair.trim()) : [];
        const last = (pairs.at(-1) || "9 9").trim().split(/[\\s,]+/).map(Number);
        const near = Math.hypot(last[0] - x, last[1] - y) < 0.08;
        if (pairs.length >= MOST || (event.type === "pointermove" && near)) return;
        field.value = [...pairs.map(pair => pair.trim()), `${x.toFixed(2)} ${y.toFixed(2)}`].join("; ");
        field.dispatchEvent(new Event("input", {bubbles: true}));
        show();
    };
    document.addEventListener("pointerdown", add);
    document.addEventListener("pointermove", add);
    setInterval(show, 200);
}""".replace("REACH", str(REACH)).replace("MOST", str(MOST_DRAWN))


class Flow(NamedTuple):
    """What was asked for, after it was checked."""

    points: np.ndarray
    sampler: str
    steps: int
    seed: int


class PlaneFrame(NamedTuple):
    """What there is to see after a step: points (n, 2) at the time t, and the guess that led there."""

    step: int
    steps: int
    t: float
    x_t: np.ndarray
    x_0_hat: np.ndarray


def check_flow(points: Any, sampler: Any, steps: Any, seed: Any) -> Flow:
    """Return what was asked for, or raise an `InputError`: arguments come from anybody."""
    steps = number("The number of steps", steps, 1, MOST_STEPS, whole=True)
    seed = number("The seed", seed, 0, 2**32 - 1, whole=True)
    if not isinstance(sampler, str) or sampler not in SAMPLERS:
        raise InputError(f"The sampler is {reprlib.repr(sampler)}, but one that the page lists was expected.")
    return Flow(read_points(points), sampler, steps, seed)


def read_points(text: Any) -> np.ndarray:
    """Return the points of a text such as ``"-0.5 0; 0.5 1"`` as an array (K, 2)."""
    if not isinstance(text, str):
        raise InputError(f"The points are {reprlib.repr(text)}, but a text was expected.")
    if len(text) > MOST_CHARACTERS:
        raise InputError(
            f"The points have {len(text):,} characters, but at most {MOST_CHARACTERS:,}, and {MOST_DRAWN} points, are "
            "read here."
        )
    pairs = [pair.split() for pair in text.replace(",", " ").split(";") if pair.strip()]
    if not 1 <= len(pairs) <= MOST_DRAWN:
        raise InputError(
            f"There are {len(pairs)} points, but 1 to {MOST_DRAWN} were expected: draw some, or type them."
        )
    for pair in pairs:
        if len(pair) != 2 or not all(re.fullmatch(r"[+-]?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})", x) for x in pair):
            raise InputError(
                f"{reprlib.repr(' '.join(pair))} is no point: two numbers, x and y, such as -0.5 0.25, were expected."
            )
    found = np.array(pairs, np.float64)
    if np.abs(found).max() > FARTHEST:
        raise InputError(
            f"A coordinate is {found.flat[np.abs(found).argmax()]:g}, but from -{FARTHEST:g} to {FARTHEST:g} "
            "was expected."
        )
    return found


def flow(points: Any, sampler: Any, steps: Any, seed: Any) -> Generator[PlaneFrame, None, None]:
    """Check what is asked by this call, and yield what there is to see after every step."""
    return _frames(check_flow(points, sampler, steps, seed))


def _frames(asked):
    chain = flow_of_points(asked.points, FLOWING, asked.sampler, asked.steps, asked.seed)
    for step, (t, x_t, x_0_hat) in enumerate(chain, 1):
        yield PlaneFrame(step, asked.steps, t, x_t, x_0_hat)


def shown_flow(frame: PlaneFrame, data: np.ndarray, stopped: str = "") -> str:
    """Return what there is to see of a step, as HTML; for who cannot see it, how far the points are from yours."""
    now, done = f"step {frame.step} of {frame.steps}", frame.step == frame.steps
    distance = np.linalg.norm(frame.x_t[:, None] - data, axis=2).min(axis=1).mean()
    said = f"{now}, t = {frame.t:.0f}: on average {distance:.2f} from the nearest of your {len(data)} points"
    yours = plane_image(data, REACH, SIDE, INK)
    panels = [
        figure(np.minimum(plane_image(x, REACH, SIDE, colour), yours), f"{what}, {now}", html.escape(what))
        for what, x, colour in (
            ("the flowing points" if not done else "the points at the end", frame.x_t, "#0072B2"),
            ("the guess that led there", frame.x_0_hat, VERMILION),
        )
    ]
    return (
        f'{note(stopped) if stopped else ""}<div class="frames">{"".join(panels)}</div>'
        f'<div class="progress"><div style="width: {frame.step / frame.steps:.0%}"></div></div>'
        f"<p{STATUS if done else ''}>{said}</p>"
    )


def add_playground(gr: Any, easel: Easel, waiting: str) -> Any:
    """Put the playground where the caller's page is being built; return the function that runs when it is loaded.

    Parameters
    ----------
    gr : module
        Gradio.
    easel : Easel
        Where it waits its turn, as pictures do.
    waiting : str
        What the page shows until the first step, as HTML.
    """
    from gradio.context import LocalContext

    async def drawn(*asked):
        request, event = LocalContext.request.get(), LocalContext.event_id.get()
        last = ""
        try:
            flow_asked = check_flow(*asked)

            def frames():
                with closing(_frames(flow_asked)) as steps:
                    for frame in steps:
                        if frame.step * MOST_SHOWN // frame.steps > (frame.step - 1) * MOST_SHOWN // frame.steps:
                            yield shown_flow(frame, flow_asked.points)

            turn = Turn(frames, request.client.host, frozenset(filter(None, [request.session_hash, event])))
            async with aclosing(easel.steps(turn)) as steps:
                async for step in steps:
                    if isinstance(step, Waiting):
                        yield f'<p role="status">Drawings before yours: {step.before}.</p>'
                        continue
                    last = step
                    yield step
            if turn.why:
                yield note(turn.why) + last
        except TinydiffError as error:
            yield note(str(error))
            raise gr.Error(html.escape(str(error)), print_exception=False) from error

    async def stop():
        easel.stop(LocalContext.request.get().session_hash, "You stopped it.")

    gr.Markdown(ABOUT)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            gr.HTML(BOARD)
            field = gr.Textbox(
                START, label="Points", info="x y; x y; and so on", lines=3, max_lines=6, elem_id="points"
            )
            with gr.Row():
                start = gr.Button("Let noise flow", variant="primary", elem_id="flow")
                clear = gr.Button("Clear the points", elem_id="clear")
                halt = gr.Button("Halt the flow", variant="stop", elem_id="stop-flow")
            steps = gr.Slider(1, MOST_STEPS, STEPS, step=1, label="Number of steps")
            sampler = gr.Dropdown(SAMPLERS, value="ddim", label="Sampler of the flow")
            seed = gr.Number(0, label="Seed of the noise", elem_id="flow-seed")
        with gr.Column(scale=3, min_width=320):
            plane = gr.HTML("The flow will appear here.", elem_id="plane")
    asked = start.click(None, None, plane, js=f"() => {waiting!r}", api_visibility="private")
    asked.then(
        drawn,
        [field, sampler, steps, seed],
        plane,
        preprocess=False,  # `check_flow` checks what comes, and says in sentences what is wrong
        show_progress="minimal",
        trigger_mode="once",
        api_name="flow",
    )
    clear.click(None, None, field, js="() => ''", api_visibility="private")
    halt.click(stop, api_visibility="private", show_progress="hidden")
    return DRAW_BY_MOUSE
