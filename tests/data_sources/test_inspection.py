import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data import inspection, inspection_numbers
from tf_ccvae.data.__main__ import main
from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.labels import MISSING, Label, Labels, Scale


def dataset(labels, values):
    """A data set whose training images hold the number of their row."""
    values = np.asarray(values, np.int8)
    images = np.arange(len(values), dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    few = Split(images[:2], values[:2])
    return Dataset("made", labels, Split(images, values), few, few, {"source": "a test", "warnings": ["mind"]})


def inspected(labels, values):
    made = dataset(labels, values)
    return inspection.inspect(made, made.train)


def test_counts_rates_and_missing_labels():
    results = inspected(Labels.of_binary(["a", "b"]), [[1, 1], [0, MISSING], [1, 0], [0, MISSING]])
    assert results["splits"]["train"] == {"examples": 4, "with_labels": 4}
    a, b = (row["train"] for row in results["labels"])
    assert a == {"count": 2, "known": 4, "rate": 0.5}
    assert b == {"count": 1, "known": 2, "rate": 0.5}
    assert results["co_occurrence"]["both"] == [[2, 1], [1, 1]]
    assert results["co_occurrence"]["known"] == [[4, 2], [2, 2]]


def test_correlation_is_that_of_numpy_over_the_examples_that_know_both():
    random = np.random.default_rng(0)
    a = random.integers(0, 2, 200)
    b = np.where(random.random(200) < 0.8, a, 1 - a)
    values = np.stack([a, b, random.integers(0, 2, 200)], 1)
    values[random.random(values.shape) < 0.2] = MISSING
    counts = inspection.count(Split(np.zeros((200, 1, 1, 1), np.uint8), values), inspection.values_of(
        Labels.of_binary(["a", "b", "c"])))  # fmt: skip
    for i in range(3):
        for j in range(3):
            known = (values[:, i] != MISSING) & (values[:, j] != MISSING)
            wanted = np.corrcoef(values[known, i], values[known, j])[0, 1]
            assert counts.correlation()[i, j] == pytest.approx(wanted)


def test_counting_in_parts_gives_the_same(monkeypatch):
    random = np.random.default_rng(0)
    split = Split(np.zeros((50, 1, 1, 1), np.uint8), random.integers(-1, 2, (50, 3)))
    values = inspection.values_of(Labels.of_binary("abc"))
    whole = inspection.count(split, values)
    monkeypatch.setattr(inspection, "_ROWS", 7)
    parts = inspection.count(split, values)
    assert np.array_equal(whole.both, parts.both) and np.array_equal(whole.first, parts.first)


def test_classes_are_counted_each():
    results = inspected(Labels((Label("kind", ("x", "y", "z")),)), [[0], [2], [2], [MISSING]])
    assert [(row["value"], row["train"]["count"]) for row in results["labels"]] == [
        ("kind=x", 1), ("kind=y", 0), ("kind=z", 2),
    ]  # fmt: skip
    assert not results["strongest"]  # classes of one label exclude each other by nature


@pytest.mark.parametrize(("on", "warned"), [(49, "1 in only 49"), (60, None), (100, None), (151, "0 in only 49")])
def test_rare_values_are_warned_of(on, warned):
    values = np.zeros((200, 1), np.int8)
    values[:on] = 1
    warnings = [text for text in inspected(Labels.of_binary(["a"]), values)["warnings"] if text != "mind"]
    assert bool(warnings) == bool(warned)
    assert not warned or f"label 'a' is {warned} of the 200 training examples" in warnings[0]


def test_share_below_one_percent_is_warned_of_however_many_there_are():
    values = np.zeros((10000, 1), np.int8)
    values[:99] = 1
    made = Split(np.broadcast_to(np.uint8(0), (10000, 1, 1, 1)), values)
    results = inspection.inspect(Dataset("made", Labels.of_binary(["a"]), made, made, made), made)
    assert "1 in only 99 of the 10,000 training examples that know it (1.0%)" in results["warnings"][0]


@pytest.mark.parametrize(
    ("flipped", "inverted", "words"),
    [(0.02, False, "nearly always come together"), (0.02, True, "nearly exclude each other"), (0.2, False, None)],
)
def test_correlated_labels_are_warned_of(flipped, inverted, words):
    random = np.random.default_rng(0)
    a = random.integers(0, 2, 250)
    b = np.where(random.random(250) < flipped, 1 - a, a) ^ inverted
    warnings = inspected(Labels.of_binary(["a", "b"]), np.stack([a, b], 1))["warnings"][1:]
    assert bool(warnings) == bool(words)
    assert not words or (words in warnings[0] and "'a' and 'b'" in warnings[0])


def test_label_that_is_the_same_everywhere_has_no_correlation():
    results = inspected(Labels.of_binary(["a", "b"]), [[1, 1], [1, 0]])
    assert results["co_occurrence"]["correlation"][0][1] is None
    json.dumps(results, allow_nan=False)


def of_numbers(examples=300):
    """Height and weight, of which one is most of the other, an age by itself, tall by the height, and a class."""
    random = np.random.default_rng(0)
    height = random.normal(170, 10, examples)
    columns = [height, 10 * height + random.normal(0, 30, examples), 1e6 + random.random(examples), height > 175]
    values = np.stack([*columns, random.integers(0, 3, examples)], axis=1).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    scale = Scale(0.0, 1.0, 0.0, 1.0)
    labels = [Label(name, scale=scale) for name in ("height", "weight", "age")]
    split = Split(np.zeros((examples, 2, 2, 1), np.uint8), values)
    labels = Labels((*labels, Label("tall"), Label("kind", ("x", "y", "z"))))
    return Dataset("made", labels, split, split, split, {"source": "a test"})


def test_correlation_of_numbers_is_that_of_numpy_over_the_examples_that_know_both(monkeypatch):
    monkeypatch.setattr(inspection_numbers, "_ROWS", 77)
    made = of_numbers()
    results = inspection.inspect(made, made.train)["correlation_of_numbers"]
    assert results["numbers"] == ["height", "weight", "age"]
    assert results["with"] == ["height", "weight", "age", "tall", "kind=x", "kind=y", "kind=z"]
    values = made.train.labels.astype(np.float64)
    indicators = np.where(np.isnan(values[:, 4:]), np.nan, values[:, 4:] == np.arange(3))
    columns = np.concatenate([values[:, :4], indicators], axis=1)
    for i, row in enumerate(results["correlation"]):
        for column, r in zip(columns.T, row, strict=True):
            known = ~np.isnan(column) & ~np.isnan(columns[:, i])
            assert r == pytest.approx(np.corrcoef(columns[known, i], column[known])[0, 1], abs=1e-4)


def test_numbers_that_nearly_determine_each_other_are_among_the_strongest_and_warned_of():
    made = of_numbers()
    results = inspection.inspect(made, made.train)
    assert results["strongest"][0]["values"] == ["height", "weight"]
    assert ["height", "tall"] in [row["values"] for row in results["strongest"][:4]]
    assert len({tuple(sorted(row["values"])) for row in results["strongest"]}) == len(results["strongest"])
    (said,) = [text for text in results["warnings"] if "determine" in text]
    assert said.startswith("'height' and 'weight' nearly determine each other (r = 0.9")
    assert f"{results['strongest'][0]['r']:6.2f}  height, weight" in list(inspection.lines(results))


def test_number_that_does_not_vary_has_no_correlation():
    made = of_numbers()
    made.train.labels[:, 0] = 180.1
    results = inspection.inspect(made, made.train)
    assert results["correlation_of_numbers"]["correlation"][0] == [None] * 7
    assert not any("height" in row["values"] for row in results["strongest"])
    json.dumps(results, allow_nan=False)


def test_pictures_of_a_value_are_those_that_have_it():
    labels = Labels((Label("a"), Label("kind", ("x", "y"))))
    made = dataset(labels, [[i % 2, i % 3 if i % 3 < 2 else MISSING] for i in range(30)])
    sheet = inspection.pictures(made.train, inspection.values_of(labels), columns=12)
    assert sheet.shape == (3, 12, 2, 2, 1)
    for row, has in zip(sheet, (lambda i: i % 2 == 1, lambda i: i % 3 == 0, lambda i: i % 3 == 1), strict=True):
        numbers = [int(image[0, 0, 0]) for image in row if image[0, 0, 0] != 255]
        assert all(has(i) for i in numbers) and len(set(numbers)) == len(numbers) >= 10


def test_program_writes_numbers_and_pictures_and_says_the_same(tiny_folder, tmp_path, capsys):
    images, labels = tiny_folder
    arguments = [
        *("--data.images", str(images), "--data.labels", str(labels), "--data.image-size", "28"),
        *("--data.labelled-fraction", "0.25", "--to", str(tmp_path / "out")),
    ]
    assert main(["inspect", "configs/folder.yaml", *arguments]) == 0
    text = capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "inspection.json").read_text())
    assert results["splits"]["seen in training"] == {"examples": 256, "with_labels": 64}
    assert "seen in training         256           64" in text
    assert f"{results['labels'][0]['train']['rate']:.1%}" in text
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        assert sheet.width > 100


OWN = ", ".join(f"configs/{path.name}" for path in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")))


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ([], "no argument: write python -m tf_ccvae.data inspect CONFIG"),
        (["look"], "look: write python -m tf_ccvae.data inspect CONFIG"),
        (["inspect"], "CONFIG: missing; write the config file behind inspect, then settings"),
        (["inspect", "gone.yaml"], f"--config: gone.yaml: no such file; there are {OWN}"),
        (["inspect", "configs/avatars.yaml", "--to"], "--to: a value is missing; see --help"),
        (["inspect", "configs/avatars.yaml", "--run-dir", "x"], "--run-dir: not used here; write --to FOLDER"),
        (
            ["inspect", "configs/avatars.yaml", "--data.nam", "x"],
            "--data.nam: unknown setting; did you mean --data.name?",
        ),
        (
            ["inspect", "configs/avatars.yaml", "--data.examples", "120", "--data.label-names", "[Smile]"],
            "data.label_names: no label 'Smile'; did you mean 'Smiling'?",
        ),
    ],
)
def test_program_refuses_in_one_line(argv, line, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: {line}\n"


def test_program_says_what_was_taken_for_what_lists_what_is_wrong_and_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lines = ["file,smile,age,harm"]
    for i in range(14):
        Image.new("L", (28, 28), 10 * i).save(tmp_path / f"{i:04}.png")
        lines.append(f"{i:04}.png,{('yes', 'no', 'NA')[i % 3]},{20 + i},{('none', 'mild', 'severe')[i % 3]}")
    (tmp_path / "0002.png").write_bytes(b"no picture")
    lines[5] = "0004,yes,24,mild"
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    arguments = [
        "--data.images",
        str(tmp_path),
        "--data.labels",
        str(tmp_path / "labels.csv"),
        "--data.image-size",
        "28",
        "--data.label-kinds",
        "{harm: [none, mild, severe]}",
    ]
    assert main(["inspect", "configs/folder.yaml", *arguments, "--to", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "harm: 3 grades in order (none < mild < severe)" in text
    assert text.index("harm=none") < text.index("harm=mild") < text.index("harm=severe")
    assert "smile: 'yes' is on, 'no' is off, 'NA' is unknown" in text
    assert "labels.csv, line 6: no image 0004" in text and "0004.png is there, write that" in text
    assert "age: 14 different whole numbers, 20 to 33, taken for a number; data.label_kinds: {age: class} takes" in text
    assert "0002.png: is not a PNG, JPEG, WebP or PGM image; convert it" in text
    results = json.loads((tmp_path / "out" / "inspection.json").read_text())
    assert len(results["problems"]) == 2
    seen = results["numbers"][0]["seen in training"]
    assert results["kinds"] == {"smile": "binary", "age": "number", "harm": "grade"}
    assert sum(seen["histogram"]) == seen["known"] and 20 <= seen["low"] < seen["median"] < seen["high"] <= 33
    assert "lowest" in text and "|@" in text
    assert results["correlation_of_numbers"]["with"] == ["age", "smile", "harm=none", "harm=mild", "harm=severe"]
    assert any("age" in row["values"] for row in results["strongest"])
    assert sum(results["splits"][name]["examples"] for name in ("train", "validation", "test")) == 12
