"""What the city has goes in once, by the imports offices use, and the ledger agrees with itself."""
import pytest

from anlan.demo import actions, means
from anlan.engines.geo import build
from anlan.kernel import clock, realms
from anlan.kernel.actions import Act, Actor
from anlan.resources import means as reads
from anlan.resources import supplies
from anlan.resources.models import Expert, Member, Shelter, Stock, Warehouse
from anlan.warning import devices

pytestmark = pytest.mark.django_db


def test_the_city_has_stores_people_shelters_and_experts(actual):
    actions.load_city(Act(Actor.machine("demo"), actual), seed=7)
    city, today = build(7), clock.local(clock.now()).date()
    actions.enter_teams(city, today)
    counts = means.enter(city, today, lambda name: str(actions.key("unit", 7, name)))
    assert counts["lots"] == 2000 and counts["resources.member"] == 5000
    assert (Warehouse.plain.count(), Shelter.plain.count(), Expert.plain.count(), Member.plain.count()) == (40, 300, 100, 5000)
    assert means.enter(city, today, lambda name: str(actions.key("unit", 7, name))) == {}
    assert supplies.audit(realms.actual()) == [] and Stock.plain.filter(quantity__lte=0).count() == 0
    machine = Actor.machine("test")
    assert supplies.below_minimum(machine, actual, today) and supplies.expiring(machine, actual, today)
    rates = reads.equipment_rates(machine, today)
    # Loudspeakers: most villages have one that is heard and sounded its tone; the rest are named.
    assert means.let_speak(city) > 700
    spoken = devices.coverage(machine, clock.now())
    assert spoken["count"] == 800 and 75 < spoken["rate"] < 92 and min(spoken["states"].values()) > 10
    assert all(0 < rates[name][2] < 100 for name in ("q14", "q15", "q16")) and 0 < reads.training(machine, today)["q20"][2] < 100
