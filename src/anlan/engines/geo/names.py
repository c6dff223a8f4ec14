"""Chinese names for places and people that do not exist.

County names were chosen so that none is the name of a county-level unit of China known to the authors; names of towns and people are put
together from common characters and may by chance be somebody's.
"""
from __future__ import annotations

import numpy as np

CITY = "澜州市"
COUNTIES = ["澜城区", "云汐区", "青崖县", "鹭汀县", "霁源县", "溯溪县", "梧岭县", "石濂县", "丹岫县"]
RIVER_MAIN = "澜江"
RIVERS = ["霁水", "溯溪", "梧河", "濂水", "岫溪", "汐河", "鹭溪", "崖河", "松涧", "枫溪", "桐水", "鹤溪", "碧涧", "杉河", "兰溪沟", "竹溪沟"]
_FIRST = "青白石云竹松枫桐梅兰玉金银鹤鹿禾杉枣柳茶桑栗樟榆柏清寒暖远上下南北东西长新古大小双三"
_SECOND = "溪坪坝岭岩冲湾洞塘桥铺渡垭坳田井泉潭洲滩寨坡谷涧峰"
_FAMILY = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾萧田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
_GIVEN = "伟芳敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国志文斌海燕春生德林峰宁欣雪梅云飞雨晴思远子涵嘉琪浩然俊豪晓东立新永康振国家乐天佑清泉石松"


def town_names(count: int, rng: np.random.Generator) -> list[str]:
    """`count` different two-character names."""
    pairs = [a + b for a in _FIRST for b in _SECOND]
    return [pairs[i] for i in rng.permutation(len(pairs))[:count]]


def person_names(count: int, rng: np.random.Generator) -> list[str]:
    """`count` different names of two or three characters."""
    names: dict[str, None] = {}
    while len(names) < count:
        given = "".join(rng.choice(list(_GIVEN), size=int(rng.choice([1, 2], p=[0.25, 0.75]))))
        names[str(rng.choice(list(_FAMILY))) + given] = None
    return list(names)
