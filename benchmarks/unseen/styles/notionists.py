"""Figures in one ink on one paper; not to be looked at while defaults are chosen."""

from benchmarks.unseen.tables import NONE, Binary, Category, Part, Shade, Style

_INK = {"black": ("#141416", 0.25), "blue": ("#1c2f9a", 0.25), "red": ("#8a1626", 0.25), "green": ("#12602c", 0.25)}
_PAPER = {"white": ("#fcfcfa", 0.4), "orange": ("#f8c088", 0.3), "green": ("#a8e0b8", 0.3)}
_COVERED = ("hat", "variant14", "variant62", "variant63")
NOTIONISTS = Style(
    "notionists",
    "CC0 1.0: Notionists by Zoish, https://heyzoish.gumroad.com/l/notionists",
    (330.0, 60.0, 1300.0),
    {
        "hair": Part(
            "hair",
            {
                **dict.fromkeys(("hat", "variant14"), 0.08),
                **dict.fromkeys(("variant62", "variant63"), 0.07),
                **dict.fromkeys(("variant02", "variant10", "variant41"), 0.06),
                "variant23": 0.07,
                **dict.fromkeys(("variant48", "variant59", "variant50", "variant51"), 0.07),
                **dict.fromkeys(("variant05", "variant19"), 0.06),
                "variant60": 0.05,
            },
        ),
        "glasses": Part(
            "glasses",
            {NONE: 0.5, **dict.fromkeys(("variant02", "variant03", "variant08", "variant09", "variant11"), 0.1)},
        ),
        "beard": Part("beard", {NONE: 0.5, "variant02": 0.2, "variant10": 0.18, "variant11": 0.12}),
        "mouth": Part(
            "mouth", {"variant03": 0.25, "variant08": 0.2, "variant10": 0.15, "variant24": 0.22, "variant15": 0.18}
        ),
        "clothes": Part(
            "clothes",
            {
                **dict.fromkeys(("variant01", "variant14", "variant21"), 0.1),
                **dict.fromkeys(("variant02", "variant08"), 0.13),
                **dict.fromkeys(("variant15", "variant24"), 0.12),
                "variant20": 0.2,
            },
        ),
        "gesture": Part("gesture", {NONE: 0.7, "waveLongArm": 0.3}),
        "brows": Part("eyebrows", {"variant03": 0.5, "variant10": 0.5}),
        "nose": Part("nose", {"variant01": 0.5, "variant10": 0.5}),
    },
    {"ink": Shade(("ink",), _INK), "paper": Shade(("paper",), _PAPER)},
    {
        "Glasses": Binary("glasses", ("variant02", "variant03", "variant08", "variant09", "variant11")),
        "Sunglasses": Binary("glasses", ("variant02", "variant09")),
        "Beard": Binary("beard", ("variant02", "variant11")),
        "Mustache": Binary("beard", ("variant10", "variant11"), {"beard": ("variant02",)}),
        "Smiling": Binary("mouth", ("variant03", "variant08"), {"mouth": ("variant10",)}),
        "Mouth_Open": Binary("mouth", ("variant08", "variant10", "variant15")),
        "Hat": Binary("hair", ("hat", "variant14")),
        "Headscarf": Binary("hair", ("variant62", "variant63")),
        "Long_Hair": Binary(
            "hair", ("variant02", "variant10", "variant23", "variant41"), {"hair": ("variant62", "variant63")}
        ),
        "Hair_Bun": Binary("hair", ("variant48", "variant59"), {"hair": _COVERED}),
        "Spiky_Hair": Binary("hair", ("variant50", "variant51"), {"hair": _COVERED}),
        "Waving": Binary("gesture", ("waveLongArm",)),
        "Clothes": Category(
            "clothes",
            {
                "white": ("variant01", "variant14", "variant21"),
                "black": ("variant02", "variant08"),
                "dotted": ("variant15", "variant24"),
                "tie": ("variant20",),
            },
        ),
        "Ink": Category("ink", {name: (name,) for name in _INK}),
        "Paper": Category("paper", {name: (name,) for name in _PAPER}),
    },
    (),
    {"head": "variant01", "eyes": "variant01", "clothesGraphic": NONE},
)
