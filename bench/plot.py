"""A run as a picture: CPU time of each subject on a logarithmic scale, as SVG without any library."""

from __future__ import annotations

import math
from html import escape

from bench.results import Results
from bench.summary import Line, lines

_WIDTH = 860
_LABEL = 190
_RIGHT = 120
_BAR = 16
_GAP = 6
_HEAD = 34
_WORKER, _KEEPER = "#2f6f9f", "#e0a030"
_STYLE = "text{font:13px sans-serif;fill:#333}.head{font-weight:bold}.axis{stroke:#ddd}.small{font-size:11px;fill:#777}"


def draw(results: Results) -> str:
    """The SVG's text."""
    groups = {
        title: [line for line in lines(results) if line.row == row and line.worker_us is not None]
        for row, title in results.rows.items()
    }
    drawn = {title: found for title, found in groups.items() if found}
    y, parts = 30, [_text(10, 20, f"CPU microseconds on a logarithmic scale, {results.taken_at}", "head")]
    for title, found in drawn.items():
        parts += _group(title, found, y)
        y += _HEAD + len(found) * (_BAR + _GAP) + 24
    parts += [_box(10, y, 12, _WORKER), _text(28, y + 11, "worker", "small")]
    parts += [_box(90, y, 12, _KEEPER), _text(108, y + 11, "keeper, on top of the worker", "small")]
    height = y + 28
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _group(title: str, found: list[Line], top: int) -> list[str]:
    totals = [_worker(line) + _keeper(line) for line in found]
    low = math.floor(math.log10(min(_worker(line) for line in found)))
    high = max(math.ceil(math.log10(max(totals))), low + 1)

    def x(value: float) -> float:
        return _LABEL + (math.log10(value) - low) / (high - low) * (_WIDTH - _LABEL - _RIGHT)

    bottom = top + _HEAD + len(found) * (_BAR + _GAP)
    parts = [_text(10, top + 20, title, "head")]
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{top + _HEAD - 4}" y2="{bottom}"/>')
        parts.append(_text(at - 8, bottom + 13, f"{10.0**power:g}", "small"))
    for number, (line, total) in enumerate(zip(found, totals, strict=True)):
        y = top + _HEAD + number * (_BAR + _GAP)
        worker, end = x(_worker(line)), x(total)
        parts += [_text(10, y + 13, line.subject), _box(_LABEL, y, worker - _LABEL, _WORKER)]
        if end > worker:
            parts.append(_box(worker, y, end - worker, _KEEPER))
        ratio = line.both_ratio or line.worker_ratio
        beside = f"{total:,.0f}" if total >= 100 else f"{total:,.1f}"
        parts.append(_text(end + 6, y + 13, beside + (f"  ({ratio.median:,.1f}x)" if ratio is not None else "")))
    return parts


def _worker(line: Line) -> float:
    return line.worker_us.median if line.worker_us is not None else 0.0


def _keeper(line: Line) -> float:
    return line.keeper_us.median if line.keeper_us is not None else 0.0


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y}">{escape(text)}</text>'


def _box(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" fill="{colour}"/>'
