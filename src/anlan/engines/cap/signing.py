"""Enveloped XML signatures on CAP: RSA-SHA256 with exclusive canonicalisation; older ones are verified, SHA-1 is never made.

The algorithm is part of every answer, so that SM2/SM3 can stand beside it later.
"""
from __future__ import annotations

from dataclasses import dataclass

from lxml import etree
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod, XMLSigner, XMLVerifier, methods
from signxml.exceptions import InvalidInput, SignXMLException

from .model import DSIG
from .safe import parse

ALGORITHM = "rsa-sha256"


@dataclass(frozen=True)
class Signature:
    state: str  # absent | valid | invalid | unchecked
    algorithm: str
    why: str


def sign(raw: bytes, key_pem: bytes, certificate_pem: bytes) -> bytes:
    """The message with an enveloped RSA-SHA256 signature as the last child of alert. The content is not changed."""
    signer = XMLSigner(
        method=methods.enveloped, signature_algorithm=SignatureMethod.RSA_SHA256, digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",  # type: ignore[arg-type]
    )
    signed = signer.sign(parse(raw), key=key_pem, cert=certificate_pem.decode())
    return etree.tostring(signed, encoding="utf-8", xml_declaration=True)


def verify(raw: bytes, certificate_pem: str = "") -> Signature:
    """Whether the whole message is signed by that certificate. Without one to trust, the answer is `unchecked`.

    The signed reference must be the alert itself: a signature over another part (signature wrapping) is invalid.
    """
    root = parse(raw)
    method = root.find(f".//{{{DSIG}}}SignatureMethod")
    if method is None:
        return Signature("absent", "", "the message carries no signature")
    algorithm = method.get("Algorithm", "").rpartition("#")[2]
    if not certificate_pem:
        return Signature("unchecked", algorithm, "no certificate is on file for this sender")
    config = SignatureConfiguration(
        location="./", expect_references=1,
        signature_methods=frozenset({
            SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512, SignatureMethod.RSA_SHA1,
            SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384,
        }),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512, DigestAlgorithm.SHA1}),
    )
    try:
        result = XMLVerifier().verify(root, x509_cert=certificate_pem, expect_config=config)
    except (SignXMLException, InvalidInput, ValueError, TypeError, etree.LxmlError) as error:
        return Signature("invalid", algorithm, str(error)[:200] or type(error).__name__)
    except Exception as error:  # cryptography raises its own family; a signature we cannot check is not a valid one
        return Signature("invalid", algorithm, type(error).__name__)
    signed = result.signed_xml  # type: ignore[union-attr]
    if signed is None or etree.QName(signed).localname != "alert":
        return Signature("invalid", algorithm, "the signature does not cover the alert itself")
    return Signature("valid", algorithm, "")
