# SPDX-License-Identifier: Apache-2.0
"""The terminal browser (Textual): lines above, calls below, Enter opens a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Static

from algwatch.report.render.headline import headline, style
from algwatch.top.detail import detail
from algwatch.top.model import Call, Model, clean

EVERY = 0.5  # seconds between two polls
SHOWN = 500  # rows


class Opened(Screen[None]):
    """One call."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,backspace", "back", "Back"),
        Binding("n", "move(1)", "Next"),
        Binding("p", "move(-1)", "Previous"),
    ]

    def __init__(self, model: Model, calls: list[Call], index: int) -> None:
        super().__init__()
        self._model = model
        self._calls = calls
        self._index = index

    def compose(self) -> ComposeResult:
        yield VerticalScroll(Static(id="text"))
        yield Footer()

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        width = max(60, self.app.size.width - 4)
        self.query_one("#text", Static).update(detail(self._model, self._calls[self._index], width))

    def action_back(self) -> None:
        self.app.pop_screen()

    def action_move(self, by: int) -> None:
        self._index = (self._index + by) % len(self._calls)
        self._draw()
        self.query_one(VerticalScroll).scroll_home(animate=False)


class Top(App[None]):
    """poll: called now and then to update the model, None for a model without changes."""

    TITLE = "algwatch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #verdict { height: auto; max-height: 3; padding: 0 1; }
    #lines { height: auto; max-height: 7; }
    #calls { height: 1fr; }
    #search { display: none; height: 3; }
    #search.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("f", "filter", "Only what hurts"),
        Binding("a", "all", "All"),
        Binding("escape", "close", show=False),
    ]

    def __init__(self, model: Model, poll: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._model = model
        self._poll = poll
        self._line = self._word = ""
        self._only_bad = False
        self._shown: list[Call] = []

    def compose(self) -> ComposeResult:
        yield Static(id="verdict")
        yield DataTable(id="lines", cursor_type="row", zebra_stripes=True)
        yield Input(placeholder="in names, Call-IDs, rules", id="search")
        yield DataTable(id="calls", cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        lines, calls = self._tables()
        lines.add_columns("phone", "provider", "calls", "hurt", "registered")
        calls.add_columns("start", "from", "to", "state", "ACK l/w", "verdict")
        self._refresh_tables()
        calls.focus()
        if self._poll is not None:
            self.set_interval(EVERY, self._look)

    def _tables(self) -> tuple[DataTable[Text], DataTable[Text]]:
        return self.query_one("#lines", DataTable), self.query_one("#calls", DataTable)

    def on_resize(self) -> None:
        self._model.changed = True

    def _look(self) -> None:
        if self._poll is not None:
            self._poll()
        if self._model.changed and len(self.screen_stack) == 1:
            self._refresh_tables()

    def _refresh_tables(self) -> None:
        model = self._model
        model.changed = False
        lines, calls = self._tables()
        at_line, at_call = lines.cursor_row, calls.cursor_row
        lines.clear()
        for name, phone, provider, number, hurt, registered in model.lines():
            lines.add_row(_text(phone, 24), _text(provider, 24), _text(number), _bad(hurt),
                          _text(registered), key=name)  # fmt: skip
        self._shown = model.shown(self._line, self._only_bad, self._word)[:SHOWN]
        room = max(8, self.size.width - 66)
        calls.clear()
        for call in self._shown:
            row = call.row
            style = "red" if model.hurts(call) else ""
            calls.add_row(_text(call.started), _text(_user(row.get("from")), 14),
                          _text(_user(row.get("to")), 14), _text(row.get("outcome", ""), 12, style),
                          _text(call.ack, 11), _text(model.verdict(call), room, style))  # fmt: skip
        lines.move_cursor(row=at_line)
        calls.move_cursor(row=at_call)
        self.query_one("#verdict", Static).update(self._verdict())

    def _verdict(self) -> Text:
        model = self._model
        said = Text()
        words = headline(model.state, model.doubtful) or "Watching"
        said.append(f"{words}. ", style(model.state, model.doubtful))
        parts = [f"{len(self._shown)} of {len(model.calls)} calls"]
        parts += [f"line {self._line}"] if self._line else []
        parts += ["only what hurts"] if self._only_bad else []
        parts += [f'with "{self._word}"'] if self._word else []
        said.append(clean(", ".join(parts)), "dim")
        if model.next:
            said.append(f"\nNext: {clean(model.next, 150)}")
        elif model.why:
            said.append(f"\n{clean(model.why[0], 150)}")
        return said

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        if event.data_table.id == "lines":
            name = str(event.row_key.value or "")
            self._line = "" if self._line == name else name
            self._refresh_tables()
            self._tables()[1].focus()
        elif 0 <= event.cursor_row < len(self._shown):
            self.push_screen(Opened(self._model, self._shown, event.cursor_row))

    def on_input_changed(self, event: Input.Changed) -> None:
        self._word = event.value.strip()
        self._refresh_tables()

    def on_input_submitted(self) -> None:
        self._tables()[1].focus()

    def action_search(self) -> None:
        box = self.query_one("#search", Input)
        box.add_class("open")
        box.focus()

    def action_filter(self) -> None:
        self._only_bad = not self._only_bad
        self._refresh_tables()

    def action_all(self) -> None:
        self._line = self._word = ""
        self._only_bad = False
        box = self.query_one("#search", Input)
        box.value = ""
        box.remove_class("open")
        self._refresh_tables()

    def action_close(self) -> None:
        self.query_one("#search", Input).remove_class("open")
        self._tables()[1].focus()


def _text(value: object, most: int = 10, style: str = "") -> Text:
    return Text(clean(value, most), style)


def _bad(number: int) -> Text:
    return Text(str(number), "bold red" if number else "")


def _user(uri: object) -> str:
    bare = str(uri or "").partition(":")[2] or str(uri or "")
    return bare.partition("@")[0]
