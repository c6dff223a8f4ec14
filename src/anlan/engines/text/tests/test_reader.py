"""Reading official papers: numbering styles, what is not the paper's own, spans, files of every kind."""
from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anlan.engines.text import files, reader
from anlan.engines.text.reader import cn_number

SHARED = Path(__file__).resolve().parents[6] / "shared" / "data"

PAPER = """某市人民政府办公室文件

某政办发〔2023〕26 号

某市人民政府办公室关于印发《某市防汛应急预案》的通知

各县市区人民政府：

二○二三年六月一日

某市防汛应急预案

目 录

1.总则.. 7
1.1 编制目的... 12
1.2 适用范围.. 13
2.应急响应. 15
2.1 Ⅳ级响应.. . 25
2.2 Ⅲ级响应... ... 26
3 .附则... .72

1.总则

1.1 编制目的

为做好防汛工作，共有水库 2 座，最高水位 56.5m ，
1.5 倍于常年。

1.2 适用范围

— 3 —

本市行政区域。

2.应急响应

2.1 Ⅳ级响应

发生下列情况之一者：（1）三个以上县发布红色预警；（2）水位达到
56 米（见附件 2）。（3）其他情况。

2.1.1 响应行动

（1）指挥调度。市防办值班。

①通知各县；②通知各乡镇。

（2）派出工作组。

2.2 Ⅲ级响应

一、水利部门

（一）调度水库。

1.先大后小。2.先上后下。

（二）巡查堤防。

3 .附则

3.1 实施时间

本预案自印发之日起实施。

附件 1

分级标准

[表]
级别	雨量
Ⅳ	100
[/表]
"""


def numbers(paper):
    return {clause.id: clause for clause in paper.clauses}


def test_a_paper_becomes_a_tree():
    paper = reader.read(PAPER)
    assert (paper.title, paper.issuer, paper.number, paper.date) == ("某市防汛应急预案", "某市人民政府办公室", "某政办发〔2023〕26号", "2023-06-01")
    by = numbers(paper)
    assert [clause.id for clause in paper.clauses] == [
        "0", "1", "1.1", "1.2", "2", "2.1", "2.1(1)", "2.1(2)", "2.1(3)", "2.1.1", "2.1.1(1)", "2.1.1(1)①", "2.1.1(1)②", "2.1.1(2)",
        "2.2", "2.2/一", "2.2/一(一)", "2.2/一(一)/1", "2.2/一(一)/2", "2.2/一(二)", "3", "3.1", "附件1", "附件1[表1]",
    ]
    assert by["1"].heading == "总则" and by["2.1.1(1)"].heading == "指挥调度" and by["3"].heading == "附则"
    # A unit after the number, a reference to an annex, a decimal: none of them opens a clause.
    assert by["1.1"].text == "为做好防汛工作，共有水库 2 座，最高水位 56.5m ，1.5 倍于常年。"
    assert by["2.1(2)"].text == "水位达到56 米（见附件 2）。"
    assert by["附件1[表1]"].text == "级别\t雨量\nⅣ\t100" and by["附件1[表1]"].kind == "table"
    assert by["2.1(2)"].level == 3 and by["2.1.1(1)①"].level == 5
    assert any("contents" in warning for warning in paper.warnings) and any("page number" in warning for warning in paper.warnings)


def test_spans_hold_exactly_the_source():
    paper = reader.read(PAPER)
    last = 0
    for clause in paper.clauses:
        start, end = clause.span
        assert last <= start < end <= len(PAPER)
        last = start
        if clause.kind == "clause" and clause.number:
            assert PAPER[start:end].startswith(clause.number.split(" ")[0][:1])
    by = numbers(paper)
    assert PAPER[slice(*by["2.1(1)"].span)] == "（1）三个以上县发布红色预警；"
    assert PAPER[slice(*by["2.1(2)"].span)] == "（2）水位达到\n56 米（见附件 2）。"


def test_page_marks_of_a_machine_go_and_list_numbers_stay():
    body = "一、甲乙。" + "丙丁戊己庚辛壬癸。" * 400
    marked, at = "", 80
    marked = body[:80]
    number = 1
    while at < len(body):
        marked += f"\n{number}、" + body[at : at + 300]
        at, number = at + 300, number + 1
    paper = reader.read(marked)
    assert paper.clauses[-1].text == body[2:] and [clause.id for clause in paper.clauses] == ["一"]
    start, end = paper.clauses[0].span
    assert (start, end) == (0, len(marked))
    plain = reader.read("一、总则\n1、第一。\n2、第二。\n3、第三。\n4、第四。\n5、第五。\n6、第六。")
    assert [clause.id for clause in plain.clauses] == ["一"] + [f"一/{k}" for k in range(1, 7)]


def test_lost_points_and_missing_numbers_are_read_and_said():
    paper = reader.read("甲预案\n\n1 总 则\n\n1  1 目的\n\n甲。\n\n1 \ue010 2 范围\n\n乙。\n\n2 组织\n\n2.l 职责\n\n2 3 机构\n\n丙。\n\n（1）一；\n（3）三。")
    assert [clause.id for clause in paper.clauses if clause.number] == ["1", "1.1", "1.2", "2", "2.1", "2.3", "2.3(1)", "2.3(3)"]
    assert any("missing" in warning for warning in paper.warnings)


def test_labels_head_lists_of_their_own():
    paper = reader.read("一、职责\n\n领导小组：\n\n1.审核；\n2.指挥。\n\n办公室：\n\n1.组织；\n2.报送。\n\n二、附则\n\n无。")
    assert [clause.id for clause in paper.clauses] == ["一", "一/领导小组", "一/领导小组/1", "一/领导小组/2", "一/办公室", "一/办公室/1", "一/办公室/2", "二"]


@pytest.mark.parametrize(("written", "value"), [("三", 3), ("十", 10), ("十二", 12), ("二十", 20), ("一百零三", 103), ("二〇〇九", 2009), ("12", 12), ("甲", None), ("", None)])
def test_chinese_numbers(written, value):
    assert cn_number(written) == value


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="一二三、（）()123.．①②章第节条附件目录\n。；：县水位 \tA-—[表/]", max_size=400))
def test_no_text_crashes_the_reader(noise):
    if not noise.strip():
        return
    paper = reader.read(noise)
    ids = [clause.id for clause in paper.clauses]
    assert len(set(ids)) == len(ids)
    for clause in paper.clauses:
        assert 0 <= clause.span[0] <= clause.span[1] <= len(noise)


def word(*lines: str, table: list[list[str]] | None = None, numbered: bool = False) -> bytes:
    from docx import Document

    document = Document()
    for line in lines:
        document.add_paragraph(line, style="List Number" if numbered and line.startswith("甲") else None)
    if table:
        made = document.add_table(len(table), len(table[0]))
        for row, values in zip(made.rows, table, strict=True):
            for cell, value in zip(row.cells, values, strict=True):
                cell.text = value
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_word_files_with_tables_and_numbers_of_their_own():
    content, _ = files.text_of(word("某预案", "一、总则", "甲项。", "甲二项。", table=[["级别", "雨量"], ["Ⅳ", "100"]], numbered=True))
    assert content.split("\n")[:4] == ["某预案", "一、总则", "1. 甲项。", "2. 甲二项。"] and "级别\t雨量" in content
    assert [clause.id for clause in reader.read(content).clauses] == ["0", "一", "一/1", "一/2", "一/2[表1]"]


def test_a_pdf_we_made_is_read_back():
    from anlan.engines.documents import Official, Paragraph, pdf

    made = pdf(Official(organ="某市人民政府文件", number="某政发〔2026〕1号", title="某市防汛应急预案", body=[Paragraph(text="一、总则"), Paragraph(text="本预案适用于本市。")], signer="某市", signed_on="2026-01-01"))
    content, _ = files.text_of(made)
    paper = reader.read(content)
    assert "总则" in [clause.heading for clause in paper.clauses] and "防汛应急预案" in paper.title


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty"), (b"  \n", "empty"), (b"%PDF-1.7 nonsense", "broken"), (b"\xd0\xcf\x11\xe0old", "unknown"), (b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), "encrypted"), (b"PK\x03\x04broken", "broken"), (b"\x00\x01\x02" * 50, "unknown"),
        (bytes(range(128, 256)) * 40, "encoding"),
    ],
)
def test_files_that_are_no_papers_are_refused(raw, code):
    with pytest.raises(files.BadPaper) as caught:
        files.text_of(raw)
    assert caught.value.code == code and str(caught.value)


def test_bombs_and_doctypes_in_word_files_are_refused():
    def packed(name: str, content: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("word/document.xml", b"<w/>")
            made.writestr(name, content)
        return out.getvalue()

    with pytest.raises(files.BadPaper) as caught:
        files.text_of(packed("word/big.xml", b" " * (201 * 1024 * 1024)))
    assert caught.value.code == "too_large"
    with pytest.raises(files.BadPaper) as caught:
        files.text_of(packed("word/evil.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'))
    assert caught.value.code == "broken"


def test_encodings_are_found():
    for encoding in ("utf-8", "utf-8-sig", "gb18030", "utf-16", "big5"):
        assert files.text_of("一、總則\n本預案適用於本市行政區域內之防汛工作。".encode(encoding))[0].startswith("一、總則")


@pytest.mark.skipif(not SHARED.exists(), reason="the real plans do not lie beside this checkout")
def test_real_plans_are_read():
    folder = SHARED / "plans" / "texts"
    hengyang = numbers(reader.read((folder / "01_hengyang_flood_drought_plan.txt").read_text()))
    assert hengyang["2.2"].heading == "县市区（园区）防汛抗旱指挥机构" and hengyang["5.7"].heading == "Ⅰ级应急响应"
    assert len([key for key in hengyang if key.startswith("5.4.1(")]) == 8 and len([key for key in hengyang if key.startswith("5.4.2(")]) == 14
    jilin = numbers(reader.read((folder / "06_jilin_disaster_relief_plan.txt").read_text()))
    assert jilin["5.1.1"].heading == "启动条件" and jilin["5.7"].heading == "响应协同衔接"
    national = reader.read((folder / "07_national_meteorological_plan.txt").read_text())
    assert (national.title, national.date) == ("国家气象灾害应急预案", "2009-12-11") and {"3.1", "4.4.9"} <= set(numbers(national))
    rescue = reader.read((folder / "10_national_145_rescue_force_plan.txt").read_text())
    assert rescue.number.endswith("〔2022〕61号") and rescue.date == "2022-06-22"


@pytest.mark.skipif(not SHARED.exists(), reason="the real plans do not lie beside this checkout")
def test_the_seed_of_one_line_is_read():
    seed = (SHARED / "seeds" / "seed_001.txt").read_text()
    paper = reader.read(seed)
    by = numbers(paper)
    assert [by[key].heading for key in "二三四五"] == ["指导思想、基本原则和发展目标", "主要任务", "重点工程", "规划实施保障"]
    assert by["三(二)/4"].text.startswith("进一步深化隐患排") and any("48 page marks" in warning for warning in paper.warnings)


def test_a_level_alone_on_its_line_heads_what_stands_below_it():
    paper = reader.read("某市公路应急预案\n\n1总则\n\n1.1编制目的\n\n为了应急。\n\n1.2事故分级\n\n重大事件\n\n（Ⅱ级）\n\n（1）交通中断24小时以上的；\n\n（2）死亡10人以上的；\n\n一般事件\n\n（Ⅳ级）\n\n（1）交通中断6小时以上的；\n\n2组织体系\n\n市政府成立指挥部。")
    assert [(clause.level, clause.number or clause.heading) for clause in paper.clauses[1:]] == [
        (1, "1"), (2, "1.1"), (2, "1.2"), (3, "重大事件"), (3, "（Ⅱ级）"), (4, "（1）"), (4, "（2）"), (3, "一般事件"), (3, "（Ⅳ级）"), (4, "（1）"), (1, "2"),
    ]


def test_cells_parted_by_tabs_are_a_table_and_a_list_with_tabs_is_none():
    paper = reader.read("某市应急预案\n\n1 总则\n\n级别\t死亡人数\nⅠ级\t30人以上\nⅡ级\t10人以上\n\n2 职责\n\n（一）\t市应急局负责统筹。\n（二）\t市水利局负责调度。\n")
    assert [clause.text for clause in paper.clauses if clause.kind == "table"] == ["级别\t死亡人数\nⅠ级\t30人以上\nⅡ级\t10人以上"]
    assert "2(二)" in numbers(paper)


def test_readings_that_a_web_mirror_put_behind_characters_are_not_the_papers():
    source = "某市應急預(yù)案\n\n1 總則\n\n1.1 目的\n\n加強(qiáng)氣象災(zāi)害（AQI）防范。\n"
    paper = reader.read(source)
    clause = paper.clauses[-1]
    assert clause.text == "加強氣象災害（AQI）防范。"
    assert source[slice(*clause.span)].endswith("加強(qiáng)氣象災(zāi)害（AQI）防范。")


def test_a_number_and_a_blank_alone_on_a_line_open_a_chapter():
    paper = reader.read("平湖市抗旱应急预案\n一 总则\n1 目的\n甲。\n二 干旱预警与应急响应\n2.1 干旱等级\n乙。\n")
    assert [(clause.number, clause.heading) for clause in paper.clauses if clause.level == 1] == [("", ""), ("一", "总则"), ("二", "干旱预警与应急响应")]
