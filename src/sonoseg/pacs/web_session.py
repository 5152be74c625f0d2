"""The HTTP session of a DICOMweb client: authentication, TLS, no redirects."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from sonoseg.errors import UsageError
from sonoseg.pacs.address import WebAddress


class WebSession(requests.Session):
    """A session with the credentials of an address.

    Raises UsageError if the variable of its secret is not set or a TLS file does not exist.
    """

    def __init__(self, address: WebAddress) -> None:
        super().__init__()
        # A redirect could send patients' data to another host.
        self.max_redirects = 0
        secret = address.secret()
        if secret is not None and address.user is not None:
            self.auth = HTTPBasicAuth(address.user.encode(), secret.encode())
        elif secret is not None:
            self.auth = _Bearer(secret)
        for path in (address.ca, address.certificate, address.key):
            if path is not None and not path.is_file():
                raise UsageError("TLS: no such file", where=path, remedy="Give a PEM file")
        self._ca = None if address.ca is None else str(address.ca)
        if address.certificate is not None:
            self.cert = (str(address.certificate), str(address.key))

    def merge_environment_settings(self, *given: Any, **named: Any) -> Any:
        """As requests does, but the address's `ca` takes precedence over REQUESTS_CA_BUNDLE."""
        merged = super().merge_environment_settings(*given, **named)
        if self._ca is not None:
            merged["verify"] = self._ca
        return merged

    def prepare_request(self, request: Any) -> requests.PreparedRequest:
        """As requests does, with two corrections of dicomweb-client."""
        # Its Host header lacks the port, which a proxy may refuse.
        if request.headers:
            request.headers.pop("Host", None)
        prepared = super().prepare_request(request)
        # It encodes wildcards as %2A and %3F, which a query may contain unencoded (RFC 3986 section 3.4);
        # Orthanc 1.10 does not decode them.
        parts = urlsplit(prepared.url or "")
        query = parts.query.replace("%2A", "*").replace("%3F", "?")
        prepared.url = urlunsplit(parts._replace(query=query))
        return prepared


class _Bearer(AuthBase):
    """A bearer token. A header of the session would be overridden by a .netrc file."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request
