"""Small plots, drawn as SVG."""

from collections.abc import Sequence

from evals.numbers.estimates import Estimate

WIDTH, HEIGHT = 220, 22
_BARS = 20


def range_bar(figure: Estimate | None) -> str:
    """A share between 0 and 1, with its interval."""
    if figure is None:
        return ""
    parts = [
        f'<rect class="ground" x="0" y="9" width="{WIDTH}" height="4" rx="2"/>',
        f'<rect class="fill" x="0" y="9" width="{figure.mean * WIDTH:.1f}" height="4" rx="2"/>',
    ]
    if figure.interval is not None:
        low, high = figure.interval.low * WIDTH, figure.interval.high * WIDTH
        parts.append(
            f'<rect class="interval" x="{low:.1f}" y="5" width="{max(high - low, 1):.1f}" '
            'height="12" rx="3"/>'
        )
    parts.append(f'<circle class="mean" cx="{figure.mean * WIDTH:.1f}" cy="11" r="4"/>')
    return _svg(parts)


def histogram(values: Sequence[float]) -> str:
    """How often which values came, from the smallest to the greatest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    counts = [0] * _BARS
    for value in values:
        share = (value - low) / (high - low) if high > low else 0.0
        counts[min(int(share * _BARS), _BARS - 1)] += 1
    step, most = WIDTH / _BARS, max(counts)
    return _svg(
        [
            f'<rect class="bar" x="{number * step:.1f}" y="{HEIGHT - height:.1f}" '
            f'width="{step - 1:.1f}" height="{height:.1f}"/>'
            for number, count in enumerate(counts)
            if (height := count / most * HEIGHT) > 0
        ]
    )


def _svg(parts: Sequence[str]) -> str:
    return (
        f'<svg class="plot" width="{WIDTH}" height="{HEIGHT}" viewBox="-5 0 {WIDTH + 10} {HEIGHT}" '
        f'role="img">{"".join(parts)}</svg>'
    )
