from uuid import UUID

from persistence.identifiers import new_uuid7, plain_uuid


def test_a_uuid7_names_its_version_and_variant() -> None:
    made = new_uuid7()
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_uuid7s_sort_by_the_millisecond_they_were_made_in() -> None:
    made = [new_uuid7() for _ in range(1000)]
    stamps = [each.int >> 80 for each in made]
    assert stamps == sorted(stamps)
    assert len(set(made)) == len(made)


def test_a_subclass_becomes_a_plain_uuid() -> None:
    class DriversUuid(UUID):
        pass

    given = DriversUuid(int=1)
    assert plain_uuid(given) == given
    assert type(plain_uuid(given)) is UUID
