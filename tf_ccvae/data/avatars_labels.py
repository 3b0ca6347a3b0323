"""What the drawn faces are: how they are sampled, and which labels follow from what can be seen.

Every face starts as a description of our own sampling, so that labels are close to independent, and background, pose
and clothes tell nothing about them. The variants are a choice of the style's: those that hide what a label is about, or
that two people would label differently, are left out.
"""

import colorsys
from collections.abc import Mapping

import numpy as np

from tf_ccvae.data.avatars_drawing import Face
from tf_ccvae.labels import MISSING, Labels

NONE = "none"
SHORT_HAIR = (
    "shortFlat",
    "shortRound",
    "shortWaved",
    "shortCurly",
    "theCaesar",
    "theCaesarAndSidePart",
    "dreads01",
    "frizzle",
    "shaggy",
)
LONG_HAIR = ("bob", "curvy", "dreads", "miaWallace", "straight01", "straight02", "straightAndStrand")
SMILES = ("twinkle", "default", "smile", "tongue")
OPEN_MOUTHS = ("default", "smile", "tongue", "concerned", "disbelief", "screamOpen")
SUNGLASSES = ("sunglasses", "wayfarers", "kurt")
BEARDS = ("beardLight", "beardMedium", "beardMajestic")
MUSTACHES = ("moustacheFancy", "moustacheMagnum")
RAISED = ("raisedExcited", "raisedExcitedNatural")
ANGRY = ("angry", "angryNatural")

# What each part of a face can be, and how often.
_VARIANTS: dict[str, dict[str, float]] = {
    "hat": {NONE: 0.84, "hat": 0.04, "winterHat02": 0.03, "winterHat03": 0.03, "winterHat04": 0.03, "winterHat1": 0.03},
    "hair": {NONE: 0.1, "sides": 0.06, **dict.fromkeys(SHORT_HAIR, 0.4 / 9), **dict.fromkeys(LONG_HAIR, 0.44 / 7)},
    "hair_shade": {"black": 0.25, "brown": 0.22, "blond": 0.21, "gray": 0.18, "red": 0.07, "pink": 0.07},
    "glasses": {
        NONE: 0.59,
        "prescription01": 0.1,
        "prescription02": 0.1,
        "round": 0.08,
        "sunglasses": 0.04,
        "wayfarers": 0.04,
        "kurt": 0.05,
    },
    "glasses_shade": {"black": 0.3, "red": 0.2, "blue": 0.2, "green": 0.15, "purple": 0.15},
    "facial_hair": {
        NONE: 0.42,
        "moustacheFancy": 0.07,
        "moustacheMagnum": 0.09,
        "beardLight": 0.14,
        "beardMedium": 0.14,
        "beardMajestic": 0.14,
    },
    "facial_hair_shade": {"black": 0.35, "brown": 0.25, "gray": 0.25, "red": 0.15},
    "mouth": {
        "twinkle": 0.24,
        "default": 0.09,
        "smile": 0.09,
        "tongue": 0.08,
        "sad": 0.13,
        "serious": 0.13,
        "concerned": 0.08,
        "disbelief": 0.08,
        "screamOpen": 0.08,
    },
    "eyes": {"default": 0.26, "surprised": 0.18, "squint": 0.14, "eyeRoll": 0.12, "closed": 0.15, "happy": 0.15},
    "brows": {
        "default": 0.12,
        "defaultNatural": 0.14,
        "sadConcerned": 0.1,
        "sadConcernedNatural": 0.1,
        "raisedExcited": 0.14,
        "raisedExcitedNatural": 0.14,
        "angry": 0.12,
        "angryNatural": 0.14,
    },
    "skin": {"pale": 0.3, "medium": 0.4, "dark": 0.3},
    "clothes": {"hoodie": 0.4, "shirtCrewNeck": 0.3, "shirtVNeck": 0.3},
}
HAIR_RGB = {
    "black": (30, 26, 30),
    "brown": (106, 62, 34),
    "blond": (238, 200, 84),
    "gray": (186, 188, 194),
    "red": (196, 62, 22),
    "pink": (236, 130, 176),
}
FRAME_RGB = {"black": (26, 28, 36), "red": (200, 32, 40), "blue": (28, 80, 190), "green": (20, 122, 72)}
FRAME_RGB["purple"] = (112, 34, 150)
SKIN_RGB = {  # lightest and darkest of each group; the groups leave a gap between them
    "pale": ((255, 229, 208), (245, 209, 178)),
    "medium": ((228, 172, 124), (206, 146, 98)),
    "dark": ((168, 108, 68), (136, 84, 52)),
}

LABELS = Labels.of_binary(
    (
        "Eyeglasses",
        "Sunglasses",
        "Smiling",
        "Mouth_Slightly_Open",
        "No_Beard",
        "Mustache",
        "Wearing_Hat",
        "Bald",
        "Long_Hair",
        "Black_Hair",
        "Blond_Hair",
        "Brown_Hair",
        "Gray_Hair",
        "Pale_Skin",
        "Dark_Skin",
        "Eyes_Closed",
        "Raised_Eyebrows",
        "Angry_Eyebrows",
    )
)
FACTORS: dict[str, tuple[str, ...] | str] = {
    **{name: tuple(weights) for name, weights in _VARIANTS.items()},
    "skin_color": "RGB in [0, 1]",
    "hair_color": "RGB in [0, 1], NaN where no hair shows",
    "facial_hair_color": "RGB in [0, 1], NaN where there is none",
    "glasses_color": "RGB in [0, 1], NaN where there are none",
    "hat_color": "RGB in [0, 1], NaN where there is none",
    "clothes_color": "RGB in [0, 1]",
    "background_color": "RGB in [0, 1]",
    "shift": "right and down, as fractions of the picture's side",
    "scale": "of the head; 1 is the middle",
}
STYLE_FACTORS = ("clothes", "clothes_color", "background_color", "shift")  # what no label is about
LABEL_FACTORS: dict[str, tuple[int, tuple[str, ...]]] = {  # what varies within a label, at which value of it
    "Eyeglasses": (1, ("glasses", "glasses_color")),
    "Sunglasses": (1, ("glasses", "glasses_color")),
    "Smiling": (1, ("mouth",)),
    "Mouth_Slightly_Open": (1, ("mouth",)),
    "No_Beard": (0, ("facial_hair", "facial_hair_color")),
    "Mustache": (1, ("facial_hair", "facial_hair_color")),
    "Wearing_Hat": (1, ("hat", "hat_color")),
    "Bald": (1, ("hair",)),
    "Long_Hair": (1, ("hair", "hair_color")),
    "Black_Hair": (1, ("hair_color",)),
    "Blond_Hair": (1, ("hair_color",)),
    "Brown_Hair": (1, ("hair_color",)),
    "Gray_Hair": (1, ("hair_color",)),
    "Pale_Skin": (1, ("skin_color",)),
    "Dark_Skin": (1, ("skin_color",)),
    "Eyes_Closed": (1, ("eyes",)),
    "Raised_Eyebrows": (1, ("brows",)),
    "Angry_Eyebrows": (1, ("brows",)),
}


def describe(examples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """What `examples` faces look like, without drawing them; the first faces of a longer set are the same faces.

    Returns:
      One array per name in `FACTORS`, each with `examples` rows: int8 (examples,) for the categories, indices into
      `FACTORS[name]`; float32 (examples, 3) for the colours, (examples, 2) for `shift`, (examples,) for `scale`.
      Under a hat `hair` is none. A shade is there for every face; where its colour is NaN it means nothing.
    """
    columns = iter(np.random.default_rng(seed).random((examples, 48)).T)  # row by row: a face depends on no other
    factors: dict[str, np.ndarray] = {}
    for name, weights in _VARIANTS.items():
        edges = np.cumsum(list(weights.values()))[:-1]
        factors[name] = np.searchsorted(edges, next(columns), side="right").astype(np.int8)
    factors["hair"][factors["hat"] > 0] = 0
    depth = next(columns)[:, None]
    ends = np.array([SKIN_RGB[name] for name in FACTORS["skin"]])[factors["skin"]] / 255  # (examples, 2, 3)
    factors["skin_color"] = ends[:, 0] + depth * (ends[:, 1] - ends[:, 0])
    for name, anchors, shown in (
        ("hair", HAIR_RGB, factors["hair"] > 0),
        ("facial_hair", HAIR_RGB, factors["facial_hair"] > 0),
        ("glasses", FRAME_RGB, factors["glasses"] > 0),
    ):
        rgb = np.array([anchors[shade] for shade in FACTORS[f"{name}_shade"]])[factors[f"{name}_shade"]] / 255
        brightness = 1 + 0.16 * (next(columns) - 0.5)
        tint = 0.05 * (np.stack([next(columns) for _ in range(3)], axis=1) - 0.5)
        factors[f"{name}_color"] = np.where(shown[:, None], np.clip(rgb * brightness[:, None] + tint, 0, 1), np.nan)
    for name, hue, saturation, value in (
        ("hat", (0.2, 1.0), (0.55, 0.85), (0.5, 0.9)),  # no brown, so that it is neither skin nor hair
        ("clothes", (0.0, 1.0), (0.3, 0.6), (0.5, 0.9)),
        ("background", (0.25, 0.8), (0.25, 0.45), (0.7, 0.95)),  # no hue of skin or hair
    ):
        hsv = [low + (high - low) * next(columns) for low, high in (hue, saturation, value)]
        factors[f"{name}_color"] = np.array([colorsys.hsv_to_rgb(*row) for row in zip(*hsv, strict=True)])
    factors["hat_color"][factors["hat"] == 0] = np.nan
    factors["shift"] = (np.stack([next(columns), next(columns)], axis=1) - 0.5) / 64  # half a pixel of 64 either way
    factors["scale"] = 1 + 0.04 * (next(columns) - 0.5)
    return {name: x if x.dtype == np.int8 else x.astype(np.float32) for name, x in factors.items()}


def _among(factors: Mapping[str, np.ndarray], name: str, variants: tuple[str, ...]) -> np.ndarray:
    """bool (examples,): where the category `name` is one of `variants`."""
    return np.isin(factors[name], [FACTORS[name].index(variant) for variant in variants])


def labels_of(factors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The labels of described faces, int8 (examples, 18): what can be seen, `MISSING` where a thing is covered.

    A hat covers the head: whether it is bald and which colour its hair has is missing. Tinted glasses cover the eyes:
    whether they are closed is missing. A bald head has no hair colour, all four are 0; where hair is left at the sides
    only, it is too little to tell, and they are missing.
    """
    hat, glasses = factors["hat"] > 0, factors["glasses"] > 0
    tinted, beard = _among(factors, "glasses", SUNGLASSES), _among(factors, "facial_hair", BEARDS)
    sides = _among(factors, "hair", ("sides",))
    columns = {
        "Eyeglasses": glasses,
        "Sunglasses": tinted,
        "Smiling": _among(factors, "mouth", SMILES),
        "Mouth_Slightly_Open": _among(factors, "mouth", OPEN_MOUTHS),
        "No_Beard": ~beard,
        "Mustache": _among(factors, "facial_hair", MUSTACHES),
        "Wearing_Hat": hat,
        "Bald": np.where(hat, MISSING, _among(factors, "hair", (NONE, "sides"))),
        "Long_Hair": _among(factors, "hair", LONG_HAIR),
        "Pale_Skin": _among(factors, "skin", ("pale",)),
        "Dark_Skin": _among(factors, "skin", ("dark",)),
        "Eyes_Closed": np.where(tinted, MISSING, _among(factors, "eyes", ("closed", "happy"))),
        "Raised_Eyebrows": _among(factors, "brows", RAISED),
        "Angry_Eyebrows": _among(factors, "brows", ANGRY),
    }
    for shade in ("black", "blond", "brown", "gray"):
        shown = (factors["hair"] > 0) & _among(factors, "hair_shade", (shade,))
        columns[f"{shade.capitalize()}_Hair"] = np.where(hat | sides, MISSING, shown)
    return np.stack([columns[name] for name in LABELS.names], axis=1).astype(np.int8)


def faces_of(factors: Mapping[str, np.ndarray]) -> list[Face]:
    """What `avatars_drawing.draw` needs, for each described face."""

    def variant(name: str, row: int) -> str | None:
        chosen = FACTORS[name][factors[name][row]]
        return None if chosen == NONE else chosen

    parts = {"accessories": "glasses", "facialHair": "facial_hair", "mouth": "mouth", "eyes": "eyes"}
    parts |= {"eyebrows": "brows", "clothes": "clothes"}
    colors = {"skin": "skin", "hair": "hair", "facialHair": "facial_hair", "accessories": "glasses", "hat": "hat"}
    colors |= {"clothes": "clothes"}
    return [
        {
            "parts": {part: variant(name, row) for part, name in parts.items()}
            | {"top": variant("hat", row) or variant("hair", row)},
            "colors": {color: np.nan_to_num(factors[f"{name}_color"][row]) for color, name in colors.items()},
            "background": factors["background_color"][row],
            "shift": factors["shift"][row],
            "scale": float(factors["scale"][row]),
        }
        for row in range(len(factors["scale"]))
    ]
