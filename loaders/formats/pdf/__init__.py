"""PDF: text, scans, and both in one file."""

from loaders.formats.pdf.document import load, warm_up

__all__ = ["load", "warm_up"]
