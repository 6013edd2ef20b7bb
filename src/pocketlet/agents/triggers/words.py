"""Schedules in plain English: to a cron expression of five fields, and back. Deterministic, and no more than it says.

A text is cut into pieces, each of one kind (a letter); a schedule is what matches one of `SHAPES` as a row of kinds.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import cronsim
from cronsim import explain

from pocketlet import errors

HINT = (
    'These work: "every weekday at 9:00", "every 15 minutes", "on the 1st and 15th at 8:30", and cron: "0 9 * * 1-5".'
)
MOST = 200  # characters
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
ORDINALS = ("first", "second", "third", "fourth", "fifth")
FILLERS = {"on", "the", "of", "a", "an", "in", "and"}
MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
CRON = re.compile(r"[\d*/,-]+ [\d*/,-]+( [\dA-Z*/,#-]+){3}")
PIECE = re.compile(
    r"(?P<T>(?P<hour>\d{1,2})(:(?P<minute>\d{2}))?\s*(?P<half>[ap])\.?m\b\.?|(?P<hour24>\d{1,2}):(?P<minute24>\d{2}))"
    r"|:(?P<P>\d{2})|(?P<O>\d{1,2})(?:st|nd|rd|th)\b|(?P<N>\d{1,4})\b|(?P<R>[-–])|(?P<word>[a-z]+)|[\s,&]+|\.$"
)
#: A word's kind, and the number, day, month or time that it stands for.
KINDS: dict[str, tuple[str, int]] = {
    **dict.fromkeys(("every", "each"), ("E", 0)),
    **dict.fromkeys(("day", "daily", "everyday"), ("D", 0)),
    **dict.fromkeys(("weekday", "weekdays", "workday", "workdays"), ("B", 0)),
    **dict.fromkeys(("weekend", "weekends"), ("K", 0)),
    **dict.fromkeys(("week", "weekly"), ("w", 0)),
    **dict.fromkeys(("month", "monthly"), ("m", 0)),
    **dict.fromkeys(("year", "yearly", "annually"), ("y", 0)),
    **dict.fromkeys(("hour", "hours"), ("H", 0)),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), ("U", 0)),
    **dict.fromkeys(("from", "between"), ("F", 0)),
    **dict.fromkeys(("to", "through", "until", "till"), ("R", 0)),
    **{"at": ("A", 0), "past": ("p", 0), "last": ("L", 0), "hourly": ("h", 0), "times": ("x", 0)},
    **{"once": ("c", 1), "twice": ("c", 2)},
    **{"noon": ("T", 720), "midday": ("T", 720), "midnight": ("T", 0)},
    **{word: ("N", n) for n, word in enumerate(NUMBERS, 1)},
    **{word: ("O", n) for n, word in enumerate(ORDINALS, 1)},
    **{word: ("W", n) for n, day in enumerate(WEEKDAYS) for word in (day.lower(), day.lower() + "s", day.lower()[:3])},
    **{word: ("W", n) for word, n in (("tues", 2), ("thur", 4), ("thurs", 4))},
    **{word: ("J", n) for n, month in enumerate(MONTHS, 1) for word in (month.lower(), month.lower()[:3])},
    "sept": ("J", 9),
}
DAYS = (
    r"(?P<often>c|Nx)?(?:E?D|(?P<weekdays>E?B)|(?P<weekend>E?K)|(?:E?w)?E?(?P<names>(?:W(?:RW)?)+)"
    r"|E?(?P<nth>[OL]+W)E?m|E?m(?P<nth2>[OL]+W)|(?:E?m)?(?P<last>L[DB])(?:E?m)?"
    r"|(?:E?m)?(?P<dates>O+)|E?(?P<dates2>O+)D?E?m|(?:E?y)?E?(?P<date>J[ON]|[ON]J)(?:E?y)?)"
)
TIMES = r"(?P<times>A?T[TNA]*|A[TN][TNA]*)"
HOURS = "(?P<hours>h|EN?H|(?P<often>c)E?H)"
PAST = "(?:A(?P<past>P)|A(?P<past2>N)U?p|AU(?P<past3>N))?"
WINDOW = r"(?:F(?P<begin>[TN])R?(?P<end>[TN]))?"
ONLY = r"(?:E?D|(?P<weekdays>E?B)|(?P<weekend>E?K)|E?(?P<names>(?:W(?:RW)?)+))?"
SHAPES = tuple(
    re.compile(shape)
    for shape in (
        DAYS + TIMES,
        f"{TIMES}(?:{DAYS})?",
        f"E(?P<minutes>N?U){WINDOW}{ONLY}",
        f"{HOURS}{PAST}{WINDOW}{ONLY}",
        f"{HOURS}{WINDOW}{PAST}{ONLY}",
    )
)
APART = re.compile(r"\b(other|alternate|second|third|two|three|four|\d+(nd|rd|th)?) (days?|weeks?|months?|\w+days?)\b")
EVERY_SO_MANY = re.compile(r"\bevery (other|second|third|\w+th|\d+(st|nd|rd|th)) (month|week)s?\b")
Groups = dict[str, list[tuple[str, int]]]


def cron(text: str) -> str:
    """The five fields of a schedule in plain English; a cron expression stays what it is, in capital letters.

    Raises BadInput, whose hint shows what works.
    """
    given = " ".join(text.split())
    if not given or len(given) > MOST:
        raise _bad("A schedule is one line of text.")
    fields = MACROS.get(given.lower(), given.upper())
    if CRON.fullmatch(fields):
        return _checked(fields, given)
    if re.fullmatch(r"[\d*/,LW# -]+", fields):
        raise _bad(f"{given!r} is no cron expression: it has five fields.")
    if EVERY_SO_MANY.search(given.lower()):  # "every third month" is no "third of every month"
        raise _bad(f"{given[:80]!r}: days, weeks and months apart can't be counted.")
    pieces = _pieces(given)
    row = "".join(kind for kind, _ in pieces)
    for shape in SHAPES:
        if found := shape.fullmatch(row):
            groups = {name: pieces[slice(*found.span(name))] for name, said in found.groupdict().items() if said}
            return _checked(_fields(given, groups), given)
    if re.fullmatch(DAYS, row):
        raise _bad(f"{given!r} does not say at what time.")
    raise _unread(given)


def describe(cron: str) -> str:
    """A cron expression in plain English, such as "every weekday at 09:00". Raises BadInput."""
    given = " ".join(cron.upper().split())
    if not CRON.fullmatch(given):
        raise _bad(f"{cron[:80]!r} is no cron expression.")
    minute, hour, day, month, weekday = _checked(given, cron).split()
    rhythm, days = _rhythm(minute, hour), _said_days(day, month, weekday)
    if rhythm and (day, month, weekday) == ("*", "*", "*"):
        return rhythm
    if rhythm and days and (day, month) == ("*", "*") and "#" not in weekday and "L" not in weekday:
        return f"{rhythm} {days.replace('every', 'on', 1).replace('weekday', 'weekdays')}"
    if days and (times := _said_times(minute, hour)):
        return f"{days} at {times}"
    return _explained(given)


def _bad(message: str) -> errors.BadInput:
    return errors.BadInput(message, hint=HINT)


def _unread(given: str) -> errors.BadInput:
    if APART.search(given.lower()):
        return _bad(f"{given[:80]!r}: days, weeks and months apart can't be counted.")
    return _bad(f"{given[:80]!r} is no schedule that is understood.")


def _checked(fields: str, given: str) -> str:
    try:
        cronsim.CronSim(fields, datetime(2000, 1, 1))  # noqa: DTZ001 -- any local time will do
    except cronsim.CronSimError as error:
        what = {"Bad day-of-month": "there is no such day of the month"}.get(str(error), str(error).lower())
        raise _bad(f"{given[:80]!r} can't be a schedule: {what}.") from error
    return fields


def _pieces(given: str) -> list[tuple[str, int]]:
    text = re.sub(r"\bhalf (?:an )?hour\b", "30 minutes", given.lower())
    text = re.sub(r"\bquarter (?:of an )?hour\b", "15 minutes", text)
    text = re.sub(r"(?<=\d) ?o['’]clock\b", "", text)
    pieces: list[tuple[str, int]] = []
    place = 0
    while place < len(text):
        found = PIECE.match(text, place)
        if not found or (found["word"] and found["word"] not in KINDS and found["word"] not in FILLERS):
            raise _unread(given)
        place = found.end()
        if found["word"]:
            pieces += [KINDS[found["word"]]] if found["word"] in KINDS else []
        elif found["T"]:
            pieces.append(("T", _minutes(given, found)))
        elif kind := next((kind for kind in "PONR" if found[kind]), None):
            pieces.append((kind, 0 if kind == "R" else int(found[kind])))
    return pieces


def _minutes(given: str, found: re.Match[str]) -> int:
    """A time of day, in minutes after midnight."""
    hour, minute = int(found["hour"] or found["hour24"]), int(found["minute"] or found["minute24"] or 0)
    if found["half"]:
        hour = hour % 12 + 12 * (found["half"] == "p") if 1 <= hour <= 12 else 24
    return _time(given, hour, minute)


def _time(given: str, hour: int, minute: int) -> int:
    if hour > 23 or minute > 59:
        raise _bad(f"{given!r} names a time of day that there is not.")
    return hour * 60 + minute


def _fields(given: str, groups: Groups) -> str:
    if "minutes" in groups:
        return _by_minutes(given, groups)
    if "hours" in groups:
        return _by_hours(given, groups)
    times = sorted({_clock(given, piece) for piece in groups["times"] if piece[0] != "A"})
    minutes, hours = sorted({time % 60 for time in times}), sorted({time // 60 for time in times})
    if len(minutes) * len(hours) != len(times):
        raise _bad(f"{given!r}: times with different minutes are two schedules: make two triggers.")
    day, month, weekday, count = _days(groups)
    often = groups.get("often")
    if often and often[0][1] != count * len(times):
        raise _bad(f"{given!r}: it does not name {often[0][1]} of them.")
    return f"{_list(minutes)} {_list(hours)} {day} {month} {weekday}"


def _clock(given: str, piece: tuple[str, int]) -> int:
    return piece[1] if piece[0] == "T" else _time(given, piece[1], 0)


def _days(groups: Groups) -> tuple[str, str, str, int]:
    """Day of the month, month, day of the week, and how many days were named."""
    if date := groups.get("date"):
        values = dict(("J", n) if kind == "J" else ("day", n) for kind, n in date)
        return str(values["day"]), str(values["J"]), "*", 1
    if last := groups.get("last"):
        return ("L" if last[1][0] == "D" else "LW"), "*", "*", 1
    if dates := groups.get("dates", groups.get("dates2")):
        numbers = sorted({n for _, n in dates})
        return _list(numbers), "*", "*", len(numbers)
    if nth := groups.get("nth", groups.get("nth2")):
        weekday = nth[-1][1]
        return (
            "*",
            "*",
            ",".join(f"{weekday}#{n}" if kind == "O" else f"{weekday}L" for kind, n in nth[:-1]),
            len(nth) - 1,
        )
    return "*", "*", *_weekdays(groups)


def _weekdays(groups: Groups) -> tuple[str, int]:
    if "weekdays" in groups:
        return "1-5", 5
    if "weekend" in groups:
        return "0,6", 2
    chosen: list[int] = []
    through = False
    for kind, n in groups.get("names", []):
        chosen += [(chosen[-1] + 1 + step) % 7 for step in range((n - chosen[-1] - 1) % 7 + 1)] if through else []
        chosen += [n] if kind == "W" and not through else []
        through = kind == "R"
    found = sorted(set(chosen))
    return ("*" if len(found) in (0, 7) else _list(found)), len(found) or 1


def _list(numbers: Sequence[int]) -> str:
    """As a cron field; three and more in a row are a range."""
    runs = [[n for _, n in run] for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def _by_minutes(given: str, groups: Groups) -> str:
    step = next((n for kind, n in groups["minutes"] if kind == "N"), 1)
    if step == 60:
        return _by_hours(given, {**groups, "hours": [("H", 0)]})
    if not 1 <= step <= 30 or 60 % step:
        raise _bad(f"{given!r}: minutes must divide an hour evenly: 1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30.")
    begin, end = _window(given, groups)
    hours = "*" if (begin, end) == (0, 24) else _list(range(begin, end))
    return f"{'*' if step == 1 else f'*/{step}'} {hours} * * {_weekdays(groups)[0]}"


def _by_hours(given: str, groups: Groups) -> str:
    step = next((n for kind, n in groups["hours"] if kind == "N"), 1)
    if step not in (1, 2, 3, 4, 6, 8, 12) or ("often" in groups and groups["often"][0][1] != 1):
        raise _bad(f"{given!r}: hours must divide a day evenly: 1, 2, 3, 4, 6, 8 or 12.")
    past = next((groups[name][0][1] for name in ("past", "past2", "past3") if name in groups), 0)
    if past > 59:
        raise _bad(f"{given!r}: an hour has 60 minutes.")
    begin, end = _window(given, groups)
    if (begin, end) == (0, 24):
        hours = "*" if step == 1 else f"*/{step}"
    else:
        hours = _list(range(begin, min(end + (not past), 24), step))
    return f"{past} {hours} * * {_weekdays(groups)[0]}"


def _window(given: str, groups: Groups) -> tuple[int, int]:
    """The hours from … to …, as whole ones; all day where none are named."""
    if "begin" not in groups:
        return 0, 24
    begin, end = (_clock(given, groups[name][0]) for name in ("begin", "end"))
    end = end or 24 * 60
    if begin % 60 or end % 60 or begin >= end:
        raise _bad(f"{given!r}: from and to must be full hours of one day.")
    return begin // 60, end // 60


def _numbers(field: str, names: Sequence[str] = ()) -> list[int] | None:
    """The numbers of a field that is a list of numbers, names and ranges; None for any other."""
    known = {name[:3].upper(): str(n) for n, name in enumerate(names)}
    found: list[int] = []
    for part in field.split(","):
        ends = [known.get(end, end) for end in part.split("-")]
        if not all(end.isdigit() for end in ends):
            return None
        found += range(int(ends[0]), int(ends[-1]) + 1)
    return sorted(set(found))


def _rhythm(minute: str, hour: str) -> str:
    """What comes again and again, such as "every 15 minutes from 09:00 to 17:00"; empty for anything else."""
    hours, every = _numbers(hour), re.fullmatch(r"\*(?:/(\d+))?", minute)
    if every:
        step = int(every[1] or 1)
        window = _said_window(hours, 1)
        if 60 % step or step == 60 or not (hour == "*" or window):
            return ""
        return ("every minute" if step == 1 else f"every {step} minutes") + window
    apart = re.fullmatch(r"\*(?:/(\d+))?", hour)
    past = "" if minute == "0" else f" at :{minute:0>2}"
    if not minute.isdigit() or not (apart or _said_window(hours, 0)):
        return ""
    step = int(apart[1] or 1) if apart else 1
    if 24 % step or step == 24:
        return ""
    window = "" if apart else _said_window(hours, 1 if past else 0)
    return ("every hour" if step == 1 else f"every {step} hours") + past + window


def _said_window(hours: list[int] | None, more: int) -> str:
    """Hours in a row, five or more or with minutes in them, as from … to …"""
    if not hours or hours[-1] - hours[0] != len(hours) - 1 or not (1 if more else 5) <= len(hours) < 24:
        return ""
    return f" from {hours[0]:02}:00 to {(hours[-1] + more) % 24:02}:00"


def _said_times(minute: str, hour: str) -> str:
    minutes, hours = _numbers(minute), _numbers(hour)
    if not minutes or not hours or len(minutes) * len(hours) > 6:
        return ""
    return together(f"{h:02}:{m:02}" for h in hours for m in minutes)


def _said_days(day: str, month: str, weekday: str) -> str:
    """Which days, such as "every weekday"; empty for what has no short name."""
    by_date, by_name = _said_dates(day), _said_weekdays(weekday)
    if month != "*":
        months, dates = _numbers(month, ("", *MONTHS)), _numbers(day)
        single = months and dates and len(months) == len(dates) == 1 and weekday == "*"
        return f"every year on {MONTHS[months[0] - 1]} {dates[0]}" if months and dates and single else ""
    if day == "*" or weekday == "*":
        return by_name if day == "*" else by_date
    either = not day.startswith("*") and not weekday.startswith("*")
    return f"{by_date} and {by_name}" if by_date and by_name and either else ""


def _said_dates(day: str) -> str:
    if day in ("L", "LW"):
        return f"on the last {'day' if day == 'L' else 'weekday'} of each month"
    numbers = _numbers(day)
    return f"on the {together(map(_ordinal, numbers))} of each month" if numbers and len(numbers) <= 6 else ""


def _said_weekdays(weekday: str) -> str:
    if weekday == "*":
        return "every day"
    if nth := re.fullmatch(r"(\d|[A-Z]{3})(?:#(\d)|L)", weekday):
        which = ORDINALS[int(nth[2]) - 1] if nth[2] else "last"
        return f"on the {which} {WEEKDAYS[(_numbers(nth[1], WEEKDAYS) or [0])[0] % 7]} of each month"
    numbers = sorted({n % 7 for n in _numbers(weekday, WEEKDAYS) or []})
    known = {(1, 2, 3, 4, 5): "every weekday", (0, 6): "on weekends", tuple(range(7)): "every day"}
    if not numbers or tuple(numbers) in known:
        return known.get(tuple(numbers), "")
    return f"every {together(WEEKDAYS[n] for n in sorted(numbers, key=lambda n: n or 7))}"


def _ordinal(n: int) -> str:
    return f"{n}{'th' if 4 <= n <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def together(parts: Iterable[str]) -> str:
    """`a, b and c`; there is one at least."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _explained(fields: str) -> str:
    """The library's words, which say 22th and "day of month"."""
    said = explain.explain(fields).replace("day of month", "day of the month").replace("day of week", "day of the week")
    said = re.sub(r"\b(\d+)th\b", lambda found: _ordinal(int(found[1])), said)
    return said[0].lower() + said[1:]
