"""Files in other people's forms: read by a mapping, taken once, and never an alarm about what is long past."""
from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from anlan.kernel import clock
from anlan.kernel.errors import Problem
from anlan.kernel.models import Fact
from anlan.sensing import broker, imports, queries, reports, worker
from anlan.sensing.ingest import Message
from anlan.sensing.models import Reading, Refused, Series, Signal
from anlan.sensing.quantities import TOO_LATE
from anlan.sensing.worker import Processor

from .builders import station

NOW = datetime(2026, 7, 20, 4, 0, tzinfo=UTC)


def read(name, text, now=NOW):
    return list(reports.parse(text if isinstance(text, bytes) else text.encode(), reports.mapping(name), now))


def seen(found):
    return [(each.line, each.station, each.quantity, each.time.isoformat(), each.value, each.unit) if not each.why else (each.line, each.why) for each in found]


def test_frames_others_have_published_give_the_values_they_published():
    """Test report and timed report as found with their values beside them: 0.5 mm, 0.127 m, 11.15 V; 4 mm, 10.49 m, 10.99 V."""
    frames = (
        "7E7E01001234567812342F0008020003591011155111036BCA\n"
        "7E7E 05 0011223344 03E8 32 002B02 0034 170718110016 F1F1 0011223344 48 F0F0 1707181100 2019000040 2619000040 392300010490 38121099 03 A421\n"
        "7E7E010012345678123430002B020003591011154947F1F1001234567848F0F0591011154920190000052619000005392300000127381211150320FA\n"
    )
    at = "2017-07-18T03:00:00+00:00"
    assert seen(read("sl651-hex", frames))[:3] == [
        (2, "0011223344", "rain", at, 4.0, "mm"), (2, "0011223344", "level", at, 10.49, "m"), (2, "0011223344", "battery", at, 10.99, "V"),
    ]
    assert [(each.quantity, each.value) for each in read("sl651-hex", frames)[3:]] == [("rain", 0.5), ("level", 0.127), ("battery", 11.15)]
    damaged = frames.splitlines()[2]
    assert seen(read("sl651-hex", damaged[:60] + "1" + damaged[61:])) == [(1, "malformed")] and seen(read("sl651-hex", damaged[:-8])) == [(1, "malformed")] and seen(read("sl651-hex", "zz")) == [(1, "malformed")]


def frame(elements: str) -> str:
    """A frame of our own around elements in hexadecimal."""
    body = bytes.fromhex("0001170718110016F1F1001122334448F0F01707181100" + elements)
    front = bytes.fromhex("7E7E0500112233440000" + "34") + len(body).to_bytes(2, "big") + b"\x02" + body + b"\x03"
    return (front + reports._crc(front).to_bytes(2, "big")).hex()


def test_an_hours_rain_in_five_minutes_stands_for_the_rain_since_the_last_report():
    found = read("sl651-hex", frame("F460" + "0A" + "00" * 9 + "FF" + "05" + "2019000015" + "1A19000015" + "3923FFFFFFFF" + "9919000001"))
    assert [(each.time.minute, each.value) for each in found if each.quantity == "rain"] == [(5, 1.0), *[(minute, 0.0) for minute in range(10, 55, 5)], (0, 0.5)]
    assert [(each.why, each.detail) for each in found if each.why] == [("quantity", "99H")] and not [each for each in found if each.quantity == "level"]


def test_coded_text_reports():
    text = "ST 0011223344 H TT 1707181100 PJ 4.0 PT 12.5 Z 10.49 VT 12.10\nnonsense\nST 9 H TT 1713181100 PJ 1\nST 9 H TT 1707181100 XX 3 Z abc\n"
    at = "2017-07-18T03:00:00+00:00"
    assert seen(read("sl651-text", text)) == [
        (1, "0011223344", "rain", at, 4.0, "mm"), (1, "0011223344", "level", at, 10.49, "m"), (1, "0011223344", "battery", at, 12.1, "V"), (2, "malformed"), (3, "no_time"), (4, "quantity"), (4, "not_a_number"),
    ]
    # Without a year: the newest past one; records may lie over lines.
    found = seen(read("sl330", "P 60612160 07200800 P1 12.5 W 8 NN\nH 62300300 12310800 Z 35.25\n Q 1250 NN\n"))
    assert found == [
        (1, "60612160", "rain", "2026-07-20T00:00:00+00:00", 12.5, "mm"), (2, "62300300", "level", "2025-12-31T00:00:00+00:00", 35.25, "m"),
        (2, "62300300", "flow", "2025-12-31T00:00:00+00:00", 1250.0, "m3/s"),
    ]


def test_tables_as_csv_in_either_encoding_and_with_gaps():
    text = "STCD,STNM,TM,DRP,Z\nA1,上游,2026-07-20 08:00:00,1.5,\nA2,桥头,2026/07/20 08:05,,54.25\nA3,x,yesterday,1,\nA4,x,2026-07-20 08:00,wet,\n"
    for data in (text.encode(), text.encode("gb18030"), text.replace(",", ";").encode("utf-8-sig")):
        assert seen(read("csv-stcd", data)) == [
            (2, "A1", "rain", "2026-07-20T00:00:00+00:00", 1.5, "mm"), (3, "A2", "level", "2026-07-20T00:05:00+00:00", 54.25, "m"), (4, "no_time"), (5, "not_a_number"),
        ]
    assert seen(read("csv-stcd", "a,b\n1,2\n")) == [(1, "malformed")]


def test_a_mapping_of_ones_own_wins_and_a_wrong_one_is_told(settings, tmp_path):
    settings.HOME = tmp_path
    (tmp_path / "mappings").mkdir()
    own = tmp_path / "mappings" / "csv-stcd.yaml"
    own.write_text("label: '2'\nformat: csv\nzone: UTC\nstation: id\ntime: t\nstations: {x9: R1}\ncolumns: {mm10: {quantity: rain, unit: mm, factor: 0.1}}\n")
    assert seen(read("csv-stcd", "id,t,mm10\nx9,2026-07-20 08:00,15\n")) == [(2, "R1", "rain", "2026-07-20T08:00:00+00:00", 1.5, "mm")]
    assert reports.mapping("csv-stcd").own and "csv-stcd" in reports.names()
    for text in ("label: x\nformat: csv\nstation: a\ntime: b\ncolumns: {c: {quantity: rain, unit: kg}}\n", "label: x\nformat: codes\nrecord: '('\nhead: x\ncodes: {}\n", "[", "label: x\nformat: magic\n"):
        own.write_text(text)
        with pytest.raises(Problem) as wrong:
            reports.mapping("csv-stcd")
        assert wrong.value.kind.code == "sensing.bad_mapping"
    with pytest.raises(Problem):
        reports.mapping("../../etc/passwd")


@pytest.fixture
def door(monkeypatch):
    """What files put on the broker, in place of one; `down` takes it away."""
    state = {"sent": [], "down": False}

    class Bridge:
        def run(self, work, timeout=20):
            return asyncio.run(work)

        async def connection(self):
            if state["down"]:
                raise ConnectionRefusedError
            return type("nc", (), {"jetstream": lambda self: None})()

    async def publish(nc, messages, ids=""):
        state["sent"] += messages
        return len(messages)

    async def ensure(js):
        return None

    monkeypatch.setattr(broker, "bridge", Bridge)
    monkeypatch.setattr(imports.ingest, "publish", publish)
    monkeypatch.setattr(imports.ingest, "ensure_streams", ensure)
    return state


def run(door, processor):
    count = processor.process([Message("local", n, subject, body) for n, (subject, body) in enumerate(door["sent"], 1)]) if door["sent"] else {}
    door["sent"].clear()
    return count


def csv_of(rows):
    return "station,time,quantity,value,unit\n" + "".join(f"{code},{when.isoformat()},rain,{value},mm\n" for code, when, value in rows)


@pytest.mark.django_db
def test_history_raises_no_old_alarm_and_what_comes_after_it_is_judged_as_ever(actual, door, tmp_path):
    """A storm of last month, of the day before yesterday and of five hours ago: stored, summed, silent. The same rain of now is red. A report
    that was history already is a duplicate, by this worker and by one that starts anew."""
    for code in ("R1", "R2"):
        station(actual, code)
    worker.prepare()
    now = clock.now().replace(second=0, microsecond=0)
    old = [(code, now - back + timedelta(minutes=10 * n), 30 + n % 3) for code in ("R1", "R2") for back in (timedelta(days=30), timedelta(hours=50), timedelta(hours=5)) for n in range(12)]
    file = tmp_path / "storm.csv"
    file.write_text(csv_of(old))
    told = imports.take(file, reports.mapping("csv-long"))
    assert (told.readings, told.history, told.faults) == (72, 72, [])
    processor = Processor()
    assert run(door, processor)["accepted"] == 72
    assert Reading.objects.count() == 72 and not Signal.objects.everything().exclude(colour=0).exists() and not Fact.objects.filter(kind__in=("sensing.SignalChanged", "sensing.GaugeSilent")).exists()
    assert set(Reading.objects.values_list("flags", flat=True)) == {TOO_LATE} and not Series.objects.exclude(last_time=None).exists()
    assert queries.window_sum(actual, "rain", 6, stations=[], region=None) == {} and {row["sum"] for row in queries.window_sum(actual, "rain", 6).values()} == {372.0}
    # Live readings of times the file had: known, not stored twice and no failure; by a worker that was there and by a new one.
    for each, code in ((processor, "R1"), (Processor(), "R2")):
        from anlan.sensing.ingest import Sample

        worker_source(code)
        again = worker.feed(actual, [Sample(code, "rain", now - timedelta(hours=5) + timedelta(minutes=10 * n), 30 + n % 3) for n in (3, 4)], each)
        assert (again["accepted"], again["duplicates"]) == (0, 2)
    # The same rain of the last half hour is an alarm, as from any door.
    file.write_text(csv_of([("R1", now - timedelta(minutes=10 * n), 40) for n in (3, 2, 1)]))
    told = imports.take(file, reports.mapping("csv-long"))
    assert told.history == 0
    run(door, processor)
    (signal,) = Signal.objects.everything().filter(colour__gt=0)
    assert signal.station.code == "R1" and signal.colour == 4 and signal.since >= now - timedelta(minutes=31)
    fact = Fact.objects.filter(kind="sensing.ReadingsImported").latest("recorded_at").payload_row.payload
    assert (fact["mapping"], fact["label"], fact["readings"], fact["history"]) == ("csv-long", "1", 3, 0) and fact["mapping_digest"].startswith("sha256:")


def worker_source(code):
    """Bind the station to a source that may send over MQTT, so that `feed` is believed."""
    from anlan.sensing.models import Register, Source, Station

    Station.objects.filter(code=code).update(source=Source.objects.get_or_create(name="gw", kind=Source.MQTT)[0])
    Register.changed()


@pytest.mark.django_db
def test_a_drop_folder_takes_each_file_once_and_says_what_it_refused(actual, door, settings, tmp_path, monkeypatch):
    settings.HOME = tmp_path
    monkeypatch.setattr(imports, "STILL_S", -1)
    station(actual, "R1")
    worker.prepare()
    assert imports.look() == 0
    folder = tmp_path / "inbox" / "csv-long"
    now = clock.now().replace(microsecond=0)
    good = csv_of([("R1", now, 1)]) + "R1,never,rain,1,mm\n"
    (folder / "a.csv").write_text(good)
    (folder / "b.csv").write_text("nothing\n")
    (folder / "c.csv.part").write_text(good)
    (folder / "working" / "999999999-d.csv").write_text(csv_of([("R1", now - timedelta(minutes=5), 2), ("NOBODY", now, 1)]))  # a worker died over it
    door["down"] = True
    assert imports.look() == 0 and (folder / "a.csv").exists() and not list((folder / "accepted").iterdir())
    door["down"] = False
    assert imports.look() == 3
    accepted, refused = ({path.name[16:]: path for path in (folder / end).iterdir()} for end in ("accepted", "refused"))
    assert set(accepted) == {"a.csv", "a.csv.reasons.txt", "d.csv"} and set(refused) == {"b.csv", "b.csv.reasons.txt"}
    assert accepted["a.csv.reasons.txt"].read_text().startswith("3 · R1") and refused["b.csv.reasons.txt"].read_text().strip()
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["c.csv.part"] and imports.look() == 0
    run(door, Processor())
    assert sorted(Reading.objects.values_list("value", flat=True)) == [1000, 2000]
    assert sorted(Refused.objects.values_list("reason", "door")) == [("no_time", "file"), ("unknown_station", "file")]
    monkeypatch.setattr(imports, "STILL_S", 60)
    (folder / "e.csv").write_text(good)
    os.utime(folder / "e.csv", (time.time(), time.time()))
    assert imports.look() == 0  # may still be growing
