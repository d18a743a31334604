"""What the error codes of S3 mean, and what they mean in boto3's errors."""

from __future__ import annotations

import pytest

from resilience.core.records import FaultCode
from resilience.core.urls import url_parts
from resilience.services.registry import KINDS
from resilience.services.s3.kind import KIND, s3_fault

C = FaultCode


@pytest.mark.parametrize(
    ("code", "meaning"),
    [("AccessDenied", C.APP_AUTH), ("NoSuchBucket", C.APP_NO_DB), ("SlowDown", C.APP_RATE_LIMIT), ("Odd", C.APP_ERROR)],
)
def test_a_code_says_what_it_means(code: str, meaning: FaultCode) -> None:
    assert s3_fault(code, "text").code is meaning


def test_its_urls_are_those_of_http_with_a_prefix_where_nothing_else_names_the_kind() -> None:
    found = KINDS.by_url("s3+https://KEY:SECRET@s3.staging.example/bucket")
    assert found is not None
    assert found[0] is KIND
    assert url_parts("https://KEY:SECRET@s3.staging.example/bucket", KIND).port == 443
    assert KINDS.by_url("https://s3.staging.example") != (KIND, "https://s3.staging.example")
