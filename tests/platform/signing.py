"""Signs mails with DKIM for tests, in few lines that share nothing with the code that checks them."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

SIGNED = ("from", "to", "cc", "subject", "date", "message-id", "mime-version", "content-type")


@dataclass(frozen=True)
class Key:
    """A domain's key; `record` is what its owner puts into DNS."""

    domain: str
    selector: str = "s1"
    bits: int = 2048
    claims: str = ""
    private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey = field(init=False)

    def __post_init__(self) -> None:
        made = rsa.generate_private_key(65537, self.bits) if self.bits else ed25519.Ed25519PrivateKey.generate()
        object.__setattr__(self, "private", made)

    @property
    def name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def algorithm(self) -> str:
        return self.claims or ("rsa-sha256" if self.bits else "ed25519-sha256")

    @property
    def record(self) -> str:
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            octets = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            return f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(public.public_bytes_raw()).decode()}"

    def sign(self, mail: bytes, *, names: Sequence[str] = SIGNED, extra: str = "", text: bytes | None = None) -> bytes:
        """The mail with a signature on top (relaxed/relaxed). `text`: another body than the mail's to be hashed."""
        head, _, body = mail.partition(b"\r\n\r\n")
        fields: list[tuple[str, str]] = []
        for line in re.sub(r"\r\n(?=[ \t])", "", head.decode()).split("\r\n"):
            name, _, value = line.partition(":")
            fields.append((name.lower(), " ".join(value.split())))
        hashed = base64.b64encode(hashlib.sha256(relaxed(body if text is None else text)).digest()).decode()
        tags = f"v=1; a={self.algorithm}; c=relaxed/relaxed; d={self.domain}; s={self.selector}; {extra}"
        own = f"{tags} h={':'.join(names)}; bh={hashed}; b="
        left = list(fields)
        lines: list[str] = []
        for name in names:
            found = [one for one in left if one[0] == name]
            if found:
                at = len(left) - 1 - left[::-1].index(found[-1])
                lines.append("{}:{}\r\n".format(*left.pop(at)))
        data = ("".join(lines) + "dkim-signature:" + " ".join(own.split())).encode()
        return f"DKIM-Signature: {own}{self._proof(data)}\r\n".encode() + mail

    def _proof(self, data: bytes) -> str:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return base64.b64encode(self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())).decode()
        return base64.b64encode(self.private.sign(hashlib.sha256(data).digest())).decode()


def relaxed(body: bytes) -> bytes:
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)
