"""The styles that may be looked at while defaults are chosen."""

from benchmarks.unseen.styles.colors import CLOTHES, CLOTHES_COLOR, HAIR, SKIN, SKINS, hair_color
from benchmarks.unseen.tables import NONE, Binary, Category, Part, Shade, Style

MICAH = Style(
    "micah",
    "CC BY 4.0: Avatar Illustration System by Micah Lanier, https://www.figma.com/community/file/829741575478342595",
    (25.0, 5.0, 330.0),
    {
        "hair": Part(
            "hair",
            {
                "fonze": 0.2,
                "mrT": 0.1,
                "mrClean": 0.14,
                "dannyPhantom": 0.15,
                "full": 0.14,
                "pixie": 0.14,
                "turban": 0.13,
            },
            "hair_shade",
        ),
        "glasses": Part("glasses", {NONE: 0.6, "round": 0.2, "square": 0.2}, "glasses_shade"),
        "facial_hair": Part("facialHair", {NONE: 0.75, "beard": 0.25}, "beard_shade"),
        "mouth": Part("mouth", {"smile": 0.22, "laughing": 0.2, "surprised": 0.18, "frown": 0.2, "sad": 0.2}),
        "eyes": Part("eyes", {"eyes": 0.4, "round": 0.25, "smiling": 0.35}),
        "brows": Part("eyebrows", {"up": 0.5, "down": 0.5}),
        "earrings": Part("earrings", {NONE: 0.6, "hoop": 0.4}, "earring_shade"),
        "nose": Part("nose", {"curve": 0.5, "pointed": 0.5}),
        "clothes": Part("clothes", {"collared": 0.35, "crew": 0.35, "open": 0.3}, "clothes_shade"),
    },
    {
        "skin": Shade(("base",), SKIN, ordered=True),
        "hair_shade": Shade(("hair",), HAIR),
        "beard_shade": Shade(("facialHair",), HAIR),
        "glasses_shade": Shade(
            ("glasses",), {"cyan": ("#28c8f0", 0.4), "green": ("#20d060", 0.3), "purple": ("#9040f0", 0.3)}
        ),
        "earring_shade": Shade(("earring",), {"gold": ("#f4d150", 0.5), "blue": ("#2f6fe0", 0.5)}),
        "clothes_shade": Shade(("shirt",), CLOTHES),
    },
    {
        "Glasses": Binary("glasses", ("round", "square")),
        "Beard": Binary("facial_hair", ("beard",)),
        "Smiling": Binary("mouth", ("smile", "laughing")),
        "Mouth_Open": Binary("mouth", ("laughing", "surprised")),
        "Smiling_Eyes": Binary("eyes", ("smiling",)),
        "Bald": Binary("hair", ("mrClean",), {"hair": ("turban",)}),
        "Long_Hair": Binary("hair", ("dannyPhantom", "full", "pixie")),
        "Turban": Binary("hair", ("turban",)),
        "Earring": Binary("earrings", ("hoop",), {"hair": ("dannyPhantom", "full", "pixie")}),
        "Hair_Color": hair_color(hair=("mrClean", "turban")),
        "Skin": SKINS,
        "Clothes_Color": CLOTHES_COLOR,
    },
    ("skin",),
    {"ears": "attached", "head": "standard"},
)

TOON_HEAD = Style(
    "toon-head",
    "CC BY 4.0: ToonHead by Johan Melin, https://www.figma.com/community/file/1589627891082866389",
    (54.0, 40.0, 690.0),
    {
        "hair": Part("hair", {"bun": 0.2, "sideComed": 0.3, "spiky": 0.25, "undercut": 0.25}, "hair_shade"),
        "hair_length": Part(
            "rearHair",
            {NONE: 0.4, "neckHigh": 0.2, "shoulderHigh": 0.2, "longStraight": 0.1, "longWavy": 0.1},
            "hair_shade",
        ),
        "beard": Part("beard", {NONE: 0.5, "moustacheTwirl": 0.2, "fullBeard": 0.15, "longBeard": 0.15}, "hair_shade"),
        "mouth": Part("mouth", {"smile": 0.25, "laugh": 0.25, "agape": 0.2, "angry": 0.15, "sad": 0.15}),
        "eyes": Part("eyes", {"happy": 0.35, "wide": 0.25, "humble": 0.2, "wink": 0.2}),
        "brows": Part("eyebrows", {"angry": 0.3, "neutral": 0.35, "raised": 0.35}),
        "clothes": Part("clothes", {"tShirt": 0.35, "turtleNeck": 0.35, "shirt": 0.3}, "clothes_shade"),
    },
    {
        "skin": Shade(("skin",), SKIN, ordered=True),
        "hair_shade": Shade(("hair",), HAIR),
        "clothes_shade": Shade(("clothes",), CLOTHES),
    },
    {
        "Beard": Binary("beard", ("fullBeard", "longBeard")),
        "Mustache": Binary("beard", ("moustacheTwirl",)),
        "Smiling": Binary("mouth", ("smile", "laugh")),
        "Mouth_Open": Binary("mouth", ("laugh", "agape")),
        "Angry_Eyebrows": Binary("brows", ("angry",)),
        "Eyes_Closed": Binary("eyes", ("humble",)),
        "Winking": Binary("eyes", ("wink",)),
        "Hair_Bun": Binary("hair", ("bun",)),
        "Spiky_Hair": Binary("hair", ("spiky",)),
        "Hair_Length": Category(
            "hair_length",
            {
                "short": (NONE,),
                "neck": ("neckHigh",),
                "shoulder": ("shoulderHigh",),
                "long": ("longStraight", "longWavy"),
            },
        ),
        "Hair_Color": hair_color(),
        "Skin": SKINS,
        "Clothes_Color": CLOTHES_COLOR,
    },
    ("hair_length", "skin"),
    {"body": "body", "head": "head"},
)

PERSONAS = Style(
    "personas",
    "CC BY 4.0: Personas by Draftbit, https://personas.draftbit.com/",
    (6.0, 4.0, 54.0),
    {
        "hair": Part(
            "hair",
            {
                "bald": 0.14,
                "beanie": 0.12,
                "cap": 0.1,
                "bobBangs": 0.08,
                "bobCut": 0.08,
                "extraLong": 0.08,
                "long": 0.08,
                "curly": 0.1,
                "curlyHighTop": 0.08,
                "shortCombover": 0.14,
            },
            "hair_shade",
        ),
        "eyes": Part("eyes", {"open": 0.35, "happy": 0.12, "sleep": 0.13, "glasses": 0.22, "sunglasses": 0.18}),
        "facial_hair": Part("facialHair", {NONE: 0.55, "beardMustache": 0.25, "pyramid": 0.2}, "facial_hair_shade"),
        "mouth": Part("mouth", {"bigSmile": 0.25, "smile": 0.2, "frown": 0.2, "surprise": 0.2, "pacifier": 0.15}),
        "nose": Part("nose", {"mediumRound": 0.5, "smallRound": 0.5}),
        "clothes": Part("clothes", {"checkered": 0.3, "rounded": 0.4, "squared": 0.3}, "clothes_shade"),
    },
    {
        "skin": Shade(("skin",), SKIN, ordered=True),
        "hair_shade": Shade(("hair",), HAIR),
        "facial_hair_shade": Shade(("facialHair",), HAIR),
        "clothes_shade": Shade(("clothing",), CLOTHES),
    },
    {
        "Glasses": Binary("eyes", ("glasses", "sunglasses")),
        "Sunglasses": Binary("eyes", ("sunglasses",)),
        "Eyes_Closed": Binary("eyes", ("happy", "sleep"), {"eyes": ("sunglasses",)}),
        "Beard": Binary("facial_hair", ("beardMustache",)),
        "Mustache": Binary("facial_hair", ("pyramid",)),
        "Smiling": Binary("mouth", ("bigSmile", "smile"), {"mouth": ("pacifier",), "facial_hair": ("beardMustache",)}),
        "Pacifier": Binary("mouth", ("pacifier",), {"facial_hair": ("beardMustache",)}),
        "Hat": Binary("hair", ("beanie", "cap")),
        "Bald": Binary("hair", ("bald",), {"hair": ("beanie", "cap")}),
        "Long_Hair": Binary("hair", ("bobBangs", "bobCut", "extraLong", "long")),
        "Curly_Hair": Binary("hair", ("curly", "curlyHighTop"), {"hair": ("beanie", "cap")}),
        "Hair_Color": hair_color(hair=("bald", "beanie", "cap")),
        "Skin": SKINS,
        "Clothes_Color": CLOTHES_COLOR,
    },
    ("skin",),
)

OPEN_PEEPS = Style(
    "open-peeps",
    "CC0 1.0: Open Peeps by Pablo Stanley, https://www.openpeeps.com/",
    (40.0, 10.0, 650.0),
    {
        "head": Part(
            "head",
            {
                "afro": 0.07,
                "flatTop": 0.07,
                "short1": 0.07,
                "pomp": 0.06,
                "grayShort": 0.07,
                "short4": 0.07,
                "grayMedium": 0.07,
                "bangs": 0.07,
                "long": 0.07,
                "mediumStraight": 0.07,
                "noHair1": 0.08,
                "noHair2": 0.07,
                "hatBeanie": 0.08,
                "hatHip": 0.08,
            },
        ),
        "face": Part(
            "expression",
            {
                "smile": 0.15,
                "cute": 0.1,
                "smileBig": 0.15,
                "smileTeethGap": 0.1,
                "explaining": 0.1,
                "rage": 0.1,
                "veryAngry": 0.15,
                "solemn": 0.15,
            },
        ),
        "accessories": Part(
            "accessories",
            {NONE: 0.55, "glasses": 0.08, "glasses3": 0.09, "glasses5": 0.08, "sunglasses": 0.1, "sunglasses2": 0.1},
        ),
        "facial_hair": Part(
            "facialHair",
            {NONE: 0.55, "full": 0.08, "full2": 0.08, "full3": 0.09, "moustache2": 0.1, "moustache6": 0.1},
        ),
        "mask": Part("mask", {NONE: 0.85, "medicalMask": 0.15}),
    },
    {
        "skin": Shade(("skin",), SKIN, ordered=True),
        "hair_shade": Shade(
            ("headContrast",), {"blond": ("#ecc658", 0.4), "red": ("#cf4a1c", 0.3), "gray": ("#d8d8dc", 0.3)}
        ),
        "clothes_shade": Shade(("clothing",), CLOTHES),
    },
    {
        "Glasses": Binary("accessories", ("glasses", "glasses3", "glasses5", "sunglasses", "sunglasses2")),
        "Sunglasses": Binary("accessories", ("sunglasses", "sunglasses2")),
        "Beard": Binary("facial_hair", ("full", "full2", "full3"), {"mask": ("medicalMask",)}),
        "Mustache": Binary("facial_hair", ("moustache2", "moustache6"), {"mask": ("medicalMask",)}),
        "Smiling": Binary(
            "face",
            ("smile", "cute", "smileBig", "smileTeethGap"),
            {"mask": ("medicalMask",), "facial_hair": ("full2", "full3", "moustache2", "moustache6")},
        ),
        "Teeth": Binary(
            "face",
            ("smileBig", "smileTeethGap", "rage"),
            {"mask": ("medicalMask",), "facial_hair": ("full2", "full3", "moustache2", "moustache6")},
        ),
        "Mask": Binary("mask", ("medicalMask",)),
        "Bald": Binary("head", ("noHair1", "noHair2"), {"head": ("hatBeanie", "hatHip")}),
        "Hat": Binary("head", ("hatBeanie", "hatHip")),
        "Long_Hair": Binary("head", ("grayMedium", "bangs", "long", "mediumStraight")),
        "Light_Hair": Binary(
            "head",
            ("grayShort", "short4", "grayMedium", "bangs"),
            {"head": ("noHair1", "noHair2", "hatBeanie", "hatHip")},
        ),
        "Skin": SKINS,
        "Clothes_Color": CLOTHES_COLOR,
    },
    ("skin",),
)
