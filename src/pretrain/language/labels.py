"""Labels of language models as ISO 639 codes: `en`, `eng`, `eng_Latn` and `__label__eng_Latn` are one language.

The code of a language is its ISO 639-1 code where it has one, else the ISO 639-3 code. A label may name a script after
it (ISO 15924: `srp_Cyrl`, as GlotLID and NLLB do). Models of that kind name the individual language where ISO 639-1
knows the macrolanguage alone (`arb` Standard Arabic, `cmn` Mandarin): the one that its texts are mostly in counts as
the macrolanguage (`ar`, `zh`); others, such as `arz` and `yue`, stay what they are.
"""

import re
from typing import NamedTuple

# What the stage writes where nothing can be said; no ISO 639 code (`und` is one, and models have it as a label).
UNKNOWN = "unknown"

# ISO 639-1 and the ISO 639-3 code of the same language: the code tables of SIL International, the registration
# authority of ISO 639-3 (iso639-3.sil.org), as in pycountry 26.2.16.
_ISO_639_1_AND_3 = """
aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul bi:bis
bm:bam bn:ben bo:bod br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces cu:chu cv:chv cy:cym da:dan de:deu
dv:div dz:dzo ee:ewe el:ell en:eng eo:epo es:spa et:est eu:eus fa:fas ff:ful fi:fin fj:fij fo:fao fr:fra fy:fry
ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv ht:hat hu:hun hy:hye hz:her ia:ina
id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl it:ita iu:iku ja:jpn jv:jav ka:kat kg:kon ki:kik kj:kua kk:kaz
kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao
lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt my:mya na:nau nb:nob nd:nde
ne:nep ng:ndo nl:nld nn:nno no:nor nr:nbl nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol
ps:pus pt:por qu:que rm:roh rn:run ro:ron ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag sh:hbs si:sin sk:slk
sl:slv sm:smo sn:sna so:som sq:sqi sr:srp ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir
tk:tuk tl:tgl tn:tsn to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol
wa:wln wo:wol xh:xho yi:yid yo:yor za:zha zh:zho zu:zul
"""

# Individual languages that stand for their macrolanguage in ISO 639-1 (SIL's macrolanguage mappings; of its members,
# the standard or most written one, which is the one that Wikipedia's edition of that code is in).
_STANDING_FOR_MACROLANGUAGE = """
als:sq arb:ar azj:az cmn:zh ekk:et gug:gn khk:mn lvs:lv npi:ne ory:or pbt:ps pes:fa plt:mg swh:sw uzn:uz ydd:yi
zsm:ms
"""

_SHAPE = re.compile(r"(?:__label__)?([A-Za-z]{2,3})(?:[_-]([A-Za-z]{4}))?")


def _pairs(table: str) -> list[tuple[str, str]]:
    return [(left, right) for left, _, right in (pair.partition(":") for pair in table.split())]


_TO_ISO_639_1 = {three: two for two, three in _pairs(_ISO_639_1_AND_3)} | dict(_pairs(_STANDING_FOR_MACROLANGUAGE))


class Label(NamedTuple):
    """A language and, where it is said, its script."""

    language: str
    script: str | None = None


def normalized(label: str) -> Label:
    """The language and script that a label or a key of `keep` names; what has another shape stays as it is.

    `als` without a script is what Wikipedia, and so lid176, means by it: Alemannic, not Tosk Albanian.
    """
    match = _SHAPE.fullmatch(label)
    if match is None:
        return Label(label.removeprefix("__label__"))
    language, script = match[1].lower(), match[2].title() if match[2] else None
    if language == "als" and script is None:
        return Label(language)
    return Label(_TO_ISO_639_1.get(language, language), script)


def minimum_for(label: Label, keep: "dict[Label, float]") -> float | None:
    """The lowest score for a language: that of its script where `keep` names it, else that of the language."""
    return keep.get(label, keep.get(Label(label.language)))
