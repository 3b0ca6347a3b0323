"""Heads in three-quarter view, drawn with a brush; not to be looked at while defaults are chosen."""

from benchmarks.unseen.styles.colors import EARRINGS, GLASSES, HAIR_WHITE, SKIN_BLUSHING, SKINS, hair_color
from benchmarks.unseen.tables import NONE, Binary, Part, Shade, Style

LORELEI = Style(
    "lorelei",
    "CC0 1.0: Lorelei by Lisa Wischofsky, https://www.figma.com/community/file/1198749693280469639",
    (100.0, 50.0, 790.0),
    {
        "hair": Part(
            "hair",
            {
                **dict.fromkeys(("variant01", "variant02", "variant47"), 0.06),
                **dict.fromkeys(("variant04", "variant13", "variant15", "variant35"), 0.08),
                **dict.fromkeys(("variant05", "variant24"), 0.06),
                **dict.fromkeys(("variant26", "variant38"), 0.07),
                **dict.fromkeys(("variant25", "variant34"), 0.07),
                "variant27": 0.1,
            },
            "hair_shade",
        ),
        "beard": Part("beard", {NONE: 0.75, "variant01": 0.13, "variant02": 0.12}, "hair_shade"),
        "glasses": Part("glasses", {NONE: 0.6, "variant01": 0.1, "variant03": 0.1, "variant02": 0.2}, "glasses_shade"),
        "eyes": Part(
            "eyes",
            {
                "variant20": 0.25,
                "variant21": 0.2,
                "variant09": 0.25,
                "variant01": 0.1,
                "variant19": 0.1,
                "variant22": 0.1,
            },
        ),
        "mouth": Part(
            "mouth",
            {
                "happy01": 0.2,
                "happy05": 0.13,
                "happy06": 0.12,
                "happy16": 0.15,
                "sad01": 0.14,
                "sad05": 0.14,
                "sad06": 0.12,
            },
        ),
        "earrings": Part("earrings", {NONE: 0.6, "variant01": 0.4}, "earring_shade"),
        "flowers": Part("hairAccessories", {NONE: 0.75, "flowers": 0.25}),
        "nose": Part("nose", {"variant01": 0.5, "variant04": 0.5}),
    },
    {
        "skin": Shade(("skin",), SKIN_BLUSHING, ordered=True),
        "hair_shade": Shade(("hair",), HAIR_WHITE),
        "glasses_shade": Shade(("glasses",), GLASSES),
        "earring_shade": Shade(("earrings",), EARRINGS),
    },
    {
        "Glasses": Binary("glasses", ("variant01", "variant02", "variant03")),
        "Sunglasses": Binary("glasses", ("variant02",)),
        "Eyes_Closed": Binary("eyes", ("variant01", "variant19", "variant22"), {"glasses": ("variant02",)}),
        "Beard": Binary("beard", ("variant01", "variant02")),
        "Smiling": Binary("mouth", ("happy01", "happy05", "happy06", "happy16"), {"beard": ("variant01", "variant02")}),
        "Mouth_Open": Binary(
            "mouth",
            ("happy05", "happy06", "sad01"),
            {"mouth": ("happy16", "sad06"), "beard": ("variant01", "variant02")},
        ),
        "Teeth": Binary("mouth", ("happy16", "sad06"), {"beard": ("variant01", "variant02")}),
        "Earring": Binary("earrings", ("variant01",)),
        "Flowers": Binary("flowers", ("flowers",)),
        "Bald": Binary("hair", ("variant25", "variant34")),
        "Long_Hair": Binary("hair", ("variant13", "variant15", "variant35"), {"hair": ("variant24",)}),
        "Curly_Hair": Binary("hair", ("variant05", "variant24"), {"hair": ("variant35",)}),
        "Hair_Bun": Binary("hair", ("variant26", "variant38")),
        "Mohawk": Binary("hair", ("variant27",)),
        "Hair_Color": hair_color(hair=("variant25", "variant34")),
        "Skin": SKINS,
    },
    ("skin",),
    {"head": "variant01", "eyebrows": "variant10", "freckles": NONE},
)
