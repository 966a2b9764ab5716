"""Secrets in URLs: found before they get into a recipe or a record, and left out of what is shown."""

import re

# Names of query parameters that sign or authorise a URL: S3, GCS, Azure, Cloudfront and plain tokens.
_SECRET_QUERY = re.compile(
    r"(sig|signature|token|key|key-id|keyid|credential|password|secret|policy)[^=&]*=", re.IGNORECASE
)


def without_secrets(uri: str) -> str:
    """A uri as messages and ledgers may show it: without user, password, query (signed URLs) and fragment."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    return f"{scheme}://{re.split('[?#]', rest)[0].rpartition('@')[2]}"


def holds_secret(uri: str) -> bool:
    """Whether a uri carries a user, a password, a token or a signature, which then would reach records and logs."""
    _, separator, rest = uri.partition("://")
    place, _, query = rest.partition("?")
    return bool(separator) and ("@" in place.split("#")[0] or bool(_SECRET_QUERY.search(query)))
