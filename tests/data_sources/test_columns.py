"""What the cells of a column of labels mean."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tf_ccvae.data.columns import NotLabels, read_column
from tf_ccvae.data.dataset import DataError
from tf_ccvae.data.folder_table import read_table
from tf_ccvae.labels import MISSING

SPELLINGS = {
    1: ["1", "1.0", "1.", "01", "true", "True", "TRUE", "yes", "Yes", "y", "on"],
    0: ["0", "0.0", "-0.0", "false", "FALSE", "False", "no", "No", "N", "off"],
    MISSING: ["", "nan", "NaN", "NA", "N/A", "<NA>", "None", "null", "-1", "-1.0", "?"],
}


def read(cells, unmarked=None):
    return read_column(cells, range(2, len(cells) + 2), unmarked)


def refused(cells, unmarked=None):
    with pytest.raises(NotLabels) as caught:
        read(cells, unmarked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("cells", [["1", "-1"], ["1.0", "-1.0"], ["1", "-1", ""]])
def test_one_and_minus_one_without_any_zero_is_refused_with_the_cause(cells):
    message = refused(cells)
    assert message.startswith("has no 0 in the whole file, so -1 may mean off or unknown; write 0 where")
    assert message.endswith("or set data.unmarked: off if -1 means off")


def test_one_and_empty_without_any_zero_is_refused_with_the_cause():
    assert "so an empty cell may mean off or unknown" in refused(["1", ""])
    assert "so a missing value may mean off or unknown" in refused(["1.0", "nan"])


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-1", "1"], [1, 0, 1]),
        (["1", "", "1"], [1, 0, 1]),
        (["1.0", "nan"], [1, 0]),
        (["1", "-1", ""], [1, 0, MISSING]),  # -1 is the mark, so that an empty cell still says nothing
        (["1", "", "NA"], [1, 0, MISSING]),
        (["1", "0", "-1", ""], [1, 0, MISSING, MISSING]),  # there is a 0: nothing is left to decide
    ],
)
def test_what_is_not_marked_is_off_if_the_settings_say_so(cells, values):
    assert read(cells, "off").values.tolist() == values


def test_column_of_ones_alone_is_refused():
    assert refused(["1", "1"]).startswith("is 1 in the whole file")
    assert read(["1", "1"], "off").values.tolist() == [1, 1]


@pytest.mark.parametrize(("value", "cell"), [(value, cell) for value, cells in SPELLINGS.items() for cell in cells])
def test_every_spelling_is_read(value, cell):
    assert read(["1", "0", cell]).values.tolist() == [1, 0, value]


def test_what_was_taken_for_what_is_said():
    assert read(["1.0", "0.0", "nan", "", "1.0"]).meaning == "'1.0' is on, '0.0' is off, 'nan' and empty are unknown"
    assert read(["1", "-1"], "off").meaning == "'1' is on, '-1' is off"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1", "0", "1", "maybe"], "'maybe' (line 5) is not a label; write 1, 0 or nothing"),
        (["1", "0", "0", "1", "x", "2"], "'x' and '2' (line 6) are not labels; write 1, 0 or nothing"),
        (["23", "41", "1", "67"], "holds other numbers than 1 and 0 (23, 41, 67; first on line 2), so it is no label"),
        (["happy", "sad", "happy"], "holds names of classes (happy, sad; first on line 2), and a label is on or off; "
         "give each class a column of its own with 1 and 0"),
        ([f"person {i}" for i in range(40)], "holds text (person 0, person 1, person 2, person 3, ...; first on line"),
        (["1", "0", "1_0", "1"], "'1_0' (line 4) is not a label"),
        (["1", "0", "٣", "1"], "'٣' (line 4) is not a label"),
    ],
)  # fmt: skip
def test_other_columns_are_refused_for_what_they_are(cells, message):
    assert refused(cells).startswith(message)


@given(st.lists(st.sampled_from([1, 0, MISSING]), min_size=0, max_size=12), st.data())
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_mixed_spellings_read_to_the_values_that_a_person_would_say(meant, data):
    meant = [1, 0, *meant]
    cells = [data.draw(st.sampled_from(SPELLINGS[value])) for value in meant]
    assert read(cells).values.tolist() == meant


@pytest.mark.programs  # hundreds of tables
@given(
    st.lists(
        st.tuples(*[st.sampled_from(sum(SPELLINGS.values(), ["2", "maybe", "0,5", "1;0"])) | st.text(max_size=5)] * 2),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([None, "off"]),
)
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_csv_reads_to_what_a_person_would_say_or_is_refused_in_one_line(tmp_path, rows, unmarked):
    """The two columns are written with quotes, so that any text arrives."""
    table = tmp_path / "labels.csv"
    lines = ["file,a,b"]
    for i, cells in enumerate(rows):
        (tmp_path / f"{i}.png").touch()
        lines.append(f"{i}.png," + ",".join('"' + cell.replace('"', '""') + '"' for cell in cells))
    table.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass", newline="")
    try:
        read = read_table(table, tmp_path, (), unmarked)
    except DataError as error:
        assert len(str(error).splitlines()) == 1
        return
    known = {spelling: value for value, spellings in SPELLINGS.items() for spelling in spellings}
    assert all(len(problem.splitlines()) == 1 for problem in read.problems)
    for label, column in zip(read.names, read.labels.T, strict=True):
        cells = [row["ab".index(label)].strip() for row in rows]
        has_zero = any(known.get(cell) == 0 for cell in cells)
        for cell, value in zip(cells, column, strict=True):
            if known.get(cell) in (1, 0):
                assert value == known[cell]
            elif has_zero and cell in known:
                assert value == MISSING
