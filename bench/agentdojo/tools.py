"""AgentDojo's tools as the ways out that they are: one table a suite. What is not in a table is unknown, so denied."""

from collections.abc import Mapping
from dataclasses import dataclass

CREATING = frozenset({"add", "book", "create", "make", "plan", "schedule", "set"})
REMOVING = frozenset({"cancel", "delete", "remove"})
CHANGING = frozenset({"adjust", "change", "modify", "update"})
SENDING = frozenset({"forward", "reply", "send", "write"})
FILE = frozenset({"document", "file", "list"})
MAIL = frozenset({"email", "emails", "e-mail", "mail"})
EVENT = frozenset({"appointment", "event", "meeting", "reminder"})
RESERVING = frozenset({"book", "make", "reserve"})
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool. `to`: kind and argument of each destination; `says`: arguments that other people read; `carries`: values
    that leave with the request. `integrity` and `secrecy`: of what it returns. `verbs`, `nouns`: what calls for it;
    a tool that only reads needs no call.
    """

    effect: str = "read"
    verbs: frozenset[str] = NOTHING
    nouns: frozenset[str] = NOTHING
    to: tuple[tuple[str, str], ...] = ()
    says: tuple[str, ...] = ()
    carries: tuple[str, ...] = ()
    integrity: str = "outside"
    secrecy: str = "private"
    cap: str = "private"


def _reads(*names: str, integrity: str = "outside", secrecy: str = "private") -> dict[str, Tool]:
    return {name: Tool(integrity=integrity, secrecy=secrecy) for name in names}


PEOPLE = (("mail", "recipients"), ("mail", "cc"), ("mail", "bcc"))
SEND_EMAIL = Tool("irreversible", SENDING, MAIL, PEOPLE, ("subject", "body"))
#: With participants it mails them: `sink` of the world makes it irreversible then.
CREATE_EVENT = Tool(
    "local", CREATING, EVENT, (("record", "title"), ("mail", "participants")), ("title", "description", "location")
)
CANCEL_EVENT = Tool("irreversible", REMOVING, EVENT, (("event", "event_id"),))

WORKSPACE = {
    **_reads("get_unread_emails", "get_received_emails", "search_emails", "get_sent_emails", "get_draft_emails"),
    **_reads("search_contacts_by_name", "search_contacts_by_email", "search_calendar_events"),
    **_reads("get_day_calendar_events", "search_files_by_filename", "get_file_by_id", "list_files", "search_files"),
    **_reads("get_current_day", integrity="owner", secrecy="public"),
    "send_email": SEND_EMAIL,
    "delete_email": Tool("irreversible", REMOVING, MAIL, (("message", "email_id"),)),
    "create_calendar_event": CREATE_EVENT,
    "cancel_calendar_event": CANCEL_EVENT,
    "reschedule_calendar_event": Tool(
        "external", frozenset({"move", "reschedule", "shift"}), NOTHING, (("event", "event_id"),)
    ),
    "add_calendar_event_participants": Tool(
        "irreversible",
        frozenset({"add", "invite"}),
        frozenset({"attendees", "participants"}),
        (("event", "event_id"), ("mail", "participants")),
    ),
    "append_to_file": Tool(
        "external", frozenset({"add", "append", "write"}), FILE, (("file", "file_id"),), ("content",)
    ),
    "create_file": Tool("local", CREATING | {"write"}, FILE, (("record", "filename"),)),
    "delete_file": Tool("irreversible", REMOVING, FILE, (("file", "file_id"),)),
    "share_file": Tool("irreversible", frozenset({"share"}), FILE, (("file", "file_id"), ("mail", "email"))),
}

TRAVEL = {
    **_reads("get_user_information", integrity="own-data", secrecy="secret"),
    **_reads("get_all_hotels_in_city", "get_hotels_prices", "get_rating_reviews_for_hotels", "get_hotels_address"),
    **_reads("get_all_restaurants_in_city", "get_cuisine_type_for_restaurants", "get_restaurants_address"),
    **_reads("get_rating_reviews_for_restaurants", "get_dietary_restrictions_for_all_restaurants"),
    **_reads("get_contact_information_for_restaurants", "get_price_for_restaurants", "check_restaurant_opening_hours"),
    **_reads("get_all_car_rental_companies_in_city", "get_car_types_available", "get_rating_reviews_for_car_rental"),
    **_reads("get_car_fuel_options", "get_car_rental_address", "get_car_price_per_day", "get_flight_information"),
    **_reads("search_calendar_events", "get_day_calendar_events"),
    "create_calendar_event": CREATE_EVENT,
    "cancel_calendar_event": CANCEL_EVENT,
    "reserve_hotel": Tool(
        "money", RESERVING, frozenset({"hotel", "reservation", "room", "stay"}), (("record", "hotel"),)
    ),
    "reserve_car_rental": Tool("money", RESERVING | {"rent"}, frozenset({"car", "cars"}), (("record", "company"),)),
    "reserve_restaurant": Tool(
        "money", RESERVING, frozenset({"reservation", "restaurant", "table"}), (("record", "restaurant"),)
    ),
    "send_email": SEND_EMAIL,
}

ORDERS = frozenset({"order", "orders", "payment", "payments", "rent", "transaction", "transactions"})
BANKING = {
    **_reads("get_most_recent_transactions", "read_file"),
    **_reads("get_balance", "get_iban", "get_scheduled_transactions", integrity="own-data"),
    **_reads("get_user_info", integrity="own-data", secrecy="secret"),
    "send_money": Tool(
        "money", frozenset({"pay", "refund", "send", "transfer"}), NOTHING, (("account", "recipient"),), ("subject",)
    ),
    "schedule_transaction": Tool(
        "money", frozenset({"create", "schedule", "set"}), ORDERS, (("account", "recipient"),), ("subject",)
    ),
    "update_scheduled_transaction": Tool(
        "money", CHANGING, ORDERS, (("order", "id"), ("account", "recipient")), ("subject",)
    ),
    "update_password": Tool("external", CHANGING | {"reset"}, frozenset({"password"}), carries=("password",)),
    "update_user_info": Tool("external", CHANGING, frozenset({"account", "address", "info", "information", "profile"})),
}

SLACK = {
    # A shared channel's name is chosen outside; whoever is in one sees the directory.
    **_reads("get_channels", secrecy="public"),
    **_reads("get_users_in_channel", integrity="own-data", secrecy="public"),
    **_reads("read_channel_messages", "read_inbox", integrity="own-data"),
    "get_webpage": Tool(carries=("url",), secrecy="public"),
    "post_webpage": Tool(
        "irreversible",
        frozenset({"post", "publish", "upload"}),
        frozenset({"page", "site", "webpage", "website"}),
        (("page", "url"),),
        ("content",),
    ),
    "send_direct_message": Tool(
        "irreversible", SENDING | {"message", "tell"}, NOTHING, (("person", "recipient"),), ("body",)
    ),
    "send_channel_message": Tool(
        "irreversible", SENDING | {"post"}, frozenset({"channel"}), (("channel", "channel"),), ("body",)
    ),
    "add_user_to_channel": Tool(
        "external", frozenset({"add", "invite"}), frozenset({"channel", "channels"}),
        (("person", "user"), ("channel", "channel")),
    ),
    "invite_user_to_slack": Tool(
        "irreversible", frozenset({"invite"}), NOTHING, (("person", "user"), ("mail", "user_email"))
    ),
    "remove_user_from_slack": Tool("irreversible", REMOVING | {"kick"}, NOTHING, (("person", "user"),)),
}  # fmt: skip

#: The last word to the owner: every assistant has it, and no rule can hold it back. Only our own lists call it.
ANSWER = {"answer": Tool("local")}
TABLES: Mapping[str, Mapping[str, Tool]] = {
    "workspace": WORKSPACE | ANSWER,
    "travel": TRAVEL | ANSWER,
    "banking": BANKING | ANSWER,
    "slack": SLACK | ANSWER,
}
