import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.avatars_contact_sheet import CAPTION, GAP, WITH, contact_sheet
from tf_ccvae.data import avatars
from tf_ccvae.data.avatars_drawing import draw_all
from tf_ccvae.data.avatars_labels import BEARDS, FACTORS, LABELS, LONG_HAIR, MUSTACHES, SUNGLASSES, faces_of
from tf_ccvae.data.dataset import SPLITS, DataError
from tf_ccvae.labels import MISSING

HAIR_COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
PINNED_LABELS = "dc41cca19e222bdd"
PINNED_PICTURES = "fe74df3ae905f4ec"


@pytest.fixture(scope="module")
def factors():
    return avatars.describe(12000)


@pytest.fixture(scope="module")
def labels(factors):
    return dict(zip(LABELS.names, avatars.labels_of(factors).T, strict=True))


def chosen(factors, name, *variants):
    """bool (examples,): where the category is one of `variants`."""
    return np.isin(np.array(FACTORS[name])[factors[name]], variants)


def correlation(x, y):
    """Over the rows where neither is missing; 0 if one of them is constant there."""
    known = (x != MISSING) & (y != MISSING)
    x, y = x[known].astype(float), y[known].astype(float)
    return 0.0 if x.std() == 0 or y.std() == 0 else np.corrcoef(x, y)[0, 1]


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def test_labels_of_seed_0_are_pinned(factors):
    assert digest(avatars.labels_of(factors)) == PINNED_LABELS


def test_pictures_of_seed_0_are_pinned(factors):
    assert digest(draw_all(faces_of(factors)[:12], 64, processes=1)) == PINNED_PICTURES


def test_first_faces_of_a_longer_set_are_the_same_faces(factors):
    for name, values in avatars.describe(50).items():
        np.testing.assert_array_equal(values, factors[name][:50])


def test_another_seed_describes_other_faces(factors):
    assert (avatars.describe(1000, seed=1)["mouth"] != factors["mouth"][:1000]).mean() > 0.5


@pytest.mark.programs  # starts processes
def test_pictures_do_not_depend_on_the_number_of_processes(tmp_path):
    one = avatars.load(16, examples=132, cache_dir=tmp_path / "one", processes=1)
    two = avatars.load(16, examples=132, cache_dir=tmp_path / "two", processes=2)
    for name in SPLITS:
        np.testing.assert_array_equal(one.split(name).images, two.split(name).images)


def test_splits_have_ratio_10_1_1_and_rows_that_belong_together(tmp_path):
    data = avatars.load(32, seed=3, examples=36, cache_dir=tmp_path, processes=1)
    assert [len(data.split(name)) for name in SPLITS] == [30, 3, 3]
    assert data.image_shape == (32, 32, 3)
    assert data.labels == LABELS
    drawn = avatars.describe(36, seed=3)
    np.testing.assert_array_equal(data.test.images, draw_all(faces_of(drawn), 32, processes=1)[33:])
    np.testing.assert_array_equal(data.test.labels, avatars.labels_of(drawn)[33:])
    assert data.test.labels.dtype == np.int8
    for name, values in data.test.factors.items():
        np.testing.assert_array_equal(values, drawn[name][33:])
    assert set(data.about["factors"]) == set(data.test.factors)


def test_second_load_reads_the_cache(tmp_path, monkeypatch):
    first = avatars.load(16, examples=12, cache_dir=tmp_path, processes=1)
    monkeypatch.setattr(avatars, "draw_all", None)
    second = avatars.load(16, examples=12, cache_dir=tmp_path)
    np.testing.assert_array_equal(first.train.images, second.train.images)
    with pytest.raises(TypeError):
        avatars.load(16, examples=12, cache_dir=tmp_path, seed=1)


def older_file(folder, pictures, seed=0):
    path = folder / f"avatars-v{avatars.VERSION}-12x16-seed{seed}.npy"
    np.save(path, pictures)


def test_the_file_of_an_older_version_is_read_and_one_that_is_damaged_is_drawn_again(tmp_path, monkeypatch):
    pictures = draw_all(faces_of(avatars.describe(12)), 16, processes=1)
    older_file(tmp_path, pictures[:3])  # of another shape
    drawn = avatars.load(16, examples=12, cache_dir=tmp_path, processes=1)
    (tmp_path / "other").mkdir()
    older_file(tmp_path / "other", pictures)
    monkeypatch.setattr(avatars, "draw_all", None)
    found = avatars.load(16, examples=12, cache_dir=tmp_path / "other")
    for name in SPLITS:
        np.testing.assert_array_equal(found.split(name).images, drawn.split(name).images)
    np.testing.assert_array_equal(np.concatenate([found.split(name).images for name in SPLITS]), pictures)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError, OSError])
def test_interrupted_drawing_is_never_read(tmp_path, monkeypatch, interruption):
    def stop(*arguments):
        raise interruption

    with monkeypatch.context() as patch:
        patch.setattr("tf_ccvae.data.avatars_drawing.draw", stop)
        with pytest.raises((interruption, DataError)):
            avatars.load(16, examples=12, cache_dir=tmp_path, processes=1)
    assert not list(tmp_path.glob("avatars-*/about.json"))
    np.testing.assert_array_equal(
        avatars.load(16, examples=12, cache_dir=tmp_path, processes=1).train.images,
        avatars.load(16, examples=12, cache_dir=tmp_path / "other", processes=1).train.images,
    )
    assert len(avatars.load(16, examples=12, cache_dir=tmp_path, processes=1).train) == 10


@pytest.mark.programs  # starts processes
def test_failure_in_a_worker_reaches_the_caller(tmp_path, monkeypatch):
    broken = faces_of(avatars.describe(132))
    broken[130]["parts"] = {"mouth": 7}
    monkeypatch.setattr(avatars, "faces_of", lambda factors: broken)
    with pytest.raises(DataError, match="mouth"):
        avatars.load(16, examples=132, cache_dir=tmp_path, processes=2)
    assert not list(tmp_path.glob("avatars-*/about.json"))


@pytest.mark.programs
def test_two_scripts_without_a_main_guard_can_draw_at_the_same_time(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, pathlib\n"
        "from tf_ccvae.data import avatars\n"
        "data = avatars.load(16, examples=144, cache_dir=pathlib.Path(sys.argv[1]), processes=2)\n"
        "print(data.train.images.sum())\n"
    )
    command = [sys.executable, str(script), str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    sums = [process.communicate(timeout=300)[0] for process in running]
    expected = draw_all(faces_of(avatars.describe(144)), 16, processes=1)[:120].sum()
    assert sums == [f"{expected}\n"] * 2
    assert len(list((tmp_path / "cache").glob("avatars-*/about.json"))) == 1


def test_unreadable_cache_is_reported_with_its_path(tmp_path):
    avatars.load(16, examples=12, cache_dir=tmp_path, processes=1)
    (path,) = tmp_path.glob("avatars-*/images.npy")
    path.write_bytes(b"something else")
    with pytest.raises(DataError, match=path.name):
        avatars.load(16, examples=12, cache_dir=tmp_path, processes=1)


def test_cache_of_another_shape_is_refused(tmp_path):
    avatars.load(16, examples=12, cache_dir=tmp_path, processes=1)
    (path,) = tmp_path.glob("avatars-*/images.npy")
    np.save(path, np.zeros((12, 8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="delete it"):
        avatars.load(16, examples=12, cache_dir=tmp_path, processes=1)


def test_cache_dir_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="XDG_CACHE_HOME"):
        avatars.load(16, examples=12, cache_dir=tmp_path / "file", processes=1)


@pytest.mark.parametrize("wrong", [{"examples": 11}, {"image_size": 0}, {"seed": -1}])
def test_arguments_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(DataError, match=next(iter(wrong))):
        avatars.load(cache_dir=tmp_path, **wrong)


@pytest.mark.parametrize("name", LABELS.names)
def test_positive_rate_is_between_a_tenth_and_six_tenths(labels, name):
    known = labels[name][labels[name] != MISSING]
    assert 0.1 <= known.mean() <= 0.6
    assert len(known) >= 0.75 * len(labels[name])


def test_labels_are_close_to_independent(labels):
    names = LABELS.names
    pairs = {(a, b): correlation(labels[a], labels[b]) for i, a in enumerate(names) for b in names[:i]}
    assert max(abs(r) for r in pairs.values()) < 0.5, pairs


@pytest.mark.parametrize("name", LABELS.names)
def test_background_pose_and_clothes_tell_nothing_about_a_label(factors, labels, name):
    nuisances = [factors["background_color"], factors["clothes_color"], factors["shift"], factors["scale"][:, None]]
    for column in np.concatenate(nuisances, axis=1).T:
        assert abs(correlation(labels[name], column)) < 0.05  # 4 or 5 standard errors of 12,000 independent faces
    assert abs(correlation(labels[name], factors["clothes"])) < 0.05


def test_labels_follow_from_the_factors(factors, labels):
    for name, expected in {
        "Eyeglasses": ~chosen(factors, "glasses", "none"),
        "Sunglasses": chosen(factors, "glasses", *SUNGLASSES),
        "No_Beard": ~chosen(factors, "facial_hair", *BEARDS),
        "Mustache": chosen(factors, "facial_hair", *MUSTACHES),
        "Wearing_Hat": ~chosen(factors, "hat", "none"),
        "Long_Hair": chosen(factors, "hair", *LONG_HAIR),
        "Pale_Skin": chosen(factors, "skin", "pale"),
        "Dark_Skin": chosen(factors, "skin", "dark"),
        "Raised_Eyebrows": chosen(factors, "brows", "raisedExcited", "raisedExcitedNatural"),
        "Angry_Eyebrows": chosen(factors, "brows", "angry", "angryNatural"),
        "Smiling": ~chosen(factors, "mouth", "sad", "serious", "concerned", "disbelief", "screamOpen"),
        "Mouth_Slightly_Open": ~chosen(factors, "mouth", "twinkle", "sad", "serious"),
    }.items():
        np.testing.assert_array_equal(labels[name], expected, err_msg=name)


def test_hat_hides_baldness_and_hair_colour(factors, labels):
    hat = ~chosen(factors, "hat", "none")
    np.testing.assert_array_equal(labels["Bald"] == MISSING, hat)
    assert all((labels[name][hat] == MISSING).all() for name in HAIR_COLOURS)
    assert chosen(factors, "hair", "none")[hat].all()


def test_bald_head_has_no_hair_colour_and_hair_at_the_sides_is_too_little_to_tell(factors, labels):
    hat, sides = ~chosen(factors, "hat", "none"), chosen(factors, "hair", "sides")
    bald = chosen(factors, "hair", "none") & ~hat
    for name in HAIR_COLOURS:
        assert (labels[name][bald] == 0).all()
        np.testing.assert_array_equal(labels[name] == MISSING, hat | sides)
    assert (labels["Bald"][bald | sides] == 1).all()


def test_at_most_one_hair_colour_and_none_for_red_or_pink(factors, labels):
    shown = ~chosen(factors, "hair", "none", "sides")
    natural = chosen(factors, "hair_shade", "black", "blond", "brown", "gray")
    colours = sum((labels[name] == 1).astype(int) for name in HAIR_COLOURS)
    np.testing.assert_array_equal(colours, shown & natural)


def test_tinted_glasses_hide_whether_eyes_are_closed(factors, labels):
    tinted = chosen(factors, "glasses", *SUNGLASSES)
    np.testing.assert_array_equal(labels["Eyes_Closed"] == MISSING, tinted)
    np.testing.assert_array_equal(labels["Eyes_Closed"][~tinted], chosen(factors, "eyes", "closed", "happy")[~tinted])


def test_only_these_labels_are_ever_missing(labels):
    missing = {name for name, values in labels.items() if (values == MISSING).any()}
    assert missing == {"Bald", "Eyes_Closed", *HAIR_COLOURS}


@pytest.mark.parametrize("part", ["hair", "facial_hair", "glasses", "hat"])
def test_colour_is_nan_exactly_where_the_part_is_absent(factors, part):
    absent = chosen(factors, part, "none")
    np.testing.assert_array_equal(np.isnan(factors[f"{part}_color"]), np.repeat(absent[:, None], 3, axis=1))


def test_colours_are_in_range_and_pose_is_small(factors):
    for name, values in factors.items():
        if name.endswith("_color"):
            assert np.nanmin(values) >= 0 and np.nanmax(values) <= 1
    assert np.abs(factors["shift"]).max() * 64 <= 0.5
    assert np.abs(factors["scale"] - 1).max() <= 0.021


def test_picture_shows_its_background_and_moves_with_its_shift():
    face = faces_of(avatars.describe(12))[0]
    corner = draw_all([face], 64, processes=1)[0, 0, 0]
    np.testing.assert_allclose(corner, face["background"] * 255, atol=1)
    still, moved = draw_all([{**face, "shift": (0, 0)}, {**face, "shift": (4 / 64, 2 / 64)}], 64, processes=1).astype(
        int
    )
    assert np.abs(moved[2:, 4:] - still[:-2, :-4]).mean() < 0.1 < np.abs(moved - still).mean()


@pytest.mark.programs  # draws hundreds of faces
def test_contact_sheet_shows_faces_with_a_label_beside_faces_without(tmp_path):
    test = avatars.load(16, examples=600, cache_dir=tmp_path, processes=1).test
    sheet = np.asarray(contact_sheet(test, LABELS.names[:2]).convert("RGB")).astype(int)
    with_glasses = test.images[np.flatnonzero(test.labels[:, 0] == 1)[0]]
    without = test.images[np.flatnonzero(test.labels[:, 0] == 0)[0]]
    assert np.abs(sheet[CAPTION : CAPTION + 16, :16] - with_glasses).mean() < 10
    left = WITH * 16 + GAP
    assert np.abs(sheet[CAPTION : CAPTION + 16, left : left + 16] - without).mean() < 10
