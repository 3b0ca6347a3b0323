"""Colours that several styles share, and the labels about them."""

from benchmarks.unseen.tables import Category

SKIN = {"light": ("#f6d0b4", 0.3), "medium": ("#cf935f", 0.4), "dark": ("#7d4a2c", 0.3)}
HAIR = {
    "black": ("#221c20", 0.3),
    "gray": ("#d4d6de", 0.25),
    "blond": ("#f2d65c", 0.25),
    "red": ("#cf4a1c", 0.2),
}  # no skin's colour
CLOTHES = {
    "blue": ("#3a6fd8", 0.25),
    "pink": ("#e0609c", 0.25),
    "yellow": ("#f0bc34", 0.25),
    "white": ("#eeeeea", 0.25),
}
SKINS = Category("skin", {name: (name,) for name in SKIN})
CLOTHES_COLOR = Category("clothes_shade", {name: (name,) for name in CLOTHES})


# Of the styles that are held back.
SKIN_BLUSHING = {
    "light": ("#f6d0b4", 0.3),
    "medium": ("#bc7a44", 0.4),
    "dark": ("#6b3d24", 0.3),
}  # blushes show on each
HAIR_WHITE = {
    "black": ("#221c20", 0.3),
    "gray": ("#f6f6f8", 0.25),
    "blond": ("#f2d65c", 0.25),
    "red": ("#cf4a1c", 0.2),
}  # no background's colour
GLASSES = {"blue": ("#3050e0", 0.35), "green": ("#18b058", 0.35), "purple": ("#9030d0", 0.3)}
EARRINGS = {"gold": ("#f8d838", 0.5), "blue": ("#2f6fe0", 0.5)}


def hair_color(**hidden: tuple[str, ...]) -> Category:
    return Category("hair_shade", {name: (name,) for name in HAIR}, hidden)
