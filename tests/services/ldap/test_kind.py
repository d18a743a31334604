"""What the result codes of LDAP mean, and in ldap3's errors."""

from __future__ import annotations

import pytest

from resilience.core.faults import classify
from resilience.core.records import FaultCode
from resilience.core.urls import url_parts
from resilience.services.ldap.kind import KIND, ldap_fault

C = FaultCode


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (49, C.APP_AUTH),
        (8, C.APP_AUTH),
        (13, C.TLS_REFUSED),
        (32, C.APP_NO_DB),
        (51, C.APP_OVERLOAD),
        (52, C.APP_SHUTDOWN),
        (80, C.APP_ERROR),
    ],
)
def test_a_code_says_what_it_means(code: int, meaning: FaultCode) -> None:
    assert ldap_fault(code, "text").code is meaning


def test_the_names_of_python_ldap_are_read_and_a_missing_entry_is_the_products_own() -> None:
    error = type("SERVER_DOWN", (Exception,), {"__module__": "ldap"})
    assert classify(error({"desc": "Can't contact LDAP server"}), kinds=(KIND,)).code is C.PROTO_CLOSED
    busy = type("LDAPError", (Exception,), {"__module__": "ldap"})
    assert classify(busy({"result": 51, "desc": "busy"}), kinds=(KIND,)).code is C.APP_OVERLOAD
    assert classify(busy({"result": 32, "desc": "No such object"}), kinds=(KIND,)).code is C.INTERNAL


def test_a_user_is_a_dn_and_the_base_is_the_path() -> None:
    parts = url_parts(KIND.templates[0].local, KIND)
    assert (parts.user, parts.database) == ("cn=admin,dc=example,dc=org", "dc=example,dc=org")
