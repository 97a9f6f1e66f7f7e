"""What the server says about the models that it serves."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graph.llm.embedded.orders import Orders
from graph.llm.embedded.weight_files import load_weight_files

LICENSE = "Apache-2.0"
_CHAT_TEMPLATE = (
    "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n"
)


class ModelCards:
    """The models, by name with or without `:latest`."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def is_chat(self, name: str) -> bool:
        """Whether the name is the chat model's."""
        return _plain(name) == _plain(self._orders.chat_model)

    def is_embedding(self, name: str) -> bool:
        """Whether the name is the embedding model's."""
        return _plain(name) == _plain(self._orders.embed_model)

    def tags(self) -> list[dict[str, Any]]:
        """The entries of `/api/tags`."""
        chat, embed = self._orders.chat_model, _tagged(self._orders.embed_model)
        return [
            self._tag(chat, self._orders.chat_file, self._chat_details()),
            self._tag(embed, self._orders.embedding_file, _EMBED_DETAILS),
        ]

    def show(self, name: str) -> dict[str, Any] | None:
        """The answer of `/api/show`, or None for an unknown model."""
        if self.is_chat(name):
            return self._card(
                self._orders.chat_file,
                details=self._chat_details(),
                capabilities=["completion", "tools"],
                template=_CHAT_TEMPLATE,
                info={
                    "general.architecture": "qwen2",
                    "qwen2.context_length": self._orders.context_tokens,
                },
            )
        if self.is_embedding(name):
            return self._card(
                self._orders.embedding_file,
                details=_EMBED_DETAILS,
                capabilities=["embedding"],
                template="",
                info={
                    "general.architecture": "bert",
                    "bert.context_length": 256,
                    "bert.embedding_length": 384,
                },
            )
        return None

    def _chat_details(self) -> dict[str, Any]:
        return {
            "parent_model": "",
            "format": "gguf",
            "family": "qwen2",
            "families": ["qwen2"],
            "parameter_size": self._orders.chat_model.partition(":")[2].upper(),
            "quantization_level": "Q4_K_M",
        }

    def _tag(self, name: str, file: str, details: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": name,
            "model": name,
            "modified_at": _modified_at(file),
            "size": Path(file).stat().st_size,
            "digest": load_weight_files()[_plain(name)].sha256,
            "details": details,
        }

    def _card(
        self,
        file: str,
        *,
        details: dict[str, Any],
        capabilities: list[str],
        template: str,
        info: dict[str, Any],
    ) -> dict[str, Any]:
        return {
            "license": LICENSE,
            "modelfile": "",
            "parameters": "",
            "template": template,
            "details": details,
            "model_info": info,
            "capabilities": capabilities,
            "modified_at": _modified_at(file),
        }


_EMBED_DETAILS = {
    "parent_model": "",
    "format": "onnx",
    "family": "bert",
    "families": ["bert"],
    "parameter_size": "23M",
    "quantization_level": "F32",
}


def _plain(name: str) -> str:
    return name.strip().removesuffix(":latest")


def _tagged(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def _modified_at(file: str) -> str:
    moment = datetime.fromtimestamp(Path(file).stat().st_mtime, UTC)
    return moment.isoformat().replace("+00:00", "Z")
