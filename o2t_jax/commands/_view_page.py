"""The page of a view, by NiceGUI, whose scripts and fonts are in its own wheel: controls on top, what they show below.

All that is computed is the view's (`o2t_jax.systems.view`); a page keeps the values of its controls and the state.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from o2t_jax import media
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.curves import COLOURS
from o2t_jax.systems.view import Chart, Choice, Shown, Slider, View, start_values

FLAT = 0.01  # of the middle of a chart's y axis, which it spans at least
TICK = 0.05  # s, between looks at what has changed; no frame is shown for less
LEAST_WIDTH = {"o2t-large": 340, "o2t-small": 150}  # px, to which a small picture is enlarged where there is room
GREY = "#808080"  # of a chart's text: legible on white and on black
STYLE = """
.o2t-picture { image-rendering: pixelated; width: 100%; display: block; border-radius: 4px; }
.o2t-smooth { image-rendering: auto; }
.o2t-row { display: grid; gap: 12px; width: 100%; }
.o2t-large { grid-template-columns: repeat(auto-fit, minmax(min(100%, 150px), 1fr)); }
.o2t-small { grid-template-columns: repeat(auto-fit, minmax(75px, 1fr)); }
.o2t-controls { grid-template-columns: repeat(auto-fit, minmax(min(100%, 240px), 1fr)); gap: 4px 32px; }
.o2t-top { display: flex; flex-wrap: wrap; gap: 16px 32px; width: 100%; }
.o2t-facts { grid-template-columns: minmax(120px, max-content) 1fr; gap: 2px 16px; align-content: start;
  flex: 1 1 300px; }
.nicegui-content { max-width: 1100px; margin: 0 auto; }
"""


def serve(view: View, host: str, port: int, browser: bool) -> None:
    """Serves the view's page until the process is interrupted; prints its address once it can be opened."""
    from nicegui import app, ui  # pyright: ignore[reportMissingImports]
    from starlette.middleware.trustedhost import TrustedHostMiddleware  # pyright: ignore[reportMissingImports]

    # A page from elsewhere whose name is made to point here (DNS rebinding) gets no answer.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[host, "localhost"])
    app.on_startup(lambda: print(f"view: http://{host}:{port}   (Ctrl+C ends it)", flush=True))
    ui.run(
        lambda: Page(view, ui),
        host=host,
        port=port,
        title=view.title,
        dark=None,
        show=browser,
        reload=False,
        show_welcome_message=False,
    )


class Page:
    """One open page: its own values and state."""

    def __init__(self, view: View, ui: Any) -> None:
        self.view, self.ui = view, ui
        self.values = start_values(view)
        self.state = view.begin(self.values)
        self.playing, self.changed, self.due = False, False, 0.0
        ui.add_css(STYLE)
        ui.colors(primary=COLOURS[0])
        ui.label(view.title).classes("text-xl font-bold").props("role=heading aria-level=1")
        self.widgets: dict[str, Any] = {}
        self.labels: dict[str, Any] = {}
        self._controls()
        shown = view.show(self.state, self.values)
        with ui.element("div").classes("o2t-top"):
            self.pictures = self._pictures(shown.pictures, "o2t-large")
            with ui.element("div").classes("o2t-row o2t-facts"):
                self.facts = {name: self._fact(name) for name in shown.facts}
            self.pictures |= self._pictures(shown.given, "o2t-small")
        self.charts = [ui.echart(options_of(chart)).classes("w-full h-72") for chart in shown.charts]
        self.last = shown
        self._draw(shown)
        ui.timer(TICK, self.tick)

    def tick(self) -> None:
        """Moves on where it plays, and draws what has changed since: moves of a slider that came together, once."""
        now = time.monotonic()
        try:
            if self.playing and now >= self.due:
                self.due = now + self.view.period
                self._advance()
            if self.changed:
                self.changed = False
                self._draw(self.view.show(self.state, self.values))
        except UsageError as error:  # such as a sample that cannot be drawn
            self.playing = False
            self.ui.notify(str(error), type="negative")

    def _controls(self) -> None:
        ui = self.ui
        with ui.row().classes("items-center"):
            self.button = ui.button("Play", icon="play_arrow", on_click=self._toggle)
            ui.button("Step", icon="skip_next", on_click=self._advance).props("outline")
            ui.button("Reset", icon="replay", on_click=self._reset).props("outline")
            if self.view.period < TICK:
                ui.label(f"played at {self.view.period / TICK:.2g} of the real speed").classes("text-sm")
        with ui.element("div").classes("o2t-row o2t-controls"):
            for name, control in self.view.controls.items():
                with ui.column().classes("gap-0 w-full"):
                    self.labels[name] = ui.label().classes("text-sm")
                    self.widgets[name] = self._widget(name, control)
                self._tell(name)

    def _widget(self, name: str, control: Slider | Choice) -> Any:
        def moved(event: Any) -> None:
            self._set(name, float(event.value))

        if isinstance(control, Choice):
            options = {value: text for text, value in control.options.items()}
            return self.ui.toggle(options, value=control.start, on_change=moved)
        slider = self.ui.slider(min=control.low, max=control.high, step=control.step, value=control.start)
        slider.on_value_change(moved)
        return slider.props(f'aria-label="{control.label}"')

    def _set(self, name: str, value: float) -> None:
        if value == self.values[name]:
            return  # our own change, told back
        self.values[name], self.changed = value, True
        if getattr(self.view.controls[name], "anew", False):
            self.state = self.view.begin(self.values)
        self._tell(name)

    def _tell(self, name: str) -> None:
        control, value = self.view.controls[name], self.values[name]
        told = "" if isinstance(control, Choice) else f": {value:.4g} {control.unit}"
        self.labels[name].set_text(f"{control.label}{told}")

    def _toggle(self) -> None:
        self.playing, self.due = not self.playing, 0.0
        self.button.set_text("Pause" if self.playing else "Play")
        self.button.set_icon("pause" if self.playing else "play_arrow")

    def _advance(self) -> None:
        self.state, values = self.view.advance(self.state, self.values)
        self._take(values)

    def _reset(self) -> None:
        """The controls that begin the motion anew keep their values: it is the same motion again."""
        kept = {name for name, control in self.view.controls.items() if getattr(control, "anew", False)}
        start = start_values(self.view)
        self._take({name: self.values[name] if name in kept else start[name] for name in start})
        self.state = self.view.begin(self.values)

    def _take(self, values: Mapping[str, float]) -> None:
        self.changed = True
        for name, value in values.items():
            if value != self.values[name]:
                self.values[name] = value
                self.widgets[name].set_value(value)
                self._tell(name)

    def _pictures(self, pictures: Mapping[str, np.ndarray], size: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if not pictures:
            return found
        widest = len(pictures) * max(LEAST_WIDTH[size], *(picture.shape[1] for picture in pictures.values()))
        with self.ui.element("div").classes(f"o2t-row {size}").style(f"width: min(100%, {widest}px)"):
            for title, picture in pictures.items():
                with self.ui.element("figure").classes("m-0"):
                    smooth = " o2t-smooth" if max(picture.shape) > 200 else ""
                    found[title] = self.ui.element("img").classes(f"o2t-picture{smooth}")
                    with self.ui.element("figcaption"):
                        self.ui.label(title).classes("text-sm")
        return found

    def _fact(self, name: str) -> Any:
        self.ui.label(name).classes("text-sm opacity-70")
        return self.ui.label().classes("text-sm")

    def _draw(self, shown: Shown) -> None:
        for title, picture in {**shown.pictures, **shown.given}.items():
            image = self.pictures[title]
            image.props["src"] = f"data:image/png;base64,{base64.b64encode(media.png(picture)).decode()}"
            image.props["alt"] = title
            image.update()
        for name, text in shown.facts.items():
            self.facts[name].set_text(text)
        for element, chart, before in zip(self.charts, shown.charts, self.last.charts, strict=True):
            if chart is not before:
                element.options.update(options_of(chart))
                element.update()
        self.last = shown


def options_of(chart: Chart) -> dict[str, Any]:
    """The chart in the form that Apache ECharts takes."""
    series = [
        {
            "type": "line",
            "name": name,
            "data": [[x, y if math.isfinite(y) else None] for x, y in line.round(5).tolist()],
            "showSymbol": len(line) < 3,
            "lineStyle": {"type": "dashed" if name == "truth" else "solid"},
            "color": COLOURS[number % len(COLOURS)],
        }
        for number, (name, line) in enumerate(chart.lines.items())
    ]
    if chart.now is not None:
        series[0]["markLine"] = {"symbol": "none", "label": {"show": False}, "data": [{"xAxis": chart.now}]}
    text, faint = {"color": GREY}, {"lineStyle": {"color": GREY, "opacity": 0.25}}
    axis = {"type": "value", "scale": True, "nameLocation": "middle", "axisLabel": text, "splitLine": faint}
    return {
        "animation": False,
        "title": {"text": chart.title, "left": 0, "textStyle": {**text, "fontSize": 14}},
        "legend": {"top": 28, "left": 0, "textStyle": text, "itemStyle": {"opacity": 0}},
        "grid": {"left": 64, "right": 24, "top": 64, "bottom": 48},
        "tooltip": {"trigger": "axis"},
        "xAxis": {**axis, "name": chart.x_label, "nameGap": 28, "nameTextStyle": text},
        "yAxis": {**axis, **_wide(chart), "name": chart.y_label, "nameGap": 46, "nameTextStyle": text},
        "series": series,
    }


def _wide(chart: Chart) -> dict[str, Any]:
    """Limits of the y axis where it would span less than 1 % of its middle: a flat curve shall look flat."""
    y = np.concatenate([line[:, 1] for line in chart.lines.values()])
    y = y[np.isfinite(y)]  # a model may run away
    if not len(y):
        return {}
    low, high = float(np.min(y)), float(np.max(y))
    least = FLAT * abs(low + high) / 2
    if high - low >= least:
        return {}
    digits = 1 - math.floor(math.log10(least))
    label = {"color": GREY, "showMinLabel": False, "showMaxLabel": False}  # beside the round numbers they would overlap
    return {"min": round(low - least, digits), "max": round(high + least, digits), "axisLabel": label}


__all__ = ["Page", "options_of", "serve"]
