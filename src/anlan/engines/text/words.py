"""The words a plan is read by: levels, hazards, quantities with their units, units of government; and a text made plain for looking.

The vocabulary of quantities is one table, `QUANTITIES`; `term` names the published term of the plans room that a drafted condition asks for.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from .reader import cn_number

ROMAN = {"Ⅰ": "I", "Ⅱ": "II", "Ⅲ": "III", "Ⅳ": "IV", "Ⅴ": "V", "ⅰ": "I", "ⅱ": "II", "ⅲ": "III", "ⅳ": "IV", "一": "I", "二": "II", "三": "III", "四": "IV", "五": "V", "1": "I", "2": "II", "3": "III", "4": "IV"}
ORDER = ("I", "II", "III", "IV", "V")
LEVEL = re.compile(r"(?<![A-Za-zⅠⅡⅢⅣ第])(Ⅰ|Ⅱ|Ⅲ|Ⅳ|[ⅰ-ⅳ]|I{1,3}V?|IV|V|[一二三四])级(?!联|以上医|甲)")
ADJECTIVE = (("特别重大", "I"), ("特大型", "I"), ("特大", "I"), ("重大", "II"), ("大型", "II"), ("较大", "III"), ("较重", "III"), ("中型", "III"), ("一般", "IV"), ("小型", "IV"))
COLOURS = ("红色", "橙色", "黄色", "蓝色")
COLOUR_LEVEL = {"红色": "I", "橙色": "II", "黄色": "III", "蓝色": "IV"}
LEVEL_COLOUR = {level: colour for colour, level in COLOUR_LEVEL.items()}
COLOUR_WORD = {"红色": "red", "橙色": "orange", "黄色": "yellow", "蓝色": "blue"}
NUMBER = r"(?:(?<!\d)\d+(?:,\d{3})+|(?<!\d)\d+(?:\.\d+)?|[一二两三四五六七八九十百]{1,4}(?=[个座条名人起处市县省万例户间周])|[Ⅴ-Ⅻ](?=度))"
SCALE = {"": 1, "十": 10, "百": 100, "千": 1_000, "万": 10_000, "十万": 100_000, "百万": 1_000_000, "千万": 10_000_000, "亿": 100_000_000}
SCALES = "十万|百万|千万|万|亿|千|百"


@dataclass(frozen=True)
class Quantity:
    """What a number can stand for: its name, the words that announce it, the units it is counted in, the words that may follow it instead."""

    name: str
    words: str
    units: tuple[str, ...]
    hazard: str = ""
    after: str = ""
    term: str = ""


# The order decides when several words stand before a number: the nearest one wins, and among equals the first here.
QUANTITIES = (
    Quantity("deaths", r"死亡(?:\(?含失踪\)?|[和、/或]者?失踪|失踪)?|遇难|死亡或可能死亡", ("人", "名", "例"), after=r"(?:以上)?(?:人员|群众|游客|职工|矿工)?(?:急性)?(?:中毒)?死亡|遇难", term="deaths"),
    Quantity("missing", r"失踪(?!\))|失联|下落不明", ("人", "名"), after=r"失踪|失联|下落不明", term="missing_persons"),
    Quantity("injured", r"受伤|重伤|伤亡|中毒|(?:伤害|健康损害)(?:人数)?", ("人", "名"), after=r"(?:人员)?(?:急性|严重|食物|职业|工业)*(?:重伤|受伤|伤亡|中毒|伤害|健康损害)", term="injured_persons"),
    Quantity("trapped", r"被困|受困|涉险|遇险|掩埋", ("人", "名"), after=r"(?:人员)?(?:被困|受困|涉险|遇险|被?掩埋|被埋)", term="trapped_persons"),
    Quantity("stranded", r"滞留(?:人员|旅客|乘客|游客|群众|司乘人员)?", ("人", "名"), after=r"(?:以上)?[^,。;]{0,6}滞留", term="stranded_persons"),
    Quantity("stranded_vehicles", r"滞留(?:车辆)?|车辆", ("辆",), after=r"[^,。;]{0,6}(?:滞留|车辆)", term="stranded_vehicles"),
    Quantity("cases", r"发病|病例|患病|确诊|感染", ("人", "例"), "epidemic", after=r"(?![并且或和及、])[^,。;并且死]{0,16}?(?:(?<!死亡)病例|发病|患者)", term="cases_of_illness"),
    Quantity("people_relocated", r"转移|安置|生活救助(?!人数)|疏散|撤离", ("人", "名"), term="moved_persons"),
    Quantity("people_threatened", r"受?威胁(?:人数|人员|人口)?|搬迁转移(?:人数)?|转移人数|危及", ("人", "名"), after=r"(?:以上|以下)?(?:的)?生命(?:财产)?安全", term="threatened_persons"),
    Quantity("households_threatened", r"受?威胁", ("户",), term=""),
    Quantity("people_relocated_share", r"(?:转移|安置|生活救助)[^,。;]{0,14}占[^,。;]{0,10}人口", ("%",)),
    Quantity("people_needing_aid_share", r"需(?:政府)?救助人数占|救助人数占|占当地农牧业人口|占农(?:牧)?业人口", ("%",), "drought", after=r"[^,。;]{0,8}需(?:要)?(?:政府)?救助", term="aid_needed_share"),
    Quantity("people_needing_aid", r"需(?:要)?(?:政府)?救助(?:人数|人口)?", ("人",), "drought", term="aid_needed_persons"),
    Quantity("people_affected", r"受灾(?:人口|人数)?|受?影响(?:人口|人数|群众)?", ("人",), after=r"受灾|受影响|[^,。;]{0,6}(?:不能|无法)正常|[^,。;]{0,4}用[水电气热]困难", term="affected_persons"),
    Quantity("people_short_of_water_share", r"饮水困难[^,。;]{0,8}(?:百分率|比例|占)|饮水困难", ("%",), "drought", term="rural_water_short_share"),
    Quantity("people_short_of_water", r"饮水困难(?:人口)?|临时饮水困难", ("人",), "drought", after=r"饮水困难|饮用水|饮水", term="rural_water_short"),
    Quantity("households_cut", r"停[电水气]|影响(?:用户|居民)?|用户|中断", ("户",), after=r"[^,。;]{0,12}(?:停(?:止)?供?[电水气热暖]|断[电水气]|用户|供[电水气热暖]中断)"),
    Quantity("houses_damaged_rooms", r"倒塌|损坏房屋|倒损|房屋", ("间",), after=r"房屋", term="rooms_damaged"),
    Quantity("houses_damaged_households", r"倒塌|损坏房屋|倒损|房屋", ("户",), term="households_damaged"),
    Quantity("potential_loss", r"潜在(?:可能造成的|的)?(?:经济)?损失", ("元",), "geological", term="potential_loss"),
    Quantity("economic_loss_share", r"生产总值|GDP", ("%",), term="economic_loss_share"),
    Quantity("economic_loss", r"经济损失|财产损失|损失", ("元",), after=r"(?:的)?(?:直接|间接)?(?:经济|财产)?损失", term="economic_loss"),
    Quantity("crop_drought_share", r"(?:受|重)旱面积[^，；。]{0,14}|作物受旱", ("%",), "drought", term="crop_drought_share"),
    Quantity("water_shortage_share", r"缺水率", ("%",), "drought", term="urban_water_shortage"),
    Quantity("soil_moisture", r"土壤(?:相对)?(?:含水量|湿度|墒情)", ("%",), "drought", term="soil_moisture"),
    Quantity("power_cut_share", r"减供负荷|拉限负荷|限电|停电|减供用户数?比例", ("%",), after=r"(?:以上)?(?:供电)?用户(?:停电)?", term="power_cut_share"),
    Quantity("rain", r"降雨(?:量)?|降水(?:量)?|雨量|面雨量|雨强", ("毫米", "mm"), after=r"降雨|降水|的雨", term="rain"),
    Quantity("snow", r"降雪(?:量)?|积雪(?:深度)?|雪深", ("毫米", "mm", "厘米", "cm"), "snow", after=r"(?:的)?(?:降雪|暴雪|大雪|积雪)", term="snow_24h"),
    Quantity("rain_area", r"笼罩面积|覆盖面积|面积达", ("平方公里", "km²", "平方千米"), term="heavy_rain_area"),
    Quantity("flooded_area", r"受灾面积|成灾面积|[受淹]淹面积|淹没面积|洪涝面积|(?:洪涝|渍涝|内涝)灾?害?(?:面积)?", ("亩", "公顷", "平方公里", "平方千米"), "flood", after=r"(?:的)?[^,。;]{0,4}(?:洪涝|内涝|渍涝|受灾|受淹|农田受)"),
    Quantity("shortfall_share", r"(?:来水|蓄水|水量|降水|降雨|径流|流量)[^,。;]{0,20}(?:偏少|减少|偏枯)|偏少", ("%", "成"), "drought"),
    Quantity("surge", r"增水", ("厘米", "cm", "米", "m"), "storm_surge"),
    Quantity("people_affected_share", r"受灾人[口数][^,。;]{0,16}占[^,。;]{0,10}", ("%",)),
    Quantity("counties_share", r"", ("%",), after=r"(?:以上)?(?:的)?(?:县|市|区|乡|镇)"),
    Quantity("heated_area", r"供[热暖]|停[热暖]", ("平方米",)),
    Quantity("border_distance", r"距[^,。;]{0,16}(?:界|边境|林区|居民|村|城区|设施)[^,。;]{0,4}", ("公里", "千米")),
    Quantity("participants", r"参与(?:人数|人员)?|聚集|围堵|规模", ("人", "名")),
    Quantity("sites", r"", ("处",)),
    Quantity("water_supply_share", r"供水能力|供水量", ("%",)),
    Quantity("water_depth", r"积水(?:深度)?|水深|淹没深度", ("厘米", "cm", "米", "m"), "urban_flood", term="street_water_depth"),
    Quantity("water_level", r"水位|潮位|站", ("米", "m"), term="water_level"),
    Quantity("flow", r"流量|入库|出库|洪峰", ("立方米每秒", "立方米/秒", "m³/s", "m3/s", "个流量"), term="discharge"),
    Quantity("return_period", r"重现期|一遇", ("年一遇", "年"), term="return_period"),
    Quantity("reservoirs", r"", ("座",), term="reservoirs"),
    Quantity("rivers", r"", ("条",), term="rivers"),
    Quantity("wind_force", r"风力|阵风|大风|平均风", ("级",), "wind", after=r"(?:以上)?(?:的)?(?:大风|阵风|风力)", term="wind_force"),
    Quantity("wind_speed", r"风速|阵风|大风", ("米/秒", "m/s", "米每秒"), "wind", term="wind_speed"),
    Quantity("temperature_departure", r"偏[低高]|较(?:常年|历年|多年)[^,。;]{0,10}[低高]", ("摄氏度", "℃", "°C")),
    Quantity("temperature_drop", r"降温|降幅|下降|降低", ("摄氏度", "℃", "°C"), after=r"[^,。;]{0,4}(?:降温|降幅)"),
    Quantity("temperature", r"气温|温度|高温|低温", ("摄氏度", "℃", "°C"), after=r".", term="temperature"),
    Quantity("visibility", r"能见度", ("米", "m", "公里"), "fog", term="visibility"),
    Quantity("magnitude", r"地震|震级", ("级",), "earthquake", after=r"(?:以上)?(?:的)?(?:[\u4e00-\u9fff]{0,4})?地震", term="magnitude"),
    Quantity("intensity", r"烈度", ("度", "级"), "earthquake", term="intensity"),
    Quantity("fire_area", r"过火面积|受害(?:森林|草原)?(?:面积)?|火场面积|森林面积", ("公顷", "亩", "平方公里"), "forest_fire", term="fire_area"),
    Quantity("fire_hours", r"燃烧|明火|火[^,。;]{0,10}持续|火场|扑灭|火灾", ("小时",), "forest_fire", after=r"(?:以上)?(?:尚|仍|还)?未(?:能)?(?:得到)?(?:有效)?(?:控制|扑灭)", term="fire_hours"),
    Quantity("fires", r"火灾|火场|火点", ("起", "处"), "forest_fire", after=r"[^,。;]{0,12}(?:火灾|火场|火点)", term="fires"),
    Quantity("dry_days", r"无(?:透|有效)?(?:雨|降水|降雨)", ("天", "日"), "drought", after=r"(?:以上)?(?:的)?(?:干旱|无[^,。;]{0,3}[雨水])"),
    Quantity("power_load", r"减供负荷|损失(?:负荷|出力)", ("兆瓦", "万千瓦")),
    Quantity("hours", r"持续|中断|停(?:止)?供?[电水气热暖]|断[电水气]|(?:不能|无法)正常|停[产运航驶]|不通|阻断|封闭|关闭|瘫痪", ("小时", "天", "日", "周"), term="hours_cut"),
    Quantity("volume", r"方量|体积|滑坡|泥石流", ("立方米",), "geological", term="slide_volume"),
    Quantity("counties", r"", ("个",), term="counties"),
    Quantity("provinces", r"", ("个",), term="provinces"),
    Quantity("cities", r"", ("个",), term="cities"),
    Quantity("towns", r"", ("个",), term="towns"),
    Quantity("stations", r"", ("个",), term="stations"),
    Quantity("infected_sites", r"", ("个",), "epidemic"),
    Quantity("oil_spill", r"溢油|泄漏|漏油", ("吨",), "hazmat", after=r"(?:的)?(?:溢油|漏油)"),
    Quantity("air_quality", r"", ("",), "pollution"),
)
BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}
BASE = {"mm": "毫米", "cm": "厘米", "m": "米", "km²": "平方公里", "平方千米": "平方公里", "名": "人", "立方米/秒": "立方米每秒", "m³/s": "立方米每秒", "m3/s": "立方米每秒",
        "个流量": "立方米每秒", "m/s": "米每秒", "米/秒": "米每秒", "℃": "摄氏度", "°C": "摄氏度", "年一遇": "年"}
UNITS = sorted({unit for quantity in QUANTITIES for unit in quantity.units if unit and unit != "成"}, key=len, reverse=True)
# What nobody gave a name to is counted in these; its quantity is the plan's own noun.
OTHER_UNITS = "总吨|吨|艘|架|列|台|头|只|倍|周|个月|家|所|元/公斤|摄氏度"
UNIT = "|".join(map(re.escape, UNITS)) + f"|{OTHER_UNITS}|个|座|条|处|成(?![员立为功品])"
DISCRETE = {"级", "个", "座", "条", "处", "起", "度"}
COUNTS = {"reservoirs": r"座[^，；。、]{0,8}(?:水库|水电站|大坝)", "rivers": r"条[^，；。、]{0,6}(?:河|江|流)", "counties": r"个[^，；。、或]{0,6}?(?:县|区县|市县|(?<!设)区)(?!\(?域)", "provinces": r"个[^，；。、]{0,6}?省",
          "cities": r"个[^，；。、]{0,6}?(?:市|城市|地区|地市)", "towns": r"个[^，；。、]{0,6}?(?:乡|镇)", "stations": r"个[^，；。、]{0,6}?(?:站|测站)",
          "sites": r"处[^，；。、或]{0,8}?(?:路段|道路|积水|隧道|险情|决口|塌方|滑坡|隐患点|点)",
          "infected_sites": r"个[^，；。、或]{0,6}?疫点"}
# What a warning is of; the second word is how scanners read the first.
WARNED_OF = {"暴雨临灾": "暴雨", "暴雨": "", "台风": "", "暴雪": "", "暴当": "暴雪", "暴風雪": "暴雪", "寒潮": "", "海上大风": "", "雷雨大风": "", "大风": "", "沙尘暴": "", "低温冰冻": "", "低温": "", "高温": "",
             "气象干旱": "", "气象干早": "气象干旱", "气象十早": "气象干旱", "气象十旱": "气象干旱", "干旱": "", "干早": "干旱", "十早": "干旱", "霜冻": "", "道路结冰": "", "冰冻": "", "大雾": "", "霾": "",
             "雷电": "", "冰雹": "", "强对流": "", "强降雨": "", "山洪灾害": "", "山洪": "", "渍涝": "", "内涝": "", "地质灾害气象风险": "地质灾害", "地质灾害": "", "洪水": "", "森林草原火险": "", "森林火险": "",
             "高森林火险": "森林火险", "风暴潮": "", "海浪": "", "海啸": "", "雨雪冰冻": "", "气象灾害": "", "气象": ""}
WARNED_TERM = {"暴雨": "rainstorm", "台风": "typhoon", "洪水": "flood", "山洪": "flash_flood", "山洪灾害": "flash_flood", "地质灾害": "geohazard"}
HAZARDS = (("drought", r"干旱|旱灾|旱情|抗旱|受旱|缺水|饮水困难|干早|十早"), ("typhoon", r"台风|热带气旋|热带风暴|超强台风"), ("urban_flood", r"内涝|积水|下穿|隧道|渍涝"),
           ("geological", r"滑坡|泥石流|崩塌|地质灾害|山体"), ("earthquake", r"地震"), ("forest_fire", r"森林火|草原火|火场|过火|林火"), ("snow", r"暴雪|暴当|冰冻|道路结冰|低温|寒潮|降雪|雨雪"),
           ("heat", r"高温"), ("sand", r"沙尘"), ("fog", r"大雾|霾"), ("hail", r"冰雹|雷电|风雹"), ("frost", r"霜冻"), ("wind", r"大风"), ("rainstorm", r"暴雨|降雨|强降水"),
           ("flood", r"洪水|水位|水库|堤防|防汛|洪涝|山洪|垮坝|溃坝|河"), ("hazmat", r"危险化学品|危化品|泄漏|爆炸"), ("epidemic", r"疫情|传染病"))
TITLES = (("flood_drought", r"防汛抗旱"), ("flood", r"防汛|防洪|洪涝"), ("drought", r"抗旱|干旱"), ("typhoon", r"台风|防台"), ("earthquake", r"地震"), ("forest_fire", r"森林|草原"), ("geological", r"地质"),
          ("meteorological", r"气象"), ("relief", r"自然灾害|救助|救灾"), ("snow", r"雪|冰冻|低温"), ("hazmat", r"危险化学品|生产安全|危化"), ("fire", r"火灾|消防"), ("epidemic", r"疫"))
HALF_WIDTH = str.maketrans("（），；：％～—–－．＞＜０１２３４５６７８９", "(),;:%~---.><0123456789")


@lru_cache(maxsize=1)
def _simplifier():  # type: ignore[no-untyped-def]
    from opencc import OpenCC

    return OpenCC("t2s")


def simplified(text: str) -> str:
    """Traditional characters as simplified ones, character by character: places stay. "響應" is found by the word "响应"."""
    try:
        text.encode("gb2312")
        return text
    except UnicodeEncodeError:
        pass
    done = _simplifier().convert(text)
    return done if len(done) == len(text) else "".join(one if len(one := _simplifier().convert(char)) == 1 else char for char in text)


def plain(text: str) -> str:
    """Without blanks, simplified, brackets and digits half width: what headings are compared as."""
    return simplified(re.sub(r"[\s\ue000-\uf8ff]+", "", text)).translate(HALF_WIDTH)


def value_of(number: str, scale: str | None) -> float:
    digits = number.replace(",", "")
    if "Ⅴ" <= digits <= "Ⅻ":
        return float(ord(digits) - ord("Ⅴ") + 5)
    value = float(digits) if re.fullmatch(r"\d+(\.\d+)?", digits) else float(cn_number(digits.replace("两", "二")) or 0)
    return value * SCALE.get(scale or "", 1)


def tidy(value: float) -> float | int:
    return int(value) if float(value).is_integer() else round(value, 6)


# A level by the plan's own name: "紧急状态", "黄灯预警".
OWN_LEVEL = re.compile(r"(?:[（(]?[\d一二三四五六七八九十.]{1,3}[）)、.]|第[一二三四五六七八九十]{1,3}条)?((?!应急|正常|结束|健康)[\u4e00-\u9fff]{2,4}状态|[红橙黄蓝绿]灯预警)(?=[。:：]|$)")


def level_of(text: str) -> str | None:
    """The one level a heading names: I…V, or a warning's colour where no number stands beside it, or the plan's own name; None when none or several."""
    words = plain(text)
    if own := OWN_LEVEL.fullmatch(words):
        return own[1]
    found = {ROMAN.get(match[1], match[1]) for match in LEVEL.finditer(words)}
    if len(found) == 1:
        return found.pop()
    if found:
        return None
    colours = {colour for colour in COLOURS if colour in words}
    if len(colours) == 1 and re.search(r"响应|预警|警报", words):
        return colours.pop()
    if re.search(r"灾害|事件|事故|险情|灾情|火灾|疫情|地震|级", words) and len(words) <= 24 and (said := re.match(r"(?:[\d.、()一二三四五六七八九十]*)(特别重大|特大型?|重大|大型|较大|中型|较重|一般|小型)[^,。;]{0,8}?(?:灾害|事件|事故|险情|灾情|火灾|疫情|地震|(?<!等)级)(?:[(]|分级|标准|响应|(?:主要)?包括|是指|:?$)", words)):
        return dict(ADJECTIVE)[said[1]]
    return None


def kind_of(text: str) -> str:
    """response, warning or grade, as a heading says; "" when it says nothing of it."""
    words = plain(text)
    if "响应" in words or "启动" in words:
        return "response"
    if "预警" in words or "警报" in words:
        return "warning"
    return "grade" if re.search(r"分级|等级|级别|灾害|事件|事故|险情|灾情|火灾", words) else ""


def hazard_of(text: str, titled: str) -> str:
    for name, words in HAZARDS:
        if re.search(words, text):
            return "flood" if titled in ("flood_drought", "flood") and name == "rainstorm" else name
    return {"flood_drought": "flood", "meteorological": "", "relief": "natural_disaster"}.get(titled, titled)
