"""All that is known of S3 and what speaks as it does (MinIO, Ceph, R2), as a record: addresses, error codes, clients, stand-in."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Doubles, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_CODES: Mapping[str, FaultCode] = {
    "AccessDenied": C.APP_AUTH,
    "InvalidAccessKeyId": C.APP_AUTH,
    "SignatureDoesNotMatch": C.APP_AUTH,
    "ExpiredToken": C.APP_AUTH,
    "InvalidToken": C.APP_AUTH,
    "RequestTimeTooSkewed": C.APP_AUTH,
    "AllAccessDisabled": C.APP_AUTH,
    "AccountProblem": C.APP_AUTH,
    "NoSuchBucket": C.APP_NO_DB,
    "SlowDown": C.APP_RATE_LIMIT,
    "TooManyRequests": C.APP_RATE_LIMIT,
    "Throttling": C.APP_RATE_LIMIT,
    "ServiceUnavailable": C.APP_OVERLOAD,
    "InternalError": C.APP_ERROR,
    "QuotaExceeded": C.APP_QUOTA,
    "XMinioStorageFull": C.APP_READONLY,
    "XMinioServerNotInitialized": C.APP_STARTING,
}
"""Error codes of S3 and MinIO ("Error responses" of the S3 API reference), as far as they say something of the service."""


def s3_fault(code: str, text: str, *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what an error code means; one that is not known is an error of the service's own."""
    return fault(_CODES.get(code, C.APP_ERROR), phase, f"{code}: {text}" if text else code, endpoint=endpoint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the code of botocore's ClientError. NoSuchKey and its like are the product's own."""
    response = getattr(link, "response", None)
    error = response.get("Error") if isinstance(response, dict) else None
    code = str(error.get("Code", "")) if isinstance(error, dict) else ""
    if modules & {"botocore", "boto3", "aiobotocore"} and code in _CODES:
        return s3_fault(
            code, str(error.get("Message", "")) if isinstance(error, dict) else "", phase=phase, endpoint=endpoint
        )
    return None


KIND = Kind(
    name="s3",
    title="S3",
    schemes={"https": Scheme(port=443, tls=True), "http": Scheme(port=80, local=True)},
    url_prefix="s3+",
    scheme_hint="https://ACCESS_KEY:SECRET_KEY@s3.staging.example/bucket",
    options={"region": "us-east-1"},
    templates=(
        Template(
            name="s3",
            label="S3",
            short_names=("minio",),
            url="${STAGING_S3_URL}",
            local="http://local:local-stand-in-only@127.0.0.1:9020/app-test",
            exports=(
                ("AWS_ENDPOINT_URL_S3", "http://{host}:{port}"),
                ("S3_ENDPOINT_URL", "http://{host}:{port}"),
                ("MINIO_ENDPOINT", "{host}:{port}"),
                ("AWS_ACCESS_KEY_ID", "{user}"),
                ("AWS_SECRET_ACCESS_KEY", "{password}"),
                ("S3_BUCKET", "{database}"),
            ),
            words=("S3", "MINIO"),
            images=r"minio|localstack|moto|garage",
            markers=("real_s3", "s3"),
        ),
    ),
    probe="resilience.services.s3.probe:probe_s3",
    words={
        C.APP_AUTH: Words(
            cause="it is up and refuses this key, its signature, or its right to list the bucket",
            hint="aws s3 ls s3://BUCKET --endpoint-url http(s)://{host}:{port}; is this machine's clock right?",
        ),
        C.APP_NO_DB: Words(
            cause="it is up and has no such bucket",
            hint="aws s3 ls --endpoint-url http(s)://{host}:{port}; the bucket is the url's path",
        ),
    },
    clients=("boto3", "botocore", "aiobotocore", "aioboto3", "minio", "s3fs"),
    errors={
        ("botocore", "EndpointConnectionError"): C.TCP_REFUSED,
        ("botocore", "ConnectTimeoutError"): C.TCP_TIMEOUT,
        ("botocore", "ReadTimeoutError"): C.PROTO_SILENT,
        ("botocore", "ConnectionClosedError"): C.PROTO_CLOSED,
        ("botocore", "SSLError"): C.TLS_OTHER,
    },
    coded=_coded,
    commands=("aws",),
    doubles=Doubles(
        stand_in="resilience.services.s3.stand_in:STAND_INS",
        install="pip install 'resilience-runbook[s3]'",
        unavailable="no moto_server here. Hint: pip install 'resilience-runbook[s3]' (or uv tool install 'moto[server]'), "
        "or give `start`",
        has_database=True,
    ),
)
