"""Any number of rows in one statement: what is given of them comes as an array for each column."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine


def given_rows(columns: Mapping[str, TypeEngine[Any]], *, prefix: str = "") -> Any:
    """The rows as a table `given`; each column's parameter has its name, after the prefix."""
    arrays = [bindparam(f"{prefix}{name}", type_=ARRAY(type_)) for name, type_ in columns.items()]
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="given")
