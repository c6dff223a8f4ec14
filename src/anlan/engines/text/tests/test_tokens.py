from hypothesis import given
from hypothesis import strategies as st

from anlan.engines.text import document_tokens, initials, pinyin, query_tokens


def found(document: str, query: str) -> bool:
    """What the database does with the tokens: all asked ones, prefixes where said."""
    tokens = document_tokens(document, name=True)
    asked = query_tokens(query)
    return bool(asked) and all(any(t.startswith(q) if prefix else t == q for t in tokens) for q, prefix in asked)


def test_a_name_is_found_by_characters_pinyin_and_initials():
    assert pinyin("张伟") == "zhangwei" and initials("张伟") == "zw"
    for query in ("张伟", "张", "伟", "zw", "zhangw", "wei", "ZHANGWEI", "ｚｗ"):
        assert found("张伟", query), query
    for query in ("伟张", "wz", "zwx", "李"):
        assert not found("张伟", query), query


def test_an_office_is_found_by_the_end_of_its_name():
    assert found("安澜县应急管理局", "yjglj") and found("安澜县应急管理局", "应急")


def test_tone_and_umlaut_do_not_matter():
    assert pinyin("吕梁") == "lvliang"


def test_nothing_typed_asks_nothing():
    assert query_tokens(" ,。!") == []


@given(st.text(alphabet="安澜县应急管理局abc12 ", min_size=2, max_size=12), st.data())
def test_every_piece_of_a_text_finds_it(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    piece = text[start : data.draw(st.integers(start + 1, len(text)))]
    runs_cut = any(c.isascii() and c.isalnum() for c in piece)
    if query_tokens(piece) and not runs_cut:
        assert found(text, piece)
