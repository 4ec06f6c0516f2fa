"""What a column looks like: by its name in English, Spanish and German, and by what its first rows hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["ROWS", "Look", "by_kind", "by_name", "look", "named_like"]

ROWS = 1_000  # that are looked at
_EXAMPLE = 20  # letters shown of a value
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?")

# Role → names that say it; without blanks, signs and accents.
_SURE = {
    "customer": """
        customerid customernumber customerno customernr customerkey customercode clientid clientnumber
        clientno clientcode userid memberid membernumber shopperid buyerid consumerid accountid cardid
        cardnumber loyaltyid idcustomer idclient idcliente clienteid codcliente codigocliente codigodecliente
        numerocliente numerodecliente numcliente nrocliente nocliente nodecliente clienteno
        idusuario usuarioid idsocio socioid numerosocio
        numerodesocio kundenid kundeid idkunde kundennummer kundennr kundenkennung kdnr kundenkarte mitgliedid
        mitgliedsid mitgliedsnummer mitgliedsnr nutzerid benutzerid kontonummer
    """,
    "date": """
        date orderdate dateoforder purchasedate dateofpurchase transactiondate invoicedate saledate salesdate
        fecha fechacompra fechadecompra fechapedido fechadepedido fechaventa fechadeventa fechatransaccion
        fechadetransaccion fechafactura fechadefactura fechaorden datum bestelldatum kaufdatum rechnungsdatum
        auftragsdatum umsatzdatum verkaufsdatum belegdatum buchungsdatum transaktionsdatum
    """,
    "amount": """
        amount total totalamount amounttotal orderamount ordertotal ordervalue transactionamount invoiceamount
        saleamount salesamount purchaseamount totalprice totalsales totalspent totalspend grandtotal netamount
        grossamount revenue sales spend spent importe importetotal monto montototal totalpedido totalventa
        totalcompra totalfactura ventas ingresos betrag gesamtbetrag umsatz summe gesamtsumme gesamtpreis
        gesamtwert bestellwert bestellsumme rechnungsbetrag kaufbetrag nettobetrag bruttobetrag nettoumsatz
        bruttoumsatz
    """,
}
# Names that may mean it: only thought of where no column bears one of those above.
_PERHAPS = {
    "customer": """
        customer client user member shopper buyer consumer account cust custid cid uid customername clientname
        email customeremail cliente usuario socio comprador abonado nombrecliente correo kunde kundin mitglied
        nutzer benutzer kaufer kaeufer kundenname
    """,
    "date": """
        day time timestamp datetime orderday createdat orderedat purchasedat ordertime purchasetime
        transactiontime ts dia hora momento fechahora tag zeit zeitpunkt zeitstempel bestelltag kauftag
    """,
    "amount": """
        price value paid payment sum net gross turnover precio valor venta ingreso pago pagado preis wert
        zahlung erlos erloes netto brutto gesamt
    """,
}
# Names of numbers that are no money: never taken for an amount because no other number is there.
_NO_MONEY = """
    qty quantity quantities units unit unitssold items item itemcount pieces pcs count counts number no num nr n
    volume weight size age year month week quarter day hour score rating rank points stars percent percentage rate
    index row rowid id order orderid orderno ordernumber invoice invoiceid invoiceno zip zipcode postcode phone
    product productid sku ean store storeid shopid discount discounts tax vat cost costs
    cantidad unidades unidad piezas articulos numero peso volumen edad ano mes semana puntos puntuacion porcentaje
    pedido idpedido numeropedido factura idproducto producto tienda codigopostal telefono descuento impuesto iva coste
    costo menge anzahl stueck stuck stueckzahl stuckzahl einheiten nummer gewicht alter jahr monat woche punkte
    bewertung prozent bestellung bestellnummer bestellnr bestellid rechnung rechnungsnummer rechnungsnr artikel
    artikelnummer artikelnr filiale plz postleitzahl telefon rabatt steuer mwst kosten
"""
_KINDS = {"customer": {"text", "numbers", "other"}, "date": {"dates", "text"}, "amount": {"numbers"}}


class Look(NamedTuple):
    """What the first rows of a column hold.

    Attributes:
        kind: "dates", "numbers", "text", "other" or "nothing".
        words: The same for a reader, with an example.
    """

    kind: str
    words: str


def look(column: Any) -> Look:
    """Return what a column looks like: text is looked into, since in CSV files everything is text.

    Args:
        column: Its first rows, as Arrow.
    """
    values = [value for value in column.to_pylist() if value is not None]
    if not values:
        return Look("nothing", "nothing in its first rows")
    kind = _kind(column.type, values)
    what = kind if kind != "other" else str(column.type)
    return Look(kind, f"{what} such as {_short(values[0])}")


def _kind(kind: Any, values: list[Any]) -> str:
    """Return the kind of values of an Arrow type."""
    import pyarrow.types as of

    if of.is_date(kind) or of.is_timestamp(kind):
        return "dates"
    if of.is_integer(kind) or of.is_floating(kind) or of.is_decimal(kind):
        return "numbers"
    if not (of.is_string(kind) or of.is_large_string(kind)):
        return "other"
    texts = [value.strip() for value in values if value.strip()]
    if texts and all(_ISO.fullmatch(text) for text in texts):
        return "dates"
    return "numbers" if texts and all(map(_is_number, texts)) else "text"


def by_name(role: str, seen: Mapping[str, Look]) -> list[str]:
    """Return the columns whose name says the role; of dates that are text only those that can be read, if any."""
    for names in (_SURE[role].split(), _PERHAPS[role].split()):
        hits = [label for label, look in seen.items() if _plain(label) in names and look.kind in _KINDS[role]]
        readable = [label for label in hits if seen[label].kind == "dates"]
        if hits:
            return readable or hits if role == "date" else hits
    return []


def named_like(role: str, labels: Sequence[str]) -> list[str]:
    """Return the columns whose name says the role, whatever they hold."""
    names = {*_SURE[role].split(), *_PERHAPS[role].split()}
    return [label for label in dict.fromkeys(labels) if _plain(label) in names]


def by_kind(role: str, seen: Mapping[str, Look]) -> list[str]:
    """Return the one column that can be a date or an amount by what it holds, if there is only one."""
    wanted = {"date": "dates", "amount": "numbers"}.get(role)
    hits = [label for label, look in seen.items() if look.kind == wanted]
    if role == "amount":
        hits = [label for label in hits if _plain(label) not in _NO_MONEY.split()]
    return hits if len(hits) == 1 else []


def _plain(label: str) -> str:
    """Return a name in small letters without accents, blanks and signs: "Kunden-Nr." becomes "kundennr"."""
    letters = unicodedata.normalize("NFKD", label.casefold())
    return "".join(letter for letter in letters if letter.isalnum() and not unicodedata.combining(letter))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _EXAMPLE else f"{text[: _EXAMPLE - 1]}…"
