"""The stand-in model on its wire, and that it knows nothing but its request."""

import asyncio
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
import standin_play as play

from pocketlet.demo import data

# The wire


def completion(text: str = "", *, stream: bool = False) -> bytes:
    request = {
        "model": "standin",
        "messages": play.prompt(text),
        "tools": play.WORKER_TOOLS,
        "stream": stream,
        "seed": 3,
    }
    return json.dumps(request).encode()


def post(url: str, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/chat/completions", content=body, headers=headers, timeout=10)


def test_equal_bytes_get_equal_bytes_from_another_process_too(url: str) -> None:
    process, other = play.start()
    try:
        for body in (completion(), completion(stream=True), completion("- [lesson 1] x: Never sing")):
            answers = [post(url, body), post(url, body), post(other, body)]
            assert len({answer.content for answer in answers}) == 1
            assert len({str(answer.headers) for answer in answers}) == 1
    finally:
        play.stop(process)


def test_many_clients_at_once_get_the_same(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(url, completion()).content, range(32)))
    assert len(set(answers)) == 1


async def test_a_stream_says_the_same_as_a_whole_answer(client: openai.AsyncOpenAI) -> None:
    lost: list[Any] = [{"role": "user", "content": "Hello?"}]
    for messages in (play.prompt(), lost):
        whole = await client.chat.completions.create(model="standin", messages=messages, tools=play.WORKER_TOOLS)
        stream = await client.chat.completions.create(
            model="standin",
            messages=messages,
            tools=play.WORKER_TOOLS,
            stream=True,
            stream_options={"include_usage": True},
        )
        text, name, arguments, usage = "", "", "", None
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or []:
                    assert call.function
                    name += call.function.name or ""
                    arguments += call.function.arguments or ""
        message = whole.choices[0].message
        assert text == (message.content or "")
        function = message.tool_calls[0].function if message.tool_calls else None
        assert (name, arguments) == ((function.name, function.arguments) if function else ("", ""))
        assert usage == whole.usage
        assert whole.created == 0
    assert "I am a stand-in model" in text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"\xff", b"{}", b'{"model": "standin", "messages": [1]}', b"[" * 100_000],
)
def test_what_is_no_request_is_an_error_in_the_wires_shape(url: str, body: bytes) -> None:
    answer = post(url, body)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    answer = httpx.post(f"{url}/messages", content=body, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["type"] == "error"
    assert answer.json()["error"].keys() == {"type", "message"}


REFUSED = (
    "obey=2", "obey=x", "obey=nan", "flip=0.51", "window=-1", "window=1.5", "window=inf", "sql=3", "sql=0.5",
)  # fmt: skip


def test_unknown_paths_models_and_methods(url: str) -> None:
    assert httpx.get(f"{url}/models").json()["data"][0]["id"] == "standin"
    assert httpx.get(f"{url}/nothing").json()["error"]["code"] == "unknown_url"
    for model in ("gpt-4o", "standin/wit=1", *map("standin/{}".format, REFUSED)):
        request = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        assert post(url, json.dumps(request).encode()).status_code == 404
    assert httpx.put(f"{url}/models").json()["error"]["type"] == "invalid_request_error"


def test_ids_do_not_depend_on_the_seed(url: str) -> None:
    def ids(**changes: Any) -> tuple[str, str]:
        answer = post(url, json.dumps(json.loads(completion()) | changes).encode()).json()
        return answer["id"], answer["choices"][0]["message"]["tool_calls"][0]["id"]

    assert ids() == ids(seed=4) == ids(seed=None, metadata={"user_id": "5"})
    assert ids() != ids(messages=play.prompt("- [lesson 1] x: Never sing"))
    assert ids() != ids(model="standin/obey=1")


async def test_a_key_keeps_others_out() -> None:
    process, url = play.start("--key", "right")
    try:
        async with openai.AsyncOpenAI(base_url=url, api_key="wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with openai.AsyncOpenAI(base_url=url, api_key="right", max_retries=0) as client:
            assert await asyncio.wait_for(client.models.list(), 10)
    finally:
        play.stop(process)


# It knows nothing but its context

#: Words that the shop shares with the mail, the wire and the controlled language itself.
OWN_WORDS = frozenset(
    re.findall(
        r"\w+",
        "address body email for from give have how letter letters mention message messages not name nothing subject"
        " the where you",
    )
)


def domain_words() -> set[str]:
    """Words of the shop: of its tables, its skill's labels and queries, its products and facts."""
    crm = play.DEMO / "crm"
    schema = (crm / "schema" / "01_shop.sql").read_text(encoding="utf-8")
    settings = (crm / "agent.toml").read_text(encoding="utf-8")
    text = " ".join(
        [
            *re.findall(r"\[([^\]\n]+)\]", play.SKILL),
            *re.findall(r"`(\w+)`", play.SKILL),
            *re.findall(r"^(?:create table|\s\s)\s*(\w+) ", schema, re.MULTILINE),
            settings.partition("[facts")[2].partition("\n")[2],
            *(f"{name} {category}" for name, category, _ in data.PRODUCTS),
            "refund shop sale percent parcel shipping apology",
        ]
    )
    words = set(re.findall(r"[a-z]{3,}", text.lower()))
    return {*words, *(word.removesuffix("s") for word in words)} - OWN_WORDS


def test_no_word_of_the_shop_is_in_its_source() -> None:
    domain = domain_words()
    assert {"customers", "delivered", "late", "kettle", "promise", "offer"} <= domain
    for path in (play.DEMO / "standin").glob("*.py"):
        source = path.read_text(encoding="utf-8").lower()
        source = re.sub(r"_+", " ", re.sub(r"\b(?:order by|current_date)\b", "", source))
        assert domain.intersection(re.findall(r"[a-z]+", source)) == set(), path.name


def test_it_imports_nothing_but_itself_and_the_standard_library() -> None:
    for path in (play.DEMO / "standin").glob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            name = re.match(r"(?:from|import) ([\w.]+)", line)
            if name and not name[1].startswith("."):
                assert name[1].partition(".")[0] in sys.stdlib_module_names, line


RENAMED = {
    "customer": "bolvemer",
    "customers": "bolvemers",
    "order": "grund",
    "product": "frandol",
    "days": "zims",
    "late": "morf",
    "days_late": "zims_morf",
    "promise": "trelnak",
    "delivery": "sunkalom",
    "date": "pilk",
    "offer": "wendu",
    "history": "brulags",
    "expected_on": "wunkolad_on",
    "Copper": "Zindar",
    "Kettle": "Bramol",
}


async def test_other_words_for_the_same_things_change_only_those_words(client: openai.AsyncOpenAI) -> None:
    def rename(text: str) -> str:
        whole = re.sub(r"\border by\b", "ORDER BY", text)
        return re.sub(r"\w+", lambda word: RENAMED.get(word[0], word[0]), whole).replace("ORDER BY", "order by")

    def renamed(tool: str, arguments: dict[str, Any]) -> str:
        result = play.world()(tool, arguments)
        return rename(result)

    plain = play.prompt(f"- [lesson 3] x: {play.COMMENT}")
    other = [{**message, "content": rename(message["content"])} for message in plain]
    assert "morf" in other[0]["content"]
    before = await play.run(client, plain, play.world())
    after = await play.run(client, other, renamed)
    assert len(before) == 5
    assert play.OFFER in play.only(before, "send_mail")["body"]
    assert json.loads(rename(json.dumps(before))) == json.loads(json.dumps(after))
