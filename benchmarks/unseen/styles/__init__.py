"""All styles by name; `LOOKED_AT` names those that may be looked at while defaults are chosen."""

from benchmarks.unseen.styles.adventurer import ADVENTURER
from benchmarks.unseen.styles.big_ears import BIG_EARS
from benchmarks.unseen.styles.looked_at import MICAH, OPEN_PEEPS, PERSONAS, TOON_HEAD
from benchmarks.unseen.styles.lorelei import LORELEI
from benchmarks.unseen.styles.notionists import NOTIONISTS

LOOKED_AT = (MICAH.name, TOON_HEAD.name, PERSONAS.name, OPEN_PEEPS.name)  # no other may be, while defaults are chosen
STYLES = {
    style.name: style for style in (MICAH, TOON_HEAD, PERSONAS, OPEN_PEEPS, ADVENTURER, BIG_EARS, LORELEI, NOTIONISTS)
}
