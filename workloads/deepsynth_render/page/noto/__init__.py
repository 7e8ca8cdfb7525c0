"""Fonts of the scripts that no package of fonts has: the Noto fonts in this folder, one file each.

They come unchanged from Debian's package fonts-noto-core 20201225-1 (Noto, SIL Open Font License 1.1: OFL.txt). Larger
ones are skipped: Tangut (3.4 MB) and SignWriting (5.2 MB) need a font of spec.fonts.
"""

import re
from pathlib import Path
from typing import Final

_FILES: Final = {
    "Adlm": "NotoSansAdlam",
    "Aghb": "NotoSansCaucasianAlbanian",
    "Ahom": "NotoSerifAhom",
    "Armi": "NotoSansImperialAramaic",
    "Avst": "NotoSansAvestan",
    "Bali": "NotoSansBalinese",
    "Bamu": "NotoSansBamum",
    "Bass": "NotoSansBassaVah",
    "Batk": "NotoSansBatak",
    "Bhks": "NotoSansBhaiksuki",
    "Brah": "NotoSansBrahmi",
    "Bugi": "NotoSansBuginese",
    "Buhd": "NotoSansBuhid",
    "Cakm": "NotoSansChakma",
    "Cari": "NotoSansCarian",
    "Cham": "NotoSansCham",
    "Cher": "NotoSansCherokee",
    "Copt": "NotoSansCoptic",
    "Cprt": "NotoSansCypriot",
    "Dogr": "NotoSerifDogra",
    "Dsrt": "NotoSansDeseret",
    "Dupl": "NotoSansDuployan",
    "Egyp": "NotoSansEgyptianHieroglyphs",
    "Elba": "NotoSansElbasan",
    "Elym": "NotoSansElymaic",
    "Glag": "NotoSansGlagolitic",
    "Gong": "NotoSansGunjalaGondi",
    "Gonm": "NotoSansMasaramGondi",
    "Goth": "NotoSansGothic",
    "Gran": "NotoSansGrantha",
    "Hano": "NotoSansHanunoo",
    "Hatr": "NotoSansHatran",
    "Hluw": "NotoSansAnatolianHieroglyphs",
    "Hmng": "NotoSansPahawhHmong",
    "Hmnp": "NotoSerifNyiakengPuachueHmong",
    "Hung": "NotoSansOldHungarian",
    "Java": "NotoSansJavanese",
    "Kali": "NotoSansKayahLi",
    "Khar": "NotoSansKharoshthi",
    "Khoj": "NotoSansKhojki",
    "Kthi": "NotoSansKaithi",
    "Lana": "NotoSansTaiTham",
    "Lepc": "NotoSansLepcha",
    "Limb": "NotoSansLimbu",
    "Lina": "NotoSansLinearA",
    "Linb": "NotoSansLinearB",
    "Lyci": "NotoSansLycian",
    "Lydi": "NotoSansLydian",
    "Mahj": "NotoSansMahajani",
    "Mand": "NotoSansMandaic",
    "Mani": "NotoSansManichaean",
    "Marc": "NotoSansMarchen",
    "Medf": "NotoSansMedefaidrin",
    "Mend": "NotoSansMendeKikakui",
    "Merc": "NotoSansMeroitic",
    "Mero": "NotoSansMeroitic",
    "Modi": "NotoSansModi",
    "Mong": "NotoSansMongolian",
    "Mroo": "NotoSansMro",
    "Mtei": "NotoSansMeeteiMayek",
    "Mult": "NotoSansMultani",
    "Narb": "NotoSansOldNorthArabian",
    "Nbat": "NotoSansNabataean",
    "Newa": "NotoSansNewa",
    "Nkoo": "NotoSansNKo",
    "Nshu": "NotoSansNushu",
    "Olck": "NotoSansOlChiki",
    "Orkh": "NotoSansOldTurkic",
    "Osge": "NotoSansOsage",
    "Osma": "NotoSansOsmanya",
    "Palm": "NotoSansPalmyrene",
    "Pauc": "NotoSansPauCinHau",
    "Perm": "NotoSansOldPermic",
    "Phag": "NotoSansPhagsPa",
    "Phli": "NotoSansInscriptionalPahlavi",
    "Phlp": "NotoSansPsalterPahlavi",
    "Phnx": "NotoSansPhoenician",
    "Plrd": "NotoSansMiao",
    "Prti": "NotoSansInscriptionalParthian",
    "Rjng": "NotoSansRejang",
    "Rohg": "NotoSansHanifiRohingya",
    "Runr": "NotoSansRunic",
    "Samr": "NotoSansSamaritan",
    "Sarb": "NotoSansOldSouthArabian",
    "Saur": "NotoSansSaurashtra",
    "Shaw": "NotoSansShavian",
    "Shrd": "NotoSansSharada",
    "Sidd": "NotoSansSiddham",
    "Sind": "NotoSansKhudawadi",
    "Sogd": "NotoSansSogdian",
    "Sogo": "NotoSansOldSogdian",
    "Sora": "NotoSansSoraSompeng",
    "Soyo": "NotoSansSoyombo",
    "Sund": "NotoSansSundanese",
    "Sylo": "NotoSansSylotiNagri",
    "Syrc": "NotoSansSyriac",
    "Tagb": "NotoSansTagbanwa",
    "Takr": "NotoSansTakri",
    "Tale": "NotoSansTaiLe",
    "Talu": "NotoSansNewTaiLue",
    "Tavt": "NotoSansTaiViet",
    "Tglg": "NotoSansTagalog",
    "Thaa": "NotoSansThaana",
    "Tibt": "NotoSerifTibetan",
    "Tirh": "NotoSansTirhuta",
    "Ugar": "NotoSansUgaritic",
    "Vaii": "NotoSansVai",
    "Wara": "NotoSansWarangCiti",
    "Wcho": "NotoSansWancho",
    "Xpeo": "NotoSansOldPersian",
    "Xsux": "NotoSansCuneiform",
    "Yezi": "NotoSerifYezidi",
    "Yiii": "NotoSansYi",
    "Zanb": "NotoSansZanabazarSquare",
}
"""Script (ISO 15924 code) -> name of the file."""

_SHARED: Final = (
    "NotoSansCanadianAboriginal",
    "NotoSansHanunoo",
    "NotoSansJavanese",
    "NotoSansLinearB",
    "NotoSansLisu",
    "NotoSansMongolian",
    "NotoSansOldItalic",
    "NotoSansRunic",
    "NotoSansTifinagh",
    "NotoSerifTibetan",
    "NotoSansTamilSupplement",
    "NotoSansIndicSiyaqNumbers",
    "NotoSansMayanNumerals",
    "NotoMusic",
    "NotoSansMath",
)


def _name_family(file: str) -> str:
    """NotoSansOlChiki -> Noto Sans Ol Chiki."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", file)


def locate(family: str) -> Path:
    """The file of one of FAMILIES or SHARED."""
    return Path(__file__).with_name(f"{family.replace(' ', '')}-Regular.ttf")


FAMILIES: Final = {script: _name_family(file) for script, file in _FILES.items()}
"""Script (ISO 15924 code) -> the family that draws its letters."""

SHARED: Final = tuple(map(_name_family, _SHARED))
"""Families with punctuation, numbers and symbols of no single script, or with letters that DejaVu lacks, in the order
of fallback.
"""
