"""Under what the answers of a run come about: for its record, and for the key of its cache."""

from evals.records.record import Conditions
from evals.records.surroundings import (
    read_changes,
    read_revision,
    settings_digest,
    versions,
)
from evals.running.digests import fixtures_digest, suite_digest
from evals.running.options import RunOptions
from evals.suite.loading import Suite
from evals.target.caching import AnswerCache
from evals.target.model import DEFAULT_MODEL
from evals.target.opening import Target
from server.settings import Settings


class RunConditions:
    """Product, settings and revision of one run."""

    def __init__(self, target: Target, settings: Settings, options: RunOptions) -> None:
        self._target = target
        self._settings = settings
        self._options = options
        self._revision = read_revision()

    def called(self, model: str | None) -> str:
        """What a model is called."""
        return model_name(model, self._target, self._settings)

    def of(
        self, suite: Suite, model: str | None, *, epochs: int, grader: str | None = None
    ) -> Conditions:
        """As records hold them."""
        here = self._target.url is None
        return Conditions(
            target=self._target.name,
            model=self.called(model),
            seed=self._options.seed,
            settings_digest=settings_digest(self._settings) if here else None,
            git_revision=self._revision.commit,
            git_dirty=self._revision.dirty,
            versions=versions(),
            epochs=epochs,
            selection=self._options.selection,
            samples_digest=suite_digest(suite),
            grader=grader,
        )

    def cache(self, suite: Suite) -> AnswerCache | None:
        """The answers that earlier runs were given under the same; None unless asked for."""
        if self._options.cache is None:
            return None
        conditions = {
            "settings": settings_digest(self._settings),
            "revision": self._revision.commit,
            "changes": read_changes() if self._revision.commit else None,
            "versions": versions(),
            "seed": self._options.seed,
            "suite": suite.name,
            "fixtures": fixtures_digest(suite),
        }
        return AnswerCache(self._options.cache, conditions)


def model_name(model: str | None, target: Target, settings: Settings) -> str:
    """What a model is called; of a server's own nobody says how."""
    return model or (settings.llm.chat_model if target.url is None else DEFAULT_MODEL)
