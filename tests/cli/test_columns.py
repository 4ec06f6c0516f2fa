"""Which columns are taken: named, of a default name, or proposed and confirmed; never guessed."""

import shlex

import pyarrow as pa
import pytest

from command import run
from loyalty.cli.looks import by_kind, by_name, look


def csv(folder, header, *rows):
    (folder / "a.csv").write_text("\n".join([header, *(rows or ("ann,2024-01-05,20.5",))]) + "\n")
    return folder / "a.csv"


def command_in(said):
    """Return the arguments of the command that is proposed."""
    line = next(line for line in said.splitlines() if line.startswith("  loyalty "))
    return shlex.split(line)[1:]


def test_what_is_proposed_can_be_run(files, tx):
    done = run("metrics", files["client.csv"], "--json")
    assert (done.code, done.out) == (2, b"")
    assert "customer  client  (numbers such as 0" in done.err
    assert "date      day  (dates such as 20" in done.err
    assert "amount    total  (numbers such as" in done.err
    arguments = command_in(done.err)
    assert arguments == [
        "metrics", str(files["client.csv"]), "--json", "--customer", "client", "--date", "day", "--amount", "total",
    ]  # fmt: skip
    again = run(*arguments)
    assert again.code == 0
    assert again.err.splitlines() == [str(tx)]


@pytest.mark.parametrize("flag", ["-y", "--accept-columns"])
def test_what_is_proposed_can_be_accepted(files, tx, flag):
    done = run("metrics", files["client.csv"], flag)
    assert done.code == 0
    assert done.err.splitlines() == ["columns: customer = client, date = day, amount = total", str(tx)]


def test_part_named_and_part_of_a_default_name(tmp_path):
    path = csv(tmp_path, "client,date,amount")
    done = run("metrics", path, "--customer", "client", "--only", "upsell_ratio")
    assert done.code == 0
    assert done.err.splitlines()[0] == "columns: customer = client, date = date, amount = amount"
    done = run("metrics", path)
    assert done.code == 2
    assert command_in(done.err)[2:] == ["--date", "date", "--amount", "amount", "--customer", "client"]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("Customer ID,Order Date,Total Amount", ["Customer ID", "Order Date", "Total Amount"]),
        ("customerId,createdAt,price", ["customerId", "createdAt", "price"]),
        ("id_cliente,fecha,importe", ["id_cliente", "fecha", "importe"]),
        ("Código cliente,Fecha de compra,Monto", ["Código cliente", "Fecha de compra", "Monto"]),
        ("Kunden-Nr.,Bestelldatum,Umsatz", ["Kunden-Nr.", "Bestelldatum", "Umsatz"]),
        ("KÄUFER,TAG,ERLÖS", ["KÄUFER", "TAG", "ERLÖS"]),
        ("CUSTOMER_ID,DATE,AMOUNT", ["CUSTOMER_ID", "DATE", "AMOUNT"]),
        ("user,x,y", ["user", "x", "y"]),  # the only dates, and the only numbers
    ],
)
def test_names_of_three_languages(tmp_path, header, columns):
    done = run("metrics", csv(tmp_path, header))
    assert done.code == 2
    arguments = command_in(done.err)
    assert arguments[2::2] == ["--customer", "--date", "--amount"]
    assert arguments[3::2] == columns
    assert run("metrics", csv(tmp_path, header), "-y", "--only", "upsell_ratio").code == 0


def test_a_sure_name_is_taken_before_one_that_may_be(tmp_path):
    path = csv(tmp_path, "email,client_id,order_date,created_at,price,total", "a@b,1,2024-01-05,2024-01-06,2,4")
    assert command_in(run("metrics", path).err)[3::2] == ["client_id", "order_date", "total"]


def test_what_is_not_clear_is_asked_even_with_y(tmp_path):
    path = csv(tmp_path, "client_id,member_id,order_date,invoice_date,total", "1,2,2024-01-05,2024-01-06,4")
    for flags in ((), ("-y",)):
        done = run("metrics", path, *flags)
        assert (done.code, done.out) == (2, b"")
        assert "?  one of client_id (numbers such as 1), member_id (numbers such as 2)" in done.err
        assert "?  one of order_date (dates such as 2024-01-05), invoice_date" in done.err
        assert command_in(done.err)[2:] == ["--customer", "COLUMN", "--date", "COLUMN", "--amount", "total"]


def test_nothing_that_fits(tmp_path):
    done = run("metrics", csv(tmp_path, "a,b,c", "x,y,z"), "-y")
    assert done.code == 2
    assert done.err.count("no column looks like it") == 3
    assert "The columns are 'a', 'b', 'c'." in done.err


def test_the_same_column_is_not_proposed_twice(tmp_path):
    done = run("metrics", csv(tmp_path, "client,day", "1,2024-01-05"))
    assert "amount    ?  no column looks like it" in done.err
    done = run("metrics", csv(tmp_path, "id,day,total", "1,2024-01-05,3"), "--customer", "total")
    assert "total (" not in done.err


def test_a_column_that_is_not_there(tmp_path):
    done = run("metrics", csv(tmp_path, "client,date,amount"), "--customer", "Klient", "--product", "sku")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "--customer 'Klient': there is no such column" in done.err
    assert "Did you mean 'client'?" in done.err


def test_a_column_that_is_there_twice(tmp_path):
    done = run("metrics", csv(tmp_path, "customer_id,amount,date,amount", "1,2,2024-01-05,3"), "--amount", "amount")
    assert done.code == 2
    assert "names 2 columns" in done.err
    assert run("metrics", csv(tmp_path, "customer_id,amount,date,amount", "1,2,2024-01-05,3")).code == 2


@pytest.mark.parametrize(
    "hostile",
    [
        *("-x", "[red]a", "客户", "\x1b[31mred"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("a b;c", "it's", "$(date)", "a\u202eb", "--")),
    ],
)
def test_hostile_names(tmp_path, hostile):
    header = '"' + hostile + '",day,total'
    done = run("metrics", csv(tmp_path, header), f"--customer={hostile}")
    assert done.code == 2
    assert "\x1b" not in done.err
    assert "\u202e" not in done.err
    done = run("metrics", tmp_path / "a.csv", f"--customer={hostile}", "-y", "--only", "upsell_ratio")
    assert (done.code, "\x1b" in done.err + done.text) == (0, False)


def test_a_proposed_name_that_begins_with_a_hyphen(tmp_path):
    path = csv(tmp_path, "-client-,day,total")
    arguments = command_in(run("metrics", "--only", "upsell_ratio", "--", path).err)
    assert arguments == [
        "metrics",
        "--only",
        "upsell_ratio",
        "--customer=-client-",
        "--date",
        "day",
        "--amount",
        "total",
        "--",
        str(path),
    ]
    assert run(*arguments).code == 0


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array(["2024-01-05", None, " 2024-01-06 "]), "dates"),
        (pa.array(["2024-01-05T10:00:00Z"]), "dates"),
        (pa.array(["05/01/2024"]), "text"),
        (pa.array(["1", "2.5e3", "-7", ""]), "numbers"),
        (pa.array(["1_000"]), "text"),
        (pa.array(["1", "x"]), "text"),
        (pa.array(["", " "]), "text"),
        (pa.array([1, 2]), "numbers"),
        (pa.array([None, None]), "nothing"),
        (pa.array([True]), "other"),
        (pa.array([0], pa.date32()), "dates"),
        (pa.array([0], pa.timestamp("us", "UTC")), "dates"),
        (pa.array([1], pa.decimal128(9, 2)), "numbers"),
    ],
)
def test_what_a_column_looks_like(values, kind):
    assert look(pa.chunked_array([values])).kind == kind


def test_dates_that_can_be_read_come_first():
    texts = {"date ": "5.1.24", "Fecha": "2024-01-05"}
    seen = {name: look(pa.chunked_array([pa.array([text])])) for name, text in texts.items()}
    assert by_name("date", seen) == ["Fecha"]
    assert by_name("date", {"date ": seen["date "]}) == ["date "]
    assert by_kind("date", seen) == ["Fecha"]
    assert by_kind("customer", seen) == []


@pytest.mark.parametrize("name", ["qty", "Quantity", "cantidad", "Menge", "Stück", "order_id"])
def test_a_number_that_is_no_money_is_not_proposed(tmp_path, name):
    (tmp_path / "a.csv").write_text(f"customer_id,date,{name}\n1,2024-01-05,3\n", encoding="utf-8")
    done = run("metrics", tmp_path / "a.csv", "-y")
    assert (done.code, done.out) == (2, b"")
    assert "amount    ?  no column looks like it" in done.err


@pytest.mark.parametrize(
    ("header", "row", "why"),
    [
        ("N.º cliente;fecha;importe", "1;2024-01-05;7,86", "'importe' holds text such as 7,86"),
        ("cliente;fecha;importe;importe", "1;2024-01-05;7;8", "'importe' stands 2 times: rename all but one"),
    ],
)
def test_a_column_of_a_fitting_name_says_why_it_does_not_do(tmp_path, header, row, why):
    path = tmp_path / "rows.csv"
    path.write_text(f"{header}\n{row}\n", encoding="utf-8")
    done = run("metrics", path)
    assert done.code == 2
    assert f"amount    ?  no column looks like it; {why}" in done.err
    assert "-y" not in done.err
    assert f"--customer {'cliente' if '.' not in header else chr(39) + 'N.º cliente' + chr(39)}" in done.err
