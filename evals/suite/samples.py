"""Samples from JSON lines, CSV and YAML, each with the line on which it stands."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evals.errors import SuiteInvalid
from evals.suite.functions import with_functions_of_file
from evals.suite.remedies import faults
from evals.suite.schema import SampleSpec
from evals.suite.yaml_places import PlacedYaml, read_yaml

CSV_COLUMNS = {"id", "input", "target", "tags", "user", "tools", "expect", "audio", "images"}
CSV_LIST_SEPARATOR = "|"


@dataclass(frozen=True, kw_only=True)
class RawSample:
    """A sample as it was written."""

    content: Any
    line: int


def read_samples(path: Path, *, folder: Path | None = None) -> list[SampleSpec]:
    """All samples of a file.

    Args:
        path: Of the file.
        folder: Where their recordings and images are; that of the file itself by default.

    Raises:
        SuiteInvalid: A sample has a fault, or the file has none.
    """
    readers = {".jsonl": _json_lines, ".csv": _csv, ".yaml": _yaml, ".yml": _yaml}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise SuiteInvalid(f"{path}: samples are in files of {', '.join(readers)}.")
    try:
        return check_samples(path, list(reader(path)), folder=folder or path.parent)
    except (OSError, UnicodeDecodeError) as exc:
        raise SuiteInvalid(f"{path}: cannot be read ({exc}).") from exc


def placed_samples(
    path: Path, document: PlacedYaml, place: Sequence[int | str]
) -> list[SampleSpec]:
    """Samples that stand in a suite's own file.

    Raises:
        SuiteInvalid: A sample has a fault, or there is none.
    """
    content = document.content
    for step in place:
        content = content[step]
    raw = [
        RawSample(content=each, line=document.line_of((*place, number)))
        for number, each in enumerate(content)
    ]
    return check_samples(path, raw, folder=path.parent)


def check_samples(path: Path, raw: Sequence[RawSample], *, folder: Path) -> list[SampleSpec]:
    """Holds samples to their form, and to having ids of their own.

    Raises:
        SuiteInvalid: Names every fault.
    """
    samples: dict[str, SampleSpec] = {}
    told: list[str] = []
    for each in raw:
        try:
            sample = SampleSpec.model_validate(with_functions_of_file(each.content, path.parent))
        except ValidationError as exc:
            told += [
                f"{path}, line {each.line}: {'.'.join(map(str, place)) or 'the sample'} {fault}."
                for place, fault in faults(exc, SampleSpec)
            ]
            continue
        if sample.id in samples:
            told.append(f"{path}, line {each.line}: id {sample.id!r} is there already: change one.")
        samples[sample.id] = sample
        told += [
            f"{path}, line {each.line}: there is no file {name!r}; paths are relative to the "
            "suite's file."
            for name in sample.media_names
            if not (folder / name).is_file()
        ]
    if not raw:
        told.append(f"{path}: there are no samples: add one.")
    if told:
        raise SuiteInvalid("\n".join(told))
    return list(samples.values())


def _json_lines(path: Path) -> Iterator[RawSample]:
    for line, text in enumerate(path.read_text("utf-8-sig").split("\n"), start=1):
        if text.strip():
            try:
                yield RawSample(content=json.loads(text), line=line)
            except ValueError as exc:
                raise SuiteInvalid(
                    f"{path}, line {line}: no JSON ({exc}); one object a line."
                ) from exc


def _csv(path: Path) -> Iterator[RawSample]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        if unknown := set(rows.fieldnames or ()) - CSV_COLUMNS:
            raise SuiteInvalid(
                f"{path}, line 1: unknown columns {sorted(unknown)}; there are "
                f"{', '.join(sorted(CSV_COLUMNS))}."
            )
        try:
            for row in rows:
                yield RawSample(content=_csv_sample(path, rows.line_num, row), line=rows.line_num)
        except csv.Error as exc:
            raise SuiteInvalid(f"{path}, line {rows.line_num}: no CSV ({exc}).") from exc


def _csv_sample(path: Path, line: int, row: dict[str, str | None]) -> dict[str, Any]:
    sample: dict[str, Any] = {name: value for name, value in row.items() if value}
    for name in {"target", "tags", "images"} & sample.keys():
        sample[name] = [each.strip() for each in sample[name].split(CSV_LIST_SEPARATOR)]
    if "expect" in sample:
        try:
            sample["expect"] = json.loads(sample["expect"])
        except ValueError as exc:
            raise SuiteInvalid(f"{path}, line {line}: expect is no JSON ({exc}).") from exc
    return sample


def _yaml(path: Path) -> Iterator[RawSample]:
    document = read_yaml(path)
    if not isinstance(document.content, list):
        raise SuiteInvalid(f"{path}, line 1: samples are a list: begin each with '- id:'.")
    for number, each in enumerate(document.content):
        yield RawSample(content=each, line=document.line_of((number,)))
