"""What the egress wire takes for a URL and an address: our own table, and one parser that takes nothing ambiguous."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.platform.gateways import addresses

#: IANA's special-purpose registries (IPv4 and IPv6), multicast, clouds' own addresses: written down a second time.
SPECIAL = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24
203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 255.255.255.255/32
::/128 ::1/128 ::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23
2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
"""
#: Networks that `ipaddress` itself knows as special.
KNOWN = [
    network
    for constants in (ipaddress.IPv4Address._constants, ipaddress.IPv6Address._constants)  # type: ignore[attr-defined]
    for value in vars(constants).values()
    for network in (value if isinstance(value, list) else [value])
    if isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network)
]

FORBIDDEN = """
127.0.0.1 127.255.255.254 0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 169.254.169.254 172.16.0.1 172.31.255.255
192.168.0.1 192.0.0.192 168.63.129.16 192.88.99.1 198.18.0.1 224.0.0.1 239.1.2.3 240.0.0.1 255.255.255.255
::1 :: ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::169.254.169.254 ::ffff:0:169.254.169.254 64:ff9b::a9fe:a9fe
64:ff9b:1::a9fe:a9fe 2002:a9fe:a9fe:: 2002:7f00:1::1 2001:0:a9fe:a9fe:: 2001:0:808:808:0:0:5601:5601 fec0::1 fe80::1
fc00::1 fd00:ec2::254 fd20:ce::254 ff02::1 2001:db8::1 3fff::1 5f00::1 100::1 2606:4700::5efe:10.0.0.1
2606:4700::200:5efe:169.254.169.254 fe80::1%eth0 2606:4700::1%1 127.1 0177.0.0.1 0x7f.0.0.1 2130706433 localhost
"""
ALLOWED = """
8.8.8.8 1.1.1.1 9.255.255.255 11.0.0.1 93.184.216.34 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1
192.167.1.1 198.17.0.1 198.20.0.1 223.255.255.255 2606:4700:4700::1111 2a00:1450:4001:81b::200e 2001:4860:4860::8888
2606:4700::5efe:8.8.8.8
"""

REFUSED_URLS = [
    "https://0xA9FEA9FE/", "https://2852039166/", "https://0251.0376.0251.0376/", "https://169.254.43518/",
    "https://0x7f.1/", "https://127.1/", "https://0/", "https://017700000001/", "https://①②⑦.⓪.⓪.①/",
    "https://127.0.0.1.", "https://127.0.0.01/", "https://1.2.3/", "https://256.1.1.1/", "https://1.2.3.4.5/",
    "https://0x7f.0.0.1/", "https://api.example.com.0x7f/", "https://api.example.com./", "https://api.example.com:0/",
    "https://api.example.com:/", "https://api.example.com:65536/", "https://api.example.com:0443/",
    "https://api.example.com:443x/", "https://api.example.com:+443/", "https://good@evil.com/",
    "https://good:pw@evil.com/", "https://good.com\\@evil.com/", "https://good.com#@evil.com/",
    "https://good.com/#fragment", "https://ev\til.com/", "https://ev\nil.com/", "https://evil.com\r\nX: y/",
    "https://evil%00.com/", "https://evil.com%2fx/", "https://evil%2ecom/", "//evil.com/", "http:///x",
    "https:/evil.com", "https:evil.com", "https://", "https:///evil.com/", "evil.com", "ftp://evil.com/", "file:///etc/passwd",
    "gopher://evil.com/", "HTTPS//evil.com", " https://evil.com/", "https://evil.com/ ", "https://evil.com/\x00",
    "https://localhost/", "https://LOCALHOST/", "https://a.localhost/", "https://printer.local/", "https://db.internal/",
    "https://metadata.google.internal/", "https://metadata.goog/", "https://metadata/", "https://intranet/",
    "https://nas.lan/", "https://router.home.arpa/", "https://x.svc/", "https://x.default.svc.cluster.local/",
    "https://1.0.0.127.in-addr.arpa/", "https://exаmple.com/", "https://ｅxample.com/", "https://example。com/",
    "https://faß.de/", "https://example.com/é", "https://-a.com/", "https://a-.com/", "https://a..com/", "https://.com/",
    "https://a_b.com/", "https://" + "a" * 64 + ".com/", "https://" + "a." * 130 + "com/", "https://[::1/",
    "https://[::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[127.0.0.1]/", "https://[::g]/", "https://::1/",
    "https://evil.com/a\\b", "https://evil.com//x", "https://evil.com/a/../b", "https://evil.com/%2e%2e/b",
    "https://evil.com/a/.%2E/b", "https://evil.com/a/..;/b", "https://evil.com/%252e%252e/b", "https://evil.com/..%2fb",
    "https://evil.com/%5c..%5cb", "https://evil.com/%00", "https://evil.com/%0d%0aX:y", "https://evil.com/%",
    "https://evil.com/%zz", "https://evil.com/%2500", "https://evil.com/?a=%00", "https://evil.com/a b",
    "https://evil.com/%2Fevil.com", "https://evil.com/./a", "https://evil.com/.", "https://evil.com/<a>", "",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN.split())
def test_an_address_that_leads_inside_is_forbidden(address: str) -> None:
    assert addresses.forbidden(address)


@pytest.mark.parametrize("address", ALLOWED.split())
def test_an_address_of_the_internet_is_not(address: str) -> None:
    assert addresses.forbidden(address) is None


def test_the_reason_names_what_is_embedded() -> None:
    assert addresses.forbidden("64:ff9b::a9fe:a9fe") == (
        "NAT64 for 169.254.169.254: link-local, where clouds keep credentials"
    )


@settings(deadline=None)
@given(st.data())
def test_every_address_of_a_special_network_is_forbidden(data: st.DataObject) -> None:
    network = data.draw(st.sampled_from([*map(ipaddress.ip_network, SPECIAL.split()), *KNOWN]))
    kept = {ipaddress.ip_network("2001:4:112::/48")}
    if network in kept or network.num_addresses == 2**network.max_prefixlen:
        return
    offset = data.draw(st.integers(0, network.num_addresses - 1))
    assert addresses.forbidden(str(network[offset])), network


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_only_the_internet_as_python_knows_it_is_left(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    if addresses.forbidden(str(address)) is None:
        assert address.is_global
        assert not address.is_multicast


@settings(deadline=None)
@given(st.integers(0, 2**128 - 1) | st.integers(2**125, 2**126 - 1))
def test_only_the_internet_of_ipv6_is_left(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    if addresses.forbidden(str(address)) is None:
        assert address.is_global
        assert address in ipaddress.ip_network("2000::/3")


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_makes_it_fail(text: str) -> None:
    assert addresses.forbidden(text) is None or isinstance(addresses.forbidden(text), str)


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_what_can_be_read_in_two_ways_is_no_url(url: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        addresses.host_of(url)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.example.com", ("https", "api.example.com", 443, "/")),
        ("HTTPS://API.Example.COM/v1/Items?a=b%20c&d", ("https", "api.example.com", 443, "/v1/Items?a=b%20c&d")),
        ("http://example.com:8080?x=@y", ("http", "example.com", 8080, "/?x=@y")),
        ("https://8.8.8.8/dns-query", ("https", "8.8.8.8", 443, "/dns-query")),
        ("https://[2606:4700:4700:0::1111]:443/", ("https", "2606:4700:4700::1111", 443, "/")),
        ("https://xn--bcher-kva.example.com/a%2Fb", ("https", "xn--bcher-kva.example.com", 443, "/a%2Fb")),
        ("https://example.com/a/..b/c.../?q=%0A..%2f", ("https", "example.com", 443, "/a/..b/c.../?q=%0A..%2f")),
    ],
)
def test_a_plain_url_is_read_as_it_is_sent(url: str, expected: tuple[str, str, int, str]) -> None:
    read = addresses.host_of(url)
    assert (read.scheme, read.host, read.port, read.target) == expected


@settings(deadline=None)
@given(st.text(alphabet="htps:/.@\\#?%[]0123456789axe-_\t\n ①é", max_size=40))
def test_a_host_that_is_taken_is_nothing_but_a_host(rest: str) -> None:
    try:
        read = addresses.host_of("https://" + rest)
    except errors.BadInput:
        return
    assert rest.lower().startswith((read.host, "["))
    assert "." in read.host or ":" in read.host
    assert not set(read.host) & set("@\\#?%[]/ \t\n")


@pytest.mark.parametrize("host", ["localhost", "nas", "printer.local", "db.internal", "127.0.0.1", "[::1]"])
def test_local_names_are_for_pinned_connections(host: str) -> None:
    assert addresses.host_of(f"http://{host}:8080/", inner=True).port == 8080


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "a@localhost", "localhost.", "①②⑦.⓪.⓪.①"])
def test_a_pin_makes_no_disguise_readable(host: str) -> None:
    with pytest.raises(errors.BadInput):
        addresses.host_of(f"http://{host}:8080/", inner=True)


@pytest.mark.parametrize(
    ("address", "pinned", "reached"),
    [
        ("127.0.0.1", ["127.0.0.1"], True),
        ("127.0.0.2", ["127.0.0.1"], False),
        ("192.168.1.7", ["10.0.0.0/8", "192.168.1.0/24"], True),
        ("192.168.2.7", ["10.0.0.0/8", "192.168.1.0/24"], False),
        ("8.8.8.8", ["192.168.1.0/24"], False),
        ("::1", ["::1"], True),
        ("::ffff:127.0.0.1", ["127.0.0.1"], False),
        ("fe80::1%eth0", ["fe80::/10"], False),
        ("169.254.169.254", ["169.254.0.0/16"], False),
        ("169.254.169.254", ["169.254.169.254"], True),
        ("fd00:ec2::254", ["fd00::/8"], False),
        ("127.1", ["127.0.0.0/8"], False),
    ],
)
def test_a_pin_reaches_only_what_it_names(address: str, pinned: list[str], *, reached: bool) -> None:
    assert (addresses.unpinned(address, pinned) is None) is reached


@pytest.mark.parametrize(
    "pin", ["0.0.0.0/0", "10.0.0.0/8", "192.168.0.0/23", "::/0", "fd00::/63", "bogus", "10.0.0.5:80"]
)
def test_a_pin_is_narrow_and_the_hint_shows_one(pin: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        addresses.check_pins(["10.0.0.0/24", "fd00::/64", pin])
    assert "--pin 192.168.1.5" in caught.value.hint


@pytest.mark.parametrize("pin", ["localhost", "192.168.1.1/24", "127.1", "", "10.0.0.0/33", "fe80::1%eth0/64"])
def test_a_pin_is_an_address_or_a_network(pin: str) -> None:
    with pytest.raises(errors.BadInput):
        addresses.unpinned("10.0.0.1", [pin])
