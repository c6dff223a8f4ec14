"""The printed shift pack carries the journal's head out of the machine."""
import pytest

from anlan.command import papers
from anlan.kernel import heads, journal, realms
from anlan.kernel.actions import Act


@pytest.mark.django_db
def test_the_head_on_the_shift_pack_is_the_one_a_later_check_takes(alice, actual):
    assert "Head of the journal" not in papers.shift_pack(alice, actual, "en").foot
    realms.start(Act(alice, actual), kind="exercise", name="drill")
    journal.seal()
    foot = papers.shift_pack(alice, actual, "en").foot
    known = heads.read(foot.rpartition(" ")[2])
    assert known["number"] == journal.head_number() and heads.compare(known) == ""
    assert heads.compare({**known, "digest": "0" * 16}) != ""
