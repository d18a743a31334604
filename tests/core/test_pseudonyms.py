"""Strangers are told what happened and not to whom."""

from __future__ import annotations

from resilience.core.redact import Redactor


def test_strangers_get_the_same_pseudonym_for_the_same_thing() -> None:
    redactor = Redactor(hosts=["staging-db", "10.52.0.3"], projects=["acme-staging"])
    text = (
        "10.52.0.3:5432 and 10.52.0.3, 192.168.1.9, fd00::17; staging-db:5432, db.staging.internal, api.default.svc; "
        "projects/acme-prod-1/x, acme-staging:europe-west1:main, ann@corp.example, bob@corp.example, ann@corp.example"
    )
    assert redactor.public(text) == (
        "address-1:5432 and address-1, address-2, address-3; host-1:5432, host-2, host-3; "
        "projects/project-2/x, project-1:europe-west1:instance-1, "
        "person-1@mail.invalid, person-2@mail.invalid, person-1@mail.invalid"
    )
    assert redactor.public("bob@corp.example at 10.52.0.3") == "person-2@mail.invalid at address-1"
    assert redactor.public(redactor.public(text)) == redactor.public(text)


def test_what_says_nothing_about_us_is_kept_for_strangers() -> None:
    text = (
        "127.0.0.1:5435 at 03:14:07.120Z, v1.2.3.4567, 8.8.8.8, ::1, localhost, example.com, tests/a.py::test_x[10.5]"
    )
    assert Redactor(hosts=["localhost"]).public(text) == text


def test_with_a_key_pseudonyms_are_the_same_in_every_run() -> None:
    one, two = Redactor(key=b"k"), Redactor(key=b"k")
    two.public("10.0.0.9")
    assert one.public("10.0.0.1") == two.public("10.0.0.1") != Redactor(key=b"j").public("10.0.0.1")
