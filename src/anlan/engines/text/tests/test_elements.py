"""What sentences of plans say: thresholds, actions, limits, and lines of responsibility, against labels made by hand."""
from __future__ import annotations

from pathlib import Path

import pytest

from anlan.engines.text.elements import assignment, elements
from anlan.engines.text.reader import read

SHARED = Path(__file__).resolve().parents[6] / "shared" / "data"


def said(body: str) -> dict:
    return elements(read(f"某市防汛应急预案\n\n1 总则\n\n1.1 目的\n\n甲。\n\n2 响应\n\n2.1 Ⅲ级响应\n\n2.1.1 启动条件\n\n发生下列情况之一者：\n\n{body}\n\n3 附则\n\n无。"))


def rows(found: dict) -> list[tuple]:
    return [(row["quantity"], row["op"], row["value"], row["unit"]) for row in found["conditions"]]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("（1）死亡（含失踪）20人以上、50人以下；", [("deaths", ">=", 20, "人"), ("deaths", "<", 50, "人")]),
        ("（1）紧急转移安置 10 万人以上；", [("people_relocated", ">=", 100_000, "人")]),
        ("（1）倒塌和严重损坏房屋 20 万间或 6 万户以上；", [("houses_damaged_rooms", ">=", 200_000, "间"), ("houses_damaged_households", ">=", 60_000, "户")]),
        ("（1）24小时降雨量100毫米以上；", [("rain", ">=", 100, "毫米")]),
        ("（1）最低气温降至-10℃以下；", [("temperature", "<", -10, "摄氏度")]),
        ("（1）气温降至零下15℃以下；", [("temperature", "<", -15, "摄氏度")]),
        ("（1）造成1人死亡或3人以上重伤；", [("deaths", ">=", 1, "人"), ("injured", ">=", 3, "人")]),
        ("（1）水库水位超汛限；", [("water_level", ">", "汛限", "")]),
        ("（1）一个平均潜伏期内发生5例以上肺鼠疫、肺炭疽病例；", [("cases", ">=", 5, "例")]),
        (
            "（1）5个及以上市州日降雨量超过150毫米，且省气象台发布暴雨红色预警；",
            [("cities", ">=", 5, "个"), ("rain", ">", 150, "毫米"), ("warning", "==", "暴雨红色", "")],
        ),
        ("（1）累计雨量200～300毫米的县（市、区）达到10个以上；", [("rain", ">=", 200, "毫米"), ("rain", "<", 300, "毫米"), ("counties", ">=", 10, "个")]),
        ("（1）距国界5公里以内的火灾；", [("border_distance", "<=", 5, "公里")]),
        ("（1）1/3以上县（市、区）出现暴雨；", [("share_of_places", ">=", "1/3", "县")]),
        ("（1）半数以上的乡镇受灾；", [("share_of_places", ">=", "1/2", "乡")]),
        ("（1）水位超过警戒水位；", [("water_level", ">", "警戒水位", "")]),
        ("（1）水位达到 56m ；", [("water_level", ">=", 56, "米")]),
        ("（1）3个以上县市区发布暴雨红色预警；", [("warning_counties", ">=", 3, "县")]),
        ("（1）发布台风橙色预警；", [("warning", "==", "台风橙色", "")]),
        ("（1）积水深度超过 50cm 以上；", [("water_depth", ">=", 50, "厘米")]),
        ("（1）受旱面积占播种面积的比例达到 5%~10% ；", [("crop_drought_share", ">=", 5, "%"), ("crop_drought_share", "<", 10, "%")]),
        ("（1）2 座以上小型水库出现险情；", [("reservoirs", ">=", 2, "座")]),
        ("（1）死亡 5 0 人 以 上 ；", [("deaths", ">=", 50, "人")]),
        ("（1）笼罩面积达到 0.2~0.4 万（含0.4 万）平方公里；", [("rain_area", ">=", 2000, "平方公里"), ("rain_area", "<=", 4000, "平方公里")]),
        ("（1）某江某站水位超警戒水位0.5米以上；", [("water_level", ">=", "警戒水位+0.5", "")]),
        ("（1）发生3.0≤M＜4.0级地震；", [("magnitude", ">=", 3, "级"), ("magnitude", "<", 4, "级")]),
        ("（1）花园口站发生4000～8000立方米每秒的洪水；", [("flow", ">=", 4000, "立方米每秒"), ("flow", "<", 8000, "立方米每秒")]),
        ("（1）最低气温下降8℃以上，最低气温小于等于4℃；", [("temperature_drop", ">=", 8, "摄氏度"), ("temperature", "<=", 4, "摄氏度")]),
        ("（1）市气象台发布暴雨Ⅱ级预警；", [("warning", "==", "暴雨橙色", "")]),
        ("（1）3个以上县（市、区）启动Ⅲ级以上防汛应急响应；", [("response_counties", ">=", 3, "县")]),
        ("（1）一次食物中毒人数超过100人并出现死亡病例，或出现10例以上死亡病例；", [("injured", ">", 100, "人"), ("deaths", ">=", 10, "例")]),
        ("（1）停水24小时以上，影响用户3万户以上；", [("hours", ">=", 24, "小时"), ("households_cut", ">=", 30_000, "户")]),
        ("（1）烈度达到Ⅶ度以上；", [("intensity", ">=", 7, "度")]),
        ("（1）其他需要启动的情况。", []),
        ("（1）预计未来 24 小时有强降雨；", []),
    ],
)
def test_thresholds(sentence, expected):
    found = said(sentence)
    assert rows(found) == expected
    assert all(row["level"] == "III" and row["kind"] == "response" for row in found["conditions"])
    assert bool(found["unmatched"]) == (not expected)


def test_what_is_forecast_is_asked_of_the_forecaster_and_what_is_above_a_mark_keeps_the_mark():
    [row] = said("（1）预报未来24小时降雨量100毫米以上；")["conditions"]
    assert row["cel"] == 'rain_forecast_24h("area") >= 100'
    [row] = said("（1）24小时降雨量100毫米以上；")["conditions"]
    assert row["cel"] == 'rain_24h("area") >= 100'
    [row] = said("（1）2座以上水库超汛限水位1米以上；")["conditions"][1:]
    assert row["cel"] == 'water_level("gauge") >= mark("gauge", "flood_limit") + 1'


def test_a_plan_may_say_that_below_includes_the_number():
    found = said("（1）死亡3人以上、10人以下；\n\n（2）注：“以上”“以下”均含本数。")
    assert found["inclusive"]["said"]


def test_rows_point_at_the_exact_words():
    body = "（1）死亡\n20 人以上；\n\n（2）其他需要启动的情况。"
    source = f"某市防汛应急预案\n\n1 响应\n\n1.1 Ⅲ级响应\n\n1.1.1 启动条件\n\n发生下列情况之一者：\n\n{body}\n\n1.1.2 响应措施\n\n（1）市水利局在2小时内派出工作组。必要时，市应急局会同市财政局调拨物资。"
    found = elements(read(source))
    for key in ("conditions", "actions", "unmatched"):
        assert found[key]
        for row in found[key]:
            assert source[slice(*row["span"])] == row["text"]
    assert found["conditions"][0]["text"] == "死亡\n20 人以上"
    assert [(row["unit"], row["minutes"], row["with"], row["level"]) for row in found["actions"]] == [("市水利局", 120, "", "III"), ("市应急局", None, "市财政局", "III")]


LINES = [
    ("县应急局、县委编办等按职责分工负责,各镇区", [], ["县应急局", "县委编办"], [], "", True, True),
    ("县安委办、县减灾办牵头,县有关部门和单位按职责分工负责,各镇区", ["县安委办", "县减灾办"], [], [], "县有关部门和单位", False, True),
    ("县应急局、县委编办、县司法局、县住建局、县交通局、县水务局、县消防救援大队按职责分工,各镇区", [], ["县应急局", "县委编办", "县司法局", "县住建局", "县交通局", "县水务局", "县消防救援大队"], [], "", False, True),
    ("县应急局牵头,县有关部门和单位按职责分工负责,各镇区", ["县应急局"], [], [], "县有关部门和单位", False, True),
    ("县应急局牵头,县有关部门和单位按职责分工负责", ["县应急局"], [], [], "县有关部门和单位", False, False),
    ("县应急局牵头,有关部门和单位按职责分工负责,各镇区", ["县应急局"], [], [], "有关部门和单位", False, True),
    ("县司法局、县应急局、县消防救援大队", [], [], ["县司法局", "县应急局", "县消防救援大队"], "", False, False),
]
MEASURES = ["统一领导", "夯实责任", "监管执法", "部门协同", "区域协同", "军地协同", "加强立法"]


@pytest.mark.parametrize(("line", "lead", "by_duty", "plain", "open_phrase", "others", "towns"), LINES)
def test_lines_of_responsibility(line, lead, by_duty, plain, open_phrase, others, towns):
    assert assignment(line) == {"lead": lead, "by_duty": by_duty, "supporting": [], "plain": plain, "open": open_phrase, "and_others": others, "towns": towns}


def test_supporting_units_are_told_apart():
    assert assignment("县应急局牵头,县水务局、县气象局配合,各镇区")["supporting"] == ["县水务局", "县气象局"]


@pytest.mark.skipif(not SHARED.exists(), reason="the seeds do not lie beside this checkout")
def test_the_seven_lines_of_the_annex():
    found = elements(read((SHARED / "seeds" / "seed_001.txt").read_text()))["assignments"]
    assert [row["measure"] for row in found] == MEASURES
    for row, (_line, lead, by_duty, plain, open_phrase, others, towns) in zip(found, LINES, strict=True):
        assert (row["lead"], row["by_duty"], row["plain"], row["open"], row["and_others"], row["towns"]) == (lead, by_duty, plain, open_phrase, others, towns)


@pytest.mark.skipif(not SHARED.exists(), reason="the real plans do not lie beside this checkout")
def test_the_levels_of_three_relief_plans():
    """Labelled by hand from the tables of damage that each plan gives for its four levels."""
    folder = SHARED / "plans" / "texts"

    def of(name: str, quantity: str) -> list[tuple]:
        found = elements(read(next(folder.glob(name)).read_text()))
        return [(row["level"], row["op"], row["value"]) for row in found["conditions"] if row["quantity"] == quantity and row["kind"] == "response"]

    def bands(*edges: float) -> list[tuple]:
        return [("I", ">=", edges[0])] + [row for level, high, low in zip(("II", "III", "IV"), edges, edges[1:], strict=False) for row in ((level, ">=", low), (level, "<", high))]

    assert of("04*", "deaths") == bands(100, 50, 20, 5)
    assert of("04*", "people_relocated") == bands(1_000_000, 500_000, 100_000, 30_000)
    assert of("04*", "houses_damaged_rooms") == bands(200_000, 100_000, 10_000, 3_000)
    assert of("04*", "people_needing_aid") == bands(3_000_000, 2_000_000, 1_000_000, 500_000)
    assert of("05*", "deaths") == bands(30, 20, 10, 4)
    assert of("05*", "people_relocated") == bands(100_000, 50_000, 10_000, 2_000)
    assert of("05*", "houses_damaged_households") == bands(2_000, 1_000, 300, 100)
    assert of("06*", "deaths") == bands(50, 30, 20, 10)
    assert of("06*", "people_needing_aid") == bands(1_500_000, 1_000_000, 700_000, 400_000)
    assert of("06*", "people_needing_aid_share") == bands(25, 20, 15, 10)


def test_papers_that_are_too_much_are_still_read():
    """A table of ten thousand lines, one sentence of seventy thousand characters, brackets that never close."""
    rows = "".join(f"Ⅳ级\t{k}毫米以上降雨\n" if k % 4 == 0 else "\t无\n" for k in range(1, 10_001))
    found = elements(read(f"某县防汛应急预案\n\n1 总则\n\n无。\n\n2 响应\n\n[表]\n级别\t雨量\n{rows}[/表]\n"))
    assert len(found["conditions"]) == 2_500 and {row["level"] for row in found["conditions"]} == {"IV"}
    long = said("（1）" + "死亡3人以上或" * 5_000 + "失踪。")
    assert len(long["conditions"]) == 5_000
    assert said("（1）" + "（" * 5_000 + "死亡3人以上。")["conditions"]


def test_traditional_characters_are_read_by_the_same_words():
    source = "某縣防颱應急預案\n\n1 總則\n\n1.1 目的\n\n無。\n\n2 應急響應\n\n2.1 Ⅱ級響應\n\n2.1.1 啟動條件\n\n出現下列情況之一的：\n\n（1）氣象部門發佈颱風橙色預警；\n\n（2）緊急轉移安置5萬人以上。\n\n2.1.2 響應措施\n\n（1）縣應急管理局組織會商，縣水利局加強監測。"
    found = elements(read(source))
    assert [(row["level"], row["quantity"], row["value"], row["text"]) for row in found["conditions"]] == [("II", "warning", "台风橙色", "發佈颱風橙色預警"), ("II", "people_relocated", 50_000, "緊急轉移安置5萬人以上")]
    assert [row["unit"] for row in found["actions"]] == ["縣應急管理局", "縣水利局"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("当出现全市减供负荷20%以上时，可启动一级响应；当出现全市减供负荷10%以上、20%以下时，可启动二级响应。", [("I", "power_cut_share", ">=", 20), ("II", "power_cut_share", ">=", 10), ("II", "power_cut_share", "<", 20)]),
        ("特别重大地震灾害，是指造成300人以上死亡；发生在人口密集地区7.0级以上地震，可初判为特别重大地震灾害。", [("I", "deaths", ">=", 300), ("I", "magnitude", ">=", 7)]),
        ("（1）一般（Ⅳ级）：收到暴雨蓝色预警。\n\n（2）较重（Ⅲ级）：收到暴雨黄色预警；河道水位超过警戒水位。", [("IV", "warning", "==", "暴雨蓝色"), ("III", "warning", "==", "暴雨黄色"), ("III", "water_level", ">", "警戒水位")]),
    ],
)
def test_a_sentence_may_name_its_own_level(body, expected):
    found = elements(read(f"某市应急预案\n\n1 总则\n\n1.1 目的\n\n无。\n\n2 响应\n\n2.1 响应分级\n\n{body}\n\n3 附则\n\n无。"))
    assert [(row["level"], row["quantity"], row["op"], row["value"]) for row in found["conditions"]] == expected


def test_a_sentence_that_closes_a_list_says_its_level_and_general_counts_are_known():
    paper = """某县应急预案

6 响应

6.1 启动条件
（1）滞留旅客5000人以上；
（2）高速公路连续封闭12小时以上；
（3）10例以上病例；
（4）其他需要启动的情况。
符合上述条件之一时，由指挥部决定启动Ⅲ级响应。
"""
    found = elements(read(paper))
    assert [(row["level"], row["quantity"], row["op"], row["value"]) for row in found["conditions"]] == [("III", "stranded", ">=", 5000), ("III", "hours", ">=", 12), ("III", "cases", ">=", 10)]
    assert [row["text"] for row in found["unmatched"]] == ["其他需要启动的情况"]


def test_a_run_of_digits_is_read_like_any_other_line():
    # A scanner's ruled line comes out as thousands of digits: each of them began a number of its own once, and the paper took minutes.
    found = elements(read("4.1 Ⅰ级响应\n4.1.1 启动条件\n（1）" + "9" * 100_000 + "\n（2）死亡30人以上。\n"))
    assert [(row["level"], row["quantity"], row["value"]) for row in found["conditions"]] == [("I", "deaths", 30)]


def test_a_list_is_done_by_whoever_opens_it():
    text = "5.1 Ⅰ级响应\n5.1.3 响应措施\n启动Ⅰ级响应后，省减灾委主任主持会商，视情采取以下措施：\n（1）组织专家会商，派出工作组赴灾区。\n（2）省财政厅下拨救灾资金。\n5.1.4 其他\n省应急厅组织会商，省水利厅加强调度，采取以下措施：\n（1）加强值守，及时报告。"
    found = [(row["unit"], row["text"][:4]) for row in elements(read("省自然灾害救助应急预案\n" + text))["actions"]]
    assert ("省减灾委主任", "组织专家") in found and ("省财政厅", "省财政厅") in found
    assert ("", "加强值守") in found, "two are named: nobody is guessed"


@pytest.mark.parametrize(("place", "body", "found"), [("清河市", "省防指", 1), ("清河市", "市防指", 0), ("清河县", "市防指", 1), ("清河省", "国家防总", 1), ("清河镇", "县防指", 1), ("国家", "省防指", 0)])
def test_a_response_of_a_higher_level_is_a_condition_and_ones_own_is_none(place, body, found):
    text = f"{place}防汛应急预案\n\n2.1 Ⅲ级响应\n\n2.1.1 启动条件\n\n发生下列情况之一者：\n\n（1）{body}启动Ⅱ级以上应急响应，且涉及本地；\n"
    assert [(row["level"], row["quantity"], row["value"]) for row in elements(read(text))["conditions"]] == [("III", "higher_response", "II")] * found


def test_what_follows_the_start_of_a_level_in_prose_is_done_under_it():
    text = "省地震应急预案\n\n3.2 分级响应\n\n应对重大地震灾害，启动Ⅱ级响应。由灾区所在市级抗震救灾指挥部领导灾区应急工作；省抗震救灾指挥部组织协调有关部门。\n应对较大地震灾害，启动Ⅲ级响应。在市级指挥部支持下，由灾区所在县级抗震救灾指挥部领导灾区应急工作。\n"
    assert [(row["level"], row["unit"]) for row in elements(read(text))["actions"]] == [("II", "灾区所在市级抗震救灾指挥部"), ("II", "省抗震救灾指挥部"), ("III", "灾区所在县级抗震救灾指挥部")]


@pytest.mark.parametrize(
    ("sentence", "unit"),
    [
        ("省防指副指挥主持会商，作出部署。", "省防指副指挥"),
        ("受影响地区防指在2小时内报告情况。", "受影响地区防指"),
        ("园区管委会主任任总指挥，调度救援队伍。", "园区管委会主任"),
        ("企业总经理启动企业预案。", "企业总经理"),
        ("各村网格员每2小时巡查1次。", "各村网格员"),
        ("镇派出所做好道路管制准备。", "镇派出所"),
        ("区人武部抢险队伍集结待命。", "区人武部抢险队伍"),
        ("涉事企业或其他生产经营者要立即切断污染源。", "涉事企业或其他生产经营者"),
        ("a.镇长在岗带班。", "镇长"),
        ("受省防指委托，可由办公室副主任主持会商。", "办公室副主任"),
        ("按照职责分工，综合调度、水情测报和工情险情组等人员上岗到位。", "综合调度、水情测报和工情险情组等人员"),
    ],
)
def test_whoever_acts_is_found_behind_what_goes_before(sentence, unit):
    found = elements(read(f"某省防汛应急预案\n\n4.1 Ⅳ级响应\n\n4.1.2 响应行动\n\n（1）{sentence}\n"))
    assert [row["unit"] for row in found["actions"]] == [unit]


def test_grades_before_a_colon_acts_after_a_start_and_labels_of_lines():
    text = """清河市地质灾害应急预案

1 总则

甲。

2 应急响应

2.1 灾害分级

1.大型：因灾死亡10人以上；受灾害威胁，需搬迁转移人数在500人以上。
2.中型：因灾死亡3人以上。

2.2 响应措施

2.2.1 Ⅱ级响应

（1）市指挥部：副总指挥坐镇指挥。
（2）市住建局：组织抢修道路，2小时内报告。
（3）就近调派队伍支援。

2.3 其他

第十五条 启动Ⅲ级应急响应后，市安委办30分钟内报告；供水企业启用备用水源。
"""
    found = elements(read(text))
    assert [(row["level"], row["kind"], row["quantity"], row["value"]) for row in found["conditions"]] == [("II", "grade", "deaths", 10), ("II", "grade", "people_threatened", 500), ("III", "grade", "deaths", 3)]
    assert [(row["level"], row["unit"]) for row in found["actions"]] == [("II", "副总指挥"), ("II", "市住建局"), ("II", ""), ("III", "市安委办"), ("III", "供水企业")]
    assert found["actions"][3]["text"].startswith("启动Ⅲ级"), "the number of the article is not of the sentence"


def test_a_list_under_a_bodys_name_is_done_by_it():
    text = "清河市公共卫生应急预案\n\n1 总则\n\n甲。\n\n2 应急反应措施\n\n2.1 各级人民政府\n\n（1）组织协调有关部门参与处理。\n（2）调集各类人员参加处理。\n\n2.2 医疗机构\n\n（1）开展病人接诊工作。\n"
    assert [row["unit"] for row in elements(read(text))["actions"]] == ["各级人民政府", "各级人民政府", "医疗机构"]


def test_headings_of_measures_are_no_part_of_their_sentences():
    text = "西岭县地质灾害应急预案\n\n一、总则\n\n甲。\n\n二、应急响应\n\n（一）预警行动\n\n1.蓝色预警行动：县自然资源局加强值班。\n\n（二）响应行动\n\n1.四级响应行动\n县指挥部副指挥长带队赴现场。派出由县政府负责同志带队，有关部门组成的工作组赴灾区指导。\n"
    found = [(row["level"], row["unit"], row["text"][:6]) for row in elements(read(text))["actions"]]
    assert found == [("蓝色", "县自然资源局", "蓝色预警行动"), ("IV", "县指挥部副指挥长", "县指挥部副指"), ("IV", "县指挥部副指挥长", "派出由县政府")]


def test_measures_under_a_bare_heading_of_response_and_those_whose_unit_is_named_last():
    text = """西岭县救助预案

1 总则

甲。

2 应急响应

应急响应行动包含指挥与调度。Ⅰ级响应为最高级别响应。

2.1 Ⅰ级响应

2.1.1 启动条件

发生在重点林区，且3小时或其他地区6小时尚未得到有效控制的森林火灾。

2.1.2 应急响应

接到灾情后2小时内编发快报。县民政局执行零报告制度。及时派出工作组赴灾区。

2.2 Ⅱ级响应

2.2.1 响应措施

应急响应行动包含值守与调度。每级响应包含下级的内容。
灾情发生24小时内，向灾区发慰问电，由救助（综合）组负责。

2.2.2 工作措施

1.人员值班保障
县民政局取消休假。
2.台风防御
县水利局巡查。
"""
    found = elements(read(text))
    assert [(row["level"], row["op"], row["value"], row["unit"]) for row in found["conditions"]] == [("I", ">=", 3, "小时"), ("I", ">=", 6, "小时")]
    assert [(row["level"], row["unit"], row["text"][:4]) for row in found["actions"]] == [("I", "", "接到灾情"), ("I", "县民政局", "县民政局"), ("I", "县民政局", "及时派出"), ("II", "救助（综合）组", "灾情发生"), ("II", "县民政局", "县民政局"), ("II", "县水利局", "县水利局")]
