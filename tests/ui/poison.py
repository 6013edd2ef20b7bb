"""Hostile text wherever somebody else's words can stand: what comes by the doors that there are, and rows by hand."""

import json
import subprocess
from pathlib import Path

import household

from pocketlet import settings
from pocketlet.platform import database

MARK = "zq7hostile"
EVIL = "evil.example"
#: Where injected elements would make htmx ask: nothing of ours asks there.
TRAP = f"/{MARK}"
ATTACK = f"""\
{MARK} Hello, where is my order?
<img src="https://{EVIL}/pixel.png" onerror="window.__pwned=4">
<script>window.__pwned=5</script><script src="https://{EVIL}/x.js"></script>
<iframe srcdoc="<script>parent.__pwned=6</script>"></iframe><iframe src="javascript:parent.__pwned=11"></iframe>
<button hx-get="https://{EVIL}/pwn" hx-trigger="load" hx-on:click="window.__pwned=7">x</button>
<b hx-post="{TRAP}/post" hx-trigger="load">x</b><b hx-get="{TRAP}/get" hx-trigger="load" hx-swap="innerHTML">x</b>
<b hx-on::before:init="window.__pwned=12" hx-on:load="window.__pwned=13" hx-trigger="js:window.__pwned=14">x</b>
<b hx-post="{TRAP}/nonce" hx-trigger="load" hx-nonce="x" hx-vals="js:{{a: window.__pwned=15}}">x</b>
<hx-partial hx-target="body"><b>replaced</b></hx-partial><div hx-swap-oob="innerHTML:body">replaced</div>
<form action="https://{EVIL}/" id="f"><input name=password autofocus onfocus="window.__pwned=8"></form>
<style>@import url(https://{EVIL}/s.css);main{{background:url(https://{EVIL}/b.png)}}</style>
<link rel="stylesheet" href="https://{EVIL}/l.css"><link rel="prefetch" href="https://{EVIL}/prefetch">
<svg onload="window.__pwned=16"><image href="https://{EVIL}/svg.png"></image><use href="https://{EVIL}/u.svg#a"></use></svg>
<video poster="https://{EVIL}/p.png" src="https://{EVIL}/v.mp4" onerror="window.__pwned=17" autoplay></video>
<audio src="https://{EVIL}/a.mp3" autoplay></audio><input type="image" src="https://{EVIL}/i.png">
<details open ontoggle="window.__pwned=18"><summary>x</summary></details><base href="https://{EVIL}/">
[click](javascript:window.__pwned=9) ![p](https://{EVIL}/p.png) [u](//{EVIL}/u) [d](/logout) ![o]({TRAP}/image)
</pre></code></textarea></title></template>--></script><img src=x onerror="window.__pwned=10">
{{{{ 7 * 7 }}}} {{% raw %}} ${{7*7}} \u202etxt.exe\u202c \u200b\U000e0041
"""
#: What a policy is no help against: refreshes are followed, and to the host of a frame that is not allowed Chromium
#: connects before it looks (it asks for nothing then). Escaping, the parser and the list hold it, and they alone.
NAVIGATION = (
    f'<meta http-equiv="refresh" content="0;url=https://{EVIL}/refresh"><link rel="preconnect" href="https://{EVIL}">'
    f'<iframe src="https://{EVIL}/frame"></iframe><object data="https://{EVIL}/object"></object>'
    f'<embed src="https://{EVIL}/embed">'
)
#: For what has little room.
SHORT = (
    f'{MARK}"\'><img src="https://{EVIL}/p.png" onerror="window.__pwned=20"><b hx-post="{TRAP}/s" hx-trigger="load">'
)
NAME = "<img src=x onerror=__pwned=21>"
MAIL = f"""\
From: "<img src=x onerror=window.__pwned=1>{MARK}" <attacker@{EVIL}>
To: crm@localhost
Subject: {MARK} <script>window.__pwned=2</script><svg onload=window.__pwned=3>
Message-ID: <{MARK}@{EVIL}>
Date: Sun, 22 Nov 2026 10:00:00 +0000

{ATTACK}{NAVIGATION}
"""
SKILL = f"""\
---
name: hostile
description: {json.dumps(SHORT)}
---

{ATTACK}{NAVIGATION}
"""
#: What no door lets in stands there all the same: a check may have a hole one day. `%(long)s`, `%(short)s`, `%(name)s`.
ROWS = b"""
UPDATE crm.memories SET subject = %(short)s, body = %(long)s, entity = %(short)s, origin_ref = %(short)s;
UPDATE crm.results SET subject = %(short)s, summary = %(long)s, entity = %(short)s;
UPDATE crm.customers SET name = %(short)s, city = %(short)s;
UPDATE crm.products SET name = %(short)s || id, category = %(short)s;
UPDATE crm.messages SET subject = %(short)s, body = %(long)s;
ALTER TABLE crm.products RENAME COLUMN category TO "<img src=x onerror=__pwned=22>";
CREATE TABLE crm."<img src=x onerror=__pwned=23>" ("<b hx-post='/zq7hostile/c' hx-trigger=load>" text);
UPDATE pocketlet.feedback SET comment = %(long)s, edited = %(long)s, outcome = %(short)s;
UPDATE pocketlet.feedback SET about = jsonb_set(about, '{sender}', to_jsonb(%(short)s::text)) WHERE about ? 'sender';
UPDATE pocketlet.lesson SET topic = %(short)s, body = left(%(short)s || %(short)s, 400);
UPDATE pocketlet.revision SET reason = %(short)s, instructions = instructions || %(long)s;
UPDATE pocketlet.decision SET because = %(long)s;
UPDATE pocketlet.cases SET reason = %(short)s, scope = jsonb_build_object(%(short)s::text, %(short)s::text)::text;
UPDATE pocketlet.run SET result = %(long)s WHERE result IS NOT NULL;
UPDATE pocketlet.run SET error = %(long)s, hint = %(short)s, outcome = %(short)s, model = 'x:' || %(short)s
 WHERE id IN (SELECT max(id) FROM pocketlet.run WHERE state = 'done' GROUP BY kind);
UPDATE pocketlet.step SET response = to_jsonb(%(long)s::text), error = %(long)s WHERE kind = 'tool';
UPDATE pocketlet.step SET request = jsonb_set(request, '{query}', to_jsonb(%(long)s::text)) WHERE request ? 'query';
UPDATE pocketlet.step SET response = jsonb_set(response, '{text}', to_jsonb(%(long)s::text)) WHERE kind = 'model';
UPDATE pocketlet.notice SET title = %(long)s, hint = %(long)s, resolution = %(short)s;
UPDATE pocketlet.slot SET reason = %(long)s, key = id || %(short)s;
UPDATE pocketlet.approval SET why = %(long)s, because = %(long)s;
UPDATE pocketlet.effect SET destination = %(short)s, rule = %(short)s, response = %(long)s;
INSERT INTO pocketlet.rule (agent_id, tool, kind, destination, per_day, review_on)
SELECT id, %(short)s, 'mail', %(short)s, 1, '2030-01-01' FROM pocketlet.agent;
INSERT INTO pocketlet.saved_query (owner_id, agent_id, name, query)
SELECT 1, id, %(name)s, %(long)s FROM pocketlet.agent;
INSERT INTO pocketlet.saved_filter (owner_id, name, query) VALUES (1, %(name)s, '{"text": "<img src=x>"}');
INSERT INTO pocketlet.token (owner_id, name, hash, scopes) VALUES (1, %(short)s, 'x', '{read}');
INSERT INTO pocketlet.session (hash, owner_id, browser, expires_at) VALUES ('x', 1, %(long)s, '2030-01-01');
UPDATE pocketlet.trigger SET paused = %(short)s, address = %(short)s;
ALTER TABLE pocketlet.connection DROP CONSTRAINT connection_name_check;
INSERT INTO pocketlet.connection (name, base_url, notes, allow, review_on)
VALUES (%(name)s, %(short)s, left(%(long)s, 8000),
        jsonb_build_array(jsonb_build_object('method', 'GET', 'path', '/' || %(short)s)), '2030-01-01');
INSERT INTO pocketlet.connection_grant (connection_id, agent_id, review_on)
SELECT connection.id, agent.id, '2030-01-01' FROM pocketlet.connection, pocketlet.agent ON CONFLICT DO NOTHING;
ALTER TABLE pocketlet.mcp_server DROP CONSTRAINT mcp_server_name_check;
INSERT INTO pocketlet.mcp_server (name, transport, url) VALUES (%(name)s, 'http', %(short)s);
INSERT INTO pocketlet.mcp_tool (server_id, tool, description, schema, annotations, digest, fault)
SELECT id, %(short)s, %(long)s, '{}', '{}', repeat('a', 64), %(short)s FROM pocketlet.mcp_server;
INSERT INTO pocketlet.mcp_grant SELECT mcp_server.id, agent.id FROM pocketlet.mcp_server, pocketlet.agent;
INSERT INTO pocketlet.channel (name, kind, address, about, secret, sender, failures, not_before)
VALUES (%(name)s, 'mail', %(short)s, '{problems}', %(short)s, %(short)s, 3, '2030-01-01');
INSERT INTO pocketlet.delivery (channel_id, subject, telling, kind, class, state, title, body, said)
SELECT id, %(short)s, 1, 'problem', 'unsafe', 'failed', %(short)s, %(long)s, %(long)s FROM pocketlet.channel;
UPDATE pocketlet.skill_source SET source = %(short)s, commit_id = %(short)s;
UPDATE pocketlet.ledger SET model = 'x:' || %(short)s, error = %(short)s WHERE id %% 2 = 0;
UPDATE pocketlet.worker SET host = %(short)s;
"""


async def spread(house: household.House) -> int:
    """All of it. The run that the mail started."""
    told = house.command("run", "crm", "--input", "-", stdin=MAIL)
    folder = Path(house.home).parent / "skills" / "hostile"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(SKILL, encoding="utf-8")
    house.command("skill", "add", "crm", folder, "--yes")
    said = [*household.PROGRAM, "chat", "crm", ATTACK + NAVIGATION, "--json"]
    subprocess.run(  # noqa: ASYNC221 - nothing else happens meanwhile
        said, env=house.environment, capture_output=True, timeout=household.PATIENCE, check=True
    )
    given = {"long": ATTACK + NAVIGATION, "short": SHORT, "name": NAME}
    config = settings.read({"POCKETLET_HOME": str(house.home)})
    async with database.opened(config) as opened, opened.setup() as conn:
        for statement in ROWS.split(b";\n")[:-1]:
            await conn.execute(statement, given)
    return told["run"]
