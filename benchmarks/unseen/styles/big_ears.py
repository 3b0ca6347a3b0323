"""Flat faces without outlines; not to be looked at while defaults are chosen."""

from benchmarks.unseen.styles.colors import HAIR_WHITE, SKIN_BLUSHING, SKINS, hair_color
from benchmarks.unseen.tables import NONE, Binary, Part, Shade, Style

BIG_EARS = Style(
    "big-ears",
    "CC BY 4.0: Face Generator by The Visual Team, https://www.figma.com/community/file/986078800058673824",
    (5.0, 5.0, 430.0),
    {
        "hair": Part(
            "hair",
            {
                **dict.fromkeys(("short02", "short07", "short13"), 0.08),
                **dict.fromkeys(("short03", "short10", "short19"), 0.07),
                **dict.fromkeys(("long03", "long07", "long15", "long18"), 0.08),
                **dict.fromkeys(("long05", "long06"), 0.08),
                "short18": 0.07,
            },
            "hair_shade",
        ),
        "fringe": Part("frontHair", {NONE: 0.5, "variant03": 0.2, "variant06": 0.15, "variant10": 0.15}, "hair_shade"),
        "sideburns": Part("sideburns", {NONE: 0.6, "variant02": 0.2, "variant07": 0.2}, "hair_shade"),
        "eyes": Part(
            "eyes",
            {
                "variant09": 0.2,
                "variant26": 0.2,
                "variant01": 0.1,
                "variant25": 0.1,
                "variant10": 0.1,
                "variant13": 0.08,
                "variant11": 0.06,
                "variant31": 0.08,
                "variant32": 0.08,
            },
        ),
        "mouth": Part(
            "mouth",
            {
                "variant0702": 0.2,
                "variant0204": 0.15,
                "variant0303": 0.15,
                "variant0705": 0.15,
                "variant0504": 0.15,
                "variant0101": 0.2,
            },
        ),
        "cheeks": Part("details", {NONE: 0.7, "variant04": 0.15, "variant06": 0.15}),
        "ears": Part("ears", {"variant01": 0.5, "variant04": 0.5}),
        "nose": Part("nose", {"variant01": 0.5, "variant08": 0.5}),
        "head": Part("head", {"variant01": 0.35, "variant02": 0.35, "variant04": 0.15, "variant05": 0.15}),
    },
    {"skin": Shade(("skin",), SKIN_BLUSHING, ordered=True), "hair_shade": Shade(("hair",), HAIR_WHITE)},
    {
        "Smiling": Binary("mouth", ("variant0702", "variant0204", "variant0303")),
        "Frowning": Binary("mouth", ("variant0705", "variant0504")),
        "Mouth_Closed": Binary("mouth", ("variant0702", "variant0705")),
        "Eyes_Closed": Binary("eyes", ("variant11", "variant31", "variant32")),
        "Star_Eyes": Binary("eyes", ("variant10", "variant13")),
        "Angry": Binary("eyes", ("variant01", "variant25")),
        "Blush": Binary("cheeks", ("variant04", "variant06")),
        "Bangs": Binary("fringe", ("variant03", "variant06", "variant10")),
        "Sideburns": Binary("sideburns", ("variant02", "variant07")),
        "Long_Hair": Binary("hair", ("long03", "long07", "long15", "long18")),
        "Hair_Bun": Binary("hair", ("long05", "long06")),
        "Spiky_Hair": Binary("hair", ("short03", "short10", "short19")),
        "Square_Face": Binary("head", ("variant04", "variant05")),
        "Hair_Color": hair_color(),
        "Skin": SKINS,
    },
    ("skin",),
)
