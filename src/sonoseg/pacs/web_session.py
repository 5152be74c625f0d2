"""The HTTP session of a DICOMweb client: who we are, whom we trust, and where nothing of a patient may go."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from sonoseg.errors import UsageError
from sonoseg.pacs.address import WebAddress


class WebSession(requests.Session):
    """A session with an address's rights.

    Raises UsageError where the variable of its secret is not set, or a TLS file is not there.
    """

    def __init__(self, address: WebAddress) -> None:
        super().__init__()
        # Patients' data goes where the user said, nowhere else.
        self.max_redirects = 0
        secret = address.secret()
        if secret is not None and address.user is not None:
            self.auth = HTTPBasicAuth(address.user.encode(), secret.encode())
        elif secret is not None:
            self.auth = _Bearer(secret)
        for path in (address.ca, address.certificate, address.key):
            if path is not None and not path.is_file():
                raise UsageError("TLS: there is no such file", where=path, remedy="Give a PEM file")
        self._ca = None if address.ca is None else str(address.ca)
        if address.certificate is not None:
            self.cert = (str(address.certificate), str(address.key))

    def merge_environment_settings(self, *given: Any, **named: Any) -> Any:
        """As requests does, but what the address says of authorities goes before REQUESTS_CA_BUNDLE."""
        merged = super().merge_environment_settings(*given, **named)
        if self._ca is not None:
            merged["verify"] = self._ca
        return merged

    def prepare_request(self, request: Any) -> requests.PreparedRequest:
        """As requests does, with two things of dicomweb-client put right."""
        # It names the host without its port, which a proxy or a check of hosts may refuse.
        if request.headers:
            request.headers.pop("Host", None)
        prepared = super().prepare_request(request)
        # It writes wildcards as %2A and %3F. Both may stand in a query as they are (RFC 3986 section 3.4),
        # and Orthanc 1.10 decodes nothing there.
        parts = urlsplit(prepared.url or "")
        query = parts.query.replace("%2A", "*").replace("%3F", "?")
        prepared.url = urlunsplit(parts._replace(query=query))
        return prepared


class _Bearer(AuthBase):
    """A token, not as a header of the session: that would give way to what stands in a .netrc file."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request
