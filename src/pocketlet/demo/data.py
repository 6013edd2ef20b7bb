"""The demo shop's data: customers, products, sales and past mails, made from a seed and a day."""

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

CUSTOMERS = 30
SALES = 120
MESSAGES = 200
FIRST_ORDER = 1001

# fmt: off
FIRST_NAMES = (
    "Ann", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ines", "Jonas", "Kira", "Liam",
    "Maya", "Noah", "Olga", "Paul", "Rosa", "Simon", "Tess", "Victor",
)
LAST_NAMES = (
    "Lee", "Brandt", "Costa", "Dietz", "Evans", "Fischer", "Garcia", "Holm", "Ito", "Jensen", "Keller",
    "Lindt", "Moreau", "Novak", "Olsen", "Petit", "Quinn", "Rossi",
)
# fmt: on
CITIES = ("Aarhus", "Bremen", "Cork", "Delft", "Graz", "Lyon", "Porto", "Turin")
PRODUCTS = (
    ("Aurora Teapot", "tea", 34),
    ("Bamboo Tray", "serving", 19),
    ("Copper Kettle", "kettles", 89),
    ("Drip Scale", "coffee", 45),
    ("Enamel Mug", "cups", 12),
    ("Glass Carafe", "coffee", 28),
    ("Hand Grinder", "coffee", 64),
    ("Linen Bag", "coffee", 9),
    ("Matcha Whisk", "tea", 17),
    ("Oak Caddy", "tea", 23),
    ("Porcelain Cup", "cups", 15),
    ("Travel Press", "coffee", 39),
)
IN_SUBJECTS = ("Question about {order}", "Thanks for {order}", "{product}", "Address for {order}")
IN_BODIES = (
    "Hello, is the {product} dishwasher safe?",
    "The {product} arrived well, thank you.",
    "Could you send the {product} to my office instead?",
    "How do I clean the {product}?",
)
OUT_BODIES = (
    "Thank you for your mail about the {product}. We have noted it with order {order}.",
    "Please rinse the {product} with warm water only.",
    "We are glad that you like the {product}.",
)


@dataclass(frozen=True, slots=True)
class LateCustomer:
    """A customer with one open order that is `days_late` days overdue."""

    name: str
    address: str
    order_no: str
    product: str
    days_late: int


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody whom the tables do not know, and the product asked about, which has sold before."""

    name: str
    address: str
    product: str


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of the story."""

    seed: int
    today: date
    known: LateCustomer
    second: LateCustomer
    new: NewPerson


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an e-mail address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Sale:
    """A row of `sales`; `customer` and `product` count from 0."""

    order_no: str
    customer: int
    product: int
    sold_on: date
    promised_on: date
    delivered_on: date | None


def write(folder: Path, *, seed: int, today: date) -> Cast:
    """Write `data/*.csv` (for COPY, with a header) into an agent's folder; seed and day decide every byte."""
    dice = random.Random(seed)  # noqa: S311 - it makes up a shop, not a secret
    people = _people(dice)
    sales = _sales(dice, today)
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    _write(data / "customers.csv", "id,name,email,city,since", _customer_rows(dice, people, today))
    stock = [dice.randint(2, 40) for _ in PRODUCTS]
    products = [(i + 1, *product, pieces) for i, (product, pieces) in enumerate(zip(PRODUCTS, stock, strict=True))]
    _write(data / "products.csv", "id,name,category,price,stock", products)
    columns = "id,order_no,customer_id,product_id,sold_at,promised_on,delivered_on,price"
    _write(data / "sales.csv", columns, _sale_rows(dice, sales))
    _write(data / "messages.csv", "id,customer_id,direction,at,subject,body", _message_rows(dice, sales, today))
    newcomer = people[CUSTOMERS]
    return Cast(
        seed,
        today,
        known=_late(people, sales[0], today),
        second=_late(people, sales[1], today),
        new=NewPerson(newcomer.name, newcomer.address, PRODUCTS[sales[2].product][0]),
    )


def _people(dice: random.Random) -> list[Person]:
    """The customers and, last, one person who is none; no two have the same name."""
    names = dice.sample([(first, last) for first in FIRST_NAMES for last in LAST_NAMES], CUSTOMERS + 1)
    return [Person(f"{first} {last}", f"{first}.{last}@example.org".lower()) for first, last in names]


def _sales(dice: random.Random, today: date) -> list[Sale]:
    """The two late orders of the story, then the others: delivered, or on their way and not yet due."""
    known, second = dice.sample(range(CUSTOMERS), 2)
    orders = [f"A-{number}" for number in range(FIRST_ORDER, FIRST_ORDER + SALES)]
    dice.shuffle(orders)
    days_late = dice.sample(range(8, 15), 2)
    sales: list[Sale] = []
    for order_no, customer, days in zip(orders[:2], (known, second), days_late, strict=True):
        promised = today - timedelta(days=days)
        sales.append(
            Sale(
                order_no,
                customer,
                dice.randrange(len(PRODUCTS)),
                promised - timedelta(days=6),
                promised,
                None,
            )
        )
    for order_no in orders[2:]:
        sold = today - timedelta(days=dice.randint(1, 360))
        promised = sold + timedelta(days=6)
        delivered = promised + timedelta(days=dice.randint(-3, 2))
        on_its_way = promised >= today or delivered > today
        promised = max(promised, today) if on_its_way else promised
        who, what = dice.randrange(CUSTOMERS), dice.randrange(len(PRODUCTS))
        sales.append(Sale(order_no, who, what, sold, promised, None if on_its_way else delivered))
    return sorted(sales[:2], key=lambda sale: sale.promised_on) + sorted(sales[2:], key=lambda sale: sale.sold_on)


def _late(people: Sequence[Person], sale: Sale, today: date) -> LateCustomer:
    person = people[sale.customer]
    days = (today - sale.promised_on).days
    return LateCustomer(person.name, person.address, sale.order_no, PRODUCTS[sale.product][0], days)


def _customer_rows(dice: random.Random, people: Sequence[Person], today: date) -> Iterable[tuple[object, ...]]:
    for index, person in enumerate(people[:CUSTOMERS]):
        since = today - timedelta(days=dice.randint(370, 1500))
        yield index + 1, person.name, person.address, dice.choice(CITIES), since


def _sale_rows(dice: random.Random, sales: Sequence[Sale]) -> Iterable[tuple[object, ...]]:
    for index, sale in enumerate(sales):
        price = PRODUCTS[sale.product][2] * dice.choice((1.0, 1.0, 0.95, 0.9))
        at = _at(dice, sale.sold_on)
        dates = (sale.promised_on, sale.delivered_on or "")
        yield index + 1, sale.order_no, sale.customer + 1, sale.product + 1, at, *dates, f"{price:.2f}"


def _message_rows(dice: random.Random, sales: Sequence[Sale], today: date) -> Iterable[tuple[object, ...]]:
    """Mails and their answers, each about a sale; the first two are with the late customers of the story."""
    subjects = [sales[0], sales[1], *(dice.choice(sales) for _ in range(MESSAGES // 2 - 2))]
    for index, sale in enumerate(subjects):
        words = {"order": sale.order_no, "product": PRODUCTS[sale.product][0]}
        day = min(sale.sold_on + timedelta(days=dice.randint(0, 5)), today - timedelta(days=1))
        subject = dice.choice(IN_SUBJECTS).format(**words)
        first, customer = 2 * index + 1, sale.customer + 1
        yield (
            first,
            customer,
            "in",
            f"{day}T08:{dice.randint(10, 59)}:00Z",
            subject,
            dice.choice(IN_BODIES).format(**words),
        )
        answer = dice.choice(OUT_BODIES).format(**words)
        yield first + 1, customer, "out", f"{day}T15:{dice.randint(10, 59)}:00Z", f"Re: {subject}", answer


def _at(dice: random.Random, day: date) -> str:
    return f"{day}T{dice.randint(8, 19):02}:{dice.randint(0, 59):02}:00Z"


def _write(path: Path, columns: str, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns.split(","))
        writer.writerows(rows)
