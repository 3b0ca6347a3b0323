"""Heads turned to one side, drawn in ink and flat colours; not to be looked at while defaults are chosen."""

from benchmarks.unseen.styles.colors import EARRINGS, GLASSES, HAIR_WHITE, SKIN_BLUSHING, SKINS, hair_color
from benchmarks.unseen.tables import NONE, Binary, Part, Shade, Style

ADVENTURER = Style(
    "adventurer",
    "CC BY 4.0: Adventurer by Lisa Wischofsky, https://www.figma.com/community/file/1184595184137881796",
    (60.0, 60.0, 640.0),
    {
        "hair": Part(
            "hair",
            {
                "short04": 0.1,
                "short11": 0.08,
                "short17": 0.08,
                "short19": 0.14,
                "short12": 0.06,
                "short15": 0.06,
                **dict.fromkeys(("long05", "long07", "long09"), 0.06),
                **dict.fromkeys(("long08", "long18"), 0.07),
                **dict.fromkeys(("long11", "long23"), 0.08),
            },
            "hair_shade",
        ),
        "glasses": Part(
            "glasses", {NONE: 0.6, "variant01": 0.13, "variant02": 0.14, "variant05": 0.13}, "glasses_shade"
        ),
        "eyes": Part(
            "eyes",
            {
                "variant26": 0.3,
                "variant25": 0.15,
                "variant23": 0.15,
                "variant19": 0.12,
                "variant20": 0.12,
                "variant21": 0.08,
                "variant22": 0.08,
            },
        ),
        "mouth": Part(
            "mouth",
            {
                "variant01": 0.17,
                "variant26": 0.15,
                "variant23": 0.12,
                "variant09": 0.2,
                "variant14": 0.18,
                "variant16": 0.18,
            },
        ),
        "brows": Part("eyebrows", {"variant10": 0.65, "variant01": 0.35}),
        "details": Part("details", {NONE: 0.55, "mustache": 0.2, "blush": 0.25}),
        "earrings": Part("earrings", {NONE: 0.6, "variant02": 0.4}, "earring_shade"),
    },
    {
        "skin": Shade(("skin",), SKIN_BLUSHING, ordered=True),
        "hair_shade": Shade(("hair",), HAIR_WHITE),
        "glasses_shade": Shade(("glasses",), GLASSES),
        "earring_shade": Shade(("earrings",), EARRINGS),
    },
    {
        "Glasses": Binary("glasses", ("variant01", "variant02", "variant05")),
        "Sunglasses": Binary("glasses", ("variant01",)),
        "Eyes_Closed": Binary("eyes", ("variant19", "variant20"), {"glasses": ("variant01",)}),
        "Winking": Binary("eyes", ("variant21", "variant22"), {"glasses": ("variant01",)}),
        "Smiling": Binary("mouth", ("variant01", "variant26", "variant23"), {"mouth": ("variant16",)}),
        "Mouth_Open": Binary("mouth", ("variant01", "variant26", "variant14"), {"mouth": ("variant16", "variant23")}),
        "Tongue": Binary("mouth", ("variant16",)),
        "Thick_Eyebrows": Binary("brows", ("variant01",)),
        "Mustache": Binary("details", ("mustache",)),
        "Blush": Binary("details", ("blush",)),
        "Earring": Binary("earrings", ("variant02",), {"hair": ("long05",)}),
        "Bald": Binary("hair", ("short19",)),
        "Long_Hair": Binary("hair", ("long05", "long07", "long08", "long09", "long18")),
        "Hair_Bun": Binary("hair", ("long11", "long23")),
        "Mohawk": Binary("hair", ("short12", "short15")),
        "Flowers": Binary("hair", ("long08", "long18")),
        "Hair_Color": hair_color(hair=("short19",)),
        "Skin": SKINS,
    },
    ("skin",),
    {"head": "default"},
)
