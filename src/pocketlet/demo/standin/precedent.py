"""What was said of runs with the same facts: a filtered query that no skill gives, and the rules in its rows."""

import json
from collections.abc import Mapping
from dataclasses import replace

from . import language, recipe, tables

SAID = "what-was-said"
QUERY = (
    "select f.comment from feedback f join runs r on r.id = f.run "
    "where r.facts @> '{facts}'::jsonb order by f.at desc limit 10"
)


def query(listed: str, facts: Mapping[str, str]) -> str | None:
    """The query, if the tables for it are listed."""
    if not (tables.lists(listed, "feedback", "run", "comment", "at") and tables.lists(listed, "runs", "id", "facts")):
        return None
    literal = json.dumps(dict(facts), ensure_ascii=False).replace("'", "''")
    return QUERY.replace("{facts}", literal)


def rules(result: str) -> list[language.Rule]:
    """The rules in the comments that the query gave, the newest first; each is weaker than a lesson."""
    return [
        replace(rule, hearsay=True, rank=(-age, rule.rank[1]))
        for age, row in enumerate(recipe.table(result))
        for rule in language.rules(row.get("comment", ""), lesson=SAID)
    ]
