"""Signs a node's certificate signing request (PKCS#10, RFC 2986).

From the request only the public key is taken, after its own signature proved that the asker holds
the private one; every name in it is ignored. Which node it becomes is the operator's word
(`node_id` of EnrolNode). The caller records the digest as the one certificate in force, in its
transaction.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from controller.keys.authority import FleetCa, Issued
from controller.keys.errors import RefusedRequestError
from controller.keys.identity import Kind, certificate_sha256

MAX_CSR_OCTETS = 16_384


def sign_node_request(ca: FleetCa, node_id: str, csr_pem: str) -> Issued:
    """The certificate of `node_id` for the key of `csr_pem`. Raises RefusedRequestError."""
    if len(csr_pem) > MAX_CSR_OCTETS:
        raise RefusedRequestError(
            f"the request for node {node_id} has {len(csr_pem)} octets; {MAX_CSR_OCTETS} are enough"
        )
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        public_key = request.public_key()
        proven = request.is_signature_valid
    except Exception as error:  # the parser raises many kinds, all of them mean: not a request
        raise RefusedRequestError(
            f"the request for node {node_id} is not a PEM certificate request: {error}"
        ) from error
    if not proven:
        raise RefusedRequestError(
            f"the request for node {node_id} is not signed by the key it names; make it again"
        )
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(
        public_key.curve, ec.SECP256R1
    ):
        raise RefusedRequestError(
            f"the request for node {node_id} has a key of another type; EC P-256 is allowed "
            "(openssl ecparam -name prime256v1 -genkey)"
        )
    certificate = ca.certify(Kind.NODE, node_id, public_key)
    return Issued(certificate.public_bytes(Encoding.PEM), b"", certificate_sha256(certificate))
