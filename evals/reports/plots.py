"""Small plots, drawn as SVG: their colours are those of the page."""

from collections.abc import Sequence
from html import escape
from statistics import median

from evals.numbers.estimates import Estimate
from evals.target.answer import Answer

WIDTH, HEIGHT = 220, 22
MARGIN = 6
"""Left and right, for marks that stand on an edge."""
AXIS = 14
"""Below a histogram, for its figures."""
_BARS = 20


def range_bar(figure: Estimate | None) -> str:
    """A share between 0 and 1, with its interval."""
    if figure is None:
        return ""
    mean = max(0.0, min(1.0, figure.mean))
    parts = [
        f'<rect class="ground" x="0" y="9" width="{WIDTH}" height="4" rx="2"/>',
        f'<rect class="fill" x="0" y="9" width="{mean * WIDTH:.1f}" height="4" rx="2"/>',
    ]
    told = f"{figure.mean:.3f}"
    if figure.interval is not None:
        low, high = figure.interval.low * WIDTH, figure.interval.high * WIDTH
        told += f", 95 %: {figure.interval.low:.3f} to {figure.interval.high:.3f}"
        parts.append(
            f'<rect class="interval" x="{low:.1f}" y="5" width="{max(high - low, 1):.1f}" '
            'height="12" rx="3"/>'
        )
    parts.append(f'<circle class="mean" cx="{mean * WIDTH:.1f}" cy="11" r="4"/>')
    return _svg(parts, told=told)


def histogram(values: Sequence[float]) -> str:
    """How often which values came, from the smallest to the greatest, and the middle one."""
    if not values:
        return ""
    low, high, middle = min(values), max(values), median(values)
    counts = [0] * _BARS
    for value in values:
        counts[min(int(_share(value, low, high) * _BARS), _BARS - 1)] += 1
    step, most = WIDTH / _BARS, max(counts)
    parts = [
        f'<rect class="bar" x="{number * step:.1f}" y="{HEIGHT - height:.1f}" '
        f'width="{step - 1:.1f}" height="{height:.1f}"/>'
        for number, count in enumerate(counts)
        if (height := count / most * HEIGHT) > 0
    ]
    parts.append(f'<path class="axis" d="M0 {HEIGHT + 0.5}H{WIDTH}"/>')
    parts.append(_figure(low, 0, "start"))
    if high > low:
        parts.append(_figure(high, WIDTH, "end"))
        at = _share(middle, low, high) * WIDTH
        parts.append(f'<path class="middle" d="M{at:.1f} 0V{HEIGHT}"/>')
    told = f"from {_short(low)} to {_short(high)}, half of them up to {_short(middle)}"
    return _svg(parts, told=told, height=HEIGHT + AXIS)


def time_bar(answer: Answer, longest: float) -> str:
    """How long an answer took: each call of a tool, and what the model and the rest took.

    When a call began is not known: calls stand first, in their order, and the rest behind them.
    """
    calls = [(call.name, call.seconds) for call in answer.calls if call.seconds]
    whole = max(answer.seconds, sum(seconds for _, seconds in calls))
    if not whole:
        return ""
    scale, at = WIDTH / max(longest, whole), 0.0
    parts = [f'<rect class="ground" x="0" y="4" width="{WIDTH}" height="2"/>']
    for name, seconds in calls:
        parts.append(_stretch("tool", at, seconds * scale, f"{name} {seconds:.2f} s"))
        at += seconds * scale
    rest = whole * scale - at
    if rest > 0:
        parts.append(_stretch("model", at, rest, f"model and the rest {rest / scale:.2f} s"))
    return _svg(parts, told=f"{whole:.2f} s", height=10)


def _stretch(kind: str, x: float, width: float, told: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="1" width="{max(width - 0.5, 0.5):.1f}" height="8" '
        f'rx="1.5"><title>{escape(told)}</title></rect>'
    )


def _figure(value: float, x: float, side: str) -> str:
    return f'<text x="{x}" y="{HEIGHT + AXIS - 2}" text-anchor="{side}">{_short(value)}</text>'


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.0


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def _svg(parts: Sequence[str], *, told: str, height: int = HEIGHT) -> str:
    return (
        f'<svg class="plot" viewBox="{-MARGIN} 0 {WIDTH + 2 * MARGIN} {height}" '
        f'width="{WIDTH + 2 * MARGIN}" height="{height}" role="img" aria-label="{escape(told)}">'
        f"<title>{escape(told)}</title>{''.join(parts)}</svg>"
    )
