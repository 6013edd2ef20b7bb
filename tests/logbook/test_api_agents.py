"""The list of agents: each owner's own."""

from decimal import Decimal

from desks import Desk


async def test_an_owner_sees_her_agents_and_no_other(desk: Desk) -> None:
    async with desk.client() as mine, desk.client("second") as theirs:
        [crm] = (await mine.get("/v1/agents")).json()["items"]
        [foreign] = (await theirs.get("/v1/agents")).json()["items"]
        playbook = (await mine.get("/v1/agents/crm/playbook")).json()
    assert (crm["name"], foreign["name"]) == ("crm", "foreign")
    assert crm["runs"] >= 4
    assert crm["current"] == playbook["current"]
    assert f'job = "{crm["job"]}"' in playbook["manifest"]
    assert Decimal(crm["spent_today"]) > 0
    assert foreign["runs"] == 0
