"""A run as JUnit's XML: samples are test cases, epochs of one sample are one."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from evals.records.baseline import BaselineRecord
from evals.records.gate import Check, Checked
from evals.records.record import SuiteRecord
from evals.records.summary import SuiteSummary
from evals.reports import wording
from evals.reports.comparing import baseline_lines

NONCHARACTERS = "\ufffe\uffff"


def junit_report(checked: Checked, *, baseline: BaselineRecord | None = None) -> bytes:
    """The whole file."""
    root = ET.Element("testsuites")
    for record, checks in checked:
        _suite(root, record, checks)
    if baseline is not None:
        _baseline(root, baseline)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _suite(root: ET.Element, record: SuiteRecord, checks: Sequence[Check]) -> None:
    summary = SuiteSummary(record)
    suite = ET.SubElement(root, "testsuite", name=_legal(record.title))
    for name in summary.samples():
        _sample(suite, summary, name)
    for check in checks:
        name = _legal(check.bound.name)
        case = ET.SubElement(suite, "testcase", classname="threshold", name=name)
        if not check.holds:
            ET.SubElement(case, "failure", message=_legal(wording.check_line(check)))
    if record.failure:
        case = ET.SubElement(suite, "testcase", classname=_legal(record.suite), name="the suite")
        ET.SubElement(case, "error", message=_legal(record.failure))
    _count(suite)


def _baseline(root: ET.Element, baseline: BaselineRecord) -> None:
    suite = ET.SubElement(root, "testsuite", name="baseline")
    case = ET.SubElement(suite, "testcase", classname="baseline", name=_legal(baseline.run))
    if baseline.is_worse:
        told = "; ".join(baseline_lines(baseline))
        ET.SubElement(case, "failure", message=_legal(told))
    _count(suite)


def _count(suite: ET.Element) -> None:
    for kind in ("failure", "error", "skipped"):
        attribute = {"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]
        suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("tests", str(len(suite)))


def _sample(suite: ET.Element, summary: SuiteSummary, name: str) -> None:
    attempts = summary.attempts(name)
    seconds = sum(each.answer.seconds for each in attempts if each.answer)
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_legal(summary.record.suite),
        name=_legal(name),
        time=f"{seconds:.3f}",
    )
    errors = [each.error for each in attempts if each.error]
    state = summary.state(name)
    if errors:
        ET.SubElement(case, "error", message=_legal(errors[0]))
    elif state == "unscored":
        ET.SubElement(case, "skipped", message="unscored")
    elif state != "passed":
        told = "\n".join(
            f"epoch {each.epoch}: {fault}" for each in attempts for fault in wording.faults(each)
        )
        ET.SubElement(case, "failure", message=state).text = _legal(told)


def _legal(text: str) -> str:
    """XML has no place for most control characters and no escape for them."""
    return "".join(
        each
        if each in "\t\n\r" or " " <= each <= "\ud7ff" or "\ue000" <= each not in NONCHARACTERS
        else "\ufffd"
        for each in text
    )
