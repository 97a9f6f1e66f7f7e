"""From what an MCP server answered to the text that a model reads."""

import json

from mcp import types

EMPTY_RESULT = "(The tool returned nothing.)"


def render_result(result: types.CallToolResult, *, max_chars: int) -> str:
    """Return every kind of content as text; what is no text is named, what is too long is cut."""
    parts = [text for block in result.content if (text := _render_block(block))]
    if not parts and result.structuredContent is not None:
        parts = [json.dumps(result.structuredContent, ensure_ascii=False)]
    return _cut("\n\n".join(parts) or EMPTY_RESULT, max_chars)


def _render_block(block: types.ContentBlock) -> str:
    match block:
        case types.TextContent(text=text):
            return text
        case types.ImageContent(data=data, mimeType=mime):
            return f"[An image ({mime}, {_bytes(data)} bytes) that is not shown here.]"
        case types.AudioContent(data=data, mimeType=mime):
            return f"[A sound ({mime}, {_bytes(data)} bytes) that is not played here.]"
        case types.ResourceLink(uri=uri, name=name):
            return f"[A link to the resource {name}: {uri}]"
        case types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, text=text)):
            return f"[Resource {uri}]\n{text}"
        case types.EmbeddedResource(resource=resource):
            return f"[The resource {resource.uri} that is not text.]"


def _bytes(encoded: str) -> int:
    """Estimate the size of base64 data without decoding it."""
    return len(encoded) * 3 // 4


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    note = f"\n[Cut: the first {max_chars} of {len(text)} characters.]"
    return text[:max_chars] + note
