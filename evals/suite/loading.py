"""Where suites are, and how their files are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from evals.errors import SuiteInvalid, UsageMistake
from evals.scorers.model_graded import RubricOptions
from evals.suite.labelled import LabelledAnswer, read_labelled
from evals.suite.remedies import faults, one_of
from evals.suite.samples import placed_samples, read_samples
from evals.suite.schema import SampleSpec, SuiteSpec
from evals.suite.yaml_places import PlacedYaml, read_yaml

SUITES = Path(__file__).parents[1] / "suites"
"""Those that come with the product, a folder each."""
FILE = "suite.yaml"


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A suite that can be run."""

    name: str
    path: Path
    spec: SuiteSpec | None
    """None of a task in Python, which Inspect reads itself."""
    samples: Sequence[SampleSpec] = ()
    labelled: Mapping[str, Sequence[LabelledAnswer]] = field(default_factory=dict)
    """By scorer, answers that people have labelled."""

    def read_media(self) -> list[bytes]:
        """The recordings and images of its samples: other ones are other questions."""
        names = {name for each in self.samples for name in each.media_names}
        return [(self.path.parent / name).read_bytes() for name in sorted(names)]

    @property
    def description(self) -> str:
        """What it is about."""
        return self.spec.description if self.spec else "a task of Inspect's"


def own_suites() -> list[str]:
    """The names of those that come with the product."""
    return sorted(path.parent.name for path in SUITES.glob(f"*/{FILE}"))


def find_suite(named: str) -> Suite:
    """Reads a suite by the name of one of the product's, or by the path of a folder or file.

    Raises:
        UsageMistake: There is none.
        SuiteInvalid: It cannot be used as it is written.
    """
    own = SUITES / named / FILE
    path = own if named in own_suites() else Path(named)
    if path.is_dir():
        path /= FILE
    if not path.is_file():
        raise UsageMistake(
            f"there is no suite {named!r}; {one_of(named, own_suites())}, or give a path."
        )
    if path.suffix == ".py":
        return Suite(name=path.stem, path=path, spec=None)
    return read_suite(path)


def read_suite(path: Path) -> Suite:
    """Reads a suite's file and its samples.

    Raises:
        SuiteInvalid: Names every fault by file, line and place, and what to do.
    """
    document = read_yaml(path)
    content = document.content
    if not isinstance(content, dict):
        raise SuiteInvalid(f"{path}, line 1: a suite is a mapping: begin it with 'name:'.")
    try:
        spec = SuiteSpec.model_validate(content)
    except ValidationError as exc:
        raise SuiteInvalid(
            "\n".join(
                f"{path}, line {document.line_of(place)}: "
                f"{'.'.join(map(str, place)) or 'the suite'} {fault}."
                for place, fault in faults(exc, SuiteSpec)
            )
        ) from exc
    if isinstance(spec.samples, str):
        samples = read_samples(path.parent / spec.samples, folder=path.parent)
    else:
        samples = placed_samples(path, document, ("samples",))
    _check_surroundings(path, document, spec, samples)
    labelled = _labelled(path, spec)
    return Suite(name=spec.name, path=path, spec=spec, samples=samples, labelled=labelled)


def _labelled(path: Path, spec: SuiteSpec) -> dict[str, Sequence[LabelledAnswer]]:
    chosen = {each.name: each.kind.options.model_validate(each.options) for each in spec.scorers}
    return {
        name: read_labelled(path.parent / options.labelled, options)
        for name, options in chosen.items()
        if isinstance(options, RubricOptions) and options.labelled
    }


def _check_surroundings(
    path: Path, document: PlacedYaml, spec: SuiteSpec, samples: Sequence[SampleSpec]
) -> None:
    told = [
        f"{path}, line {document.line_of(('fixtures', 'documents', number, 'path'))}: "
        f"there is no file {each.path!r}; paths are relative to the suite's file."
        for number, each in enumerate(spec.fixtures.documents)
        if not (path.parent / each.path).is_file()
    ]
    users = spec.fixtures.users
    told += [
        f"{path}: sample {each.id!r} is asked by {each.user!r}; add this user to fixtures.users."
        for each in samples
        if each.user is not None and each.user not in users
    ]
    if told:
        raise SuiteInvalid("\n".join(told))
