"""Reserve targets from people and days: known answers by hand, layer by layer, beside what the ledger holds."""
from __future__ import annotations

import pytest

from anlan.kernel.models import Region
from anlan.logistics import reserves
from anlan.resources.tests.builders import item, receive, warehouse

pytestmark = pytest.mark.django_db


def test_targets_by_layer_and_form_follow_from_rates_and_lead_times(alice, actual, county, town, client, signed_in):
    """1,000 people for four days: 15 l a day are 10,000 bottles of 1.5 l a day; the first day's must lie in store, two days' be agreed, the fourth day's be made."""
    Region.objects.filter(pk=county.pk).update(population=50_000)
    county.refresh_from_db()
    water = item(alice, actual, name="瓶装饮用水（1.5 L）")
    place = warehouse(alice, actual, town, layer="town")
    receive(alice, actual, place, water, 3000)
    proposed = reserves.mapping()
    assert proposed == {"item_water": str(water.pk), "each_water": 1.5}
    found = reserves.targets(alice, actual, county, {"share": 2, "days": 4, **proposed})
    (line,) = found.lines
    assert found.people["sheltered"] == 1000 and line.need == 40_000 and line.by_day == [10_000] * 4
    assert [cell.target for cell in line.layers] == [4500, 2500, 1500, 1500] and [cell.held for cell in line.layers] == [0, 3000, 0, 0]
    assert line.gap == 7500, "five hundred too many in the town cover nothing elsewhere"
    assert (line.agreement.target, line.capacity.target) == (20_000, 10_000) and len(found.missing) == 4, "food, blankets, beds, toilets have no item yet"
    desk = signed_in(client, alice)
    page = desk.get(f"/logistics/reserves?region={county.pk}&days=4&share=2").content.decode()
    assert all(word in page for word in ("40,000", "4,500", "7,500", "瓶装饮用水"))
    assert desk.get(f"/logistics/reserves?region={county.pk}&days=4&share=2&xlsx=1").content[:2] == b"PK" and "/logistics/reserves" in desk.get("/resources/supplies").content.decode()
    assert desk.get(f"/logistics/reserves?region={county.pk}&days=x").status_code == 422
