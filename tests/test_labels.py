"""What labels are and where their latents lie."""

import pytest

from tf_ccvae.labels import Label, Labels

MIXED = Labels((Label("a"), Label("b", ("x", "y", "z"), latents=2), Label("c", latents=3)))


def test_characteristic_latents_lie_label_after_label():
    assert MIXED.slices == (slice(0, 1), slice(1, 3), slice(3, 6))
    assert MIXED.characteristic == 6


def test_values_kinds_and_positions():
    assert [label.values for label in MIXED] == [2, 3, 2]
    assert (MIXED.values, MIXED.binary, MIXED.categorical) == (3, (0, 2), (1,))


def test_no_labels_are_labels_too():
    empty = Labels(())
    assert (len(empty), empty.characteristic, empty.values, empty.slices) == (0, 0, 2, ())


def test_config_round_trips():
    assert Labels.from_config(MIXED.get_config()) == MIXED


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Label("a", latents=0), "at least 1"),
        (lambda: Label("a", ("only",)), "at least two"),
        (lambda: Label("a", ("x", "x")), "different"),
        (lambda: Labels.of_binary(["a", "b", "a"]), "found twice: a"),
    ],
)
def test_impossible_labels_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
