"""All that is known of HTTP services, as a record: backends and the authentication service."""

from __future__ import annotations

from resilience.core.kind import Doubles, Kind, Role, Scheme, Template, Words
from resilience.core.records import FaultCode

C = FaultCode

KIND = Kind(
    name="http",
    title="HTTP",
    schemes={"http": Scheme(port=80, local=True), "https": Scheme(port=443, tls=True)},
    keys=(
        *("headers", "expect_status", "expect_body", "expect_json", "mock_routes"),
        *("teach", "teach_contract", "teach_routes", "recorder_tls", "require", "build_from"),
    ),
    options={"mock": ""},
    choices={"mock": ("backend", "auth")},
    templates=(
        Template(
            name="backend_api",
            label="backend",
            short_names=("backend",),
            url="${STAGING_BACKEND_URL}",
            local="http://127.0.0.1:8090/health",
            exports=tuple(
                (name, "http://{host}:{port}") for name in ("BACKEND_URL", "API_URL", "API_BASE_URL", "SERVER_URL")
            ),
            words=("BACKEND", "API", "SERVER", "SERVICE"),
            critical=True,
            markers=("real_services", "backend", "api"),
            needs=("database", "redis", "auth_service"),
        ),
        Template(
            name="auth_service",
            label="auth",
            short_names=("auth",),
            url="${STAGING_AUTH_URL}",
            local="http://127.0.0.1:8091/health",
            exports=tuple((name, "http://{host}:{port}") for name in ("AUTH_SERVICE_URL", "AUTH_URL", "AUTH_ISSUER")),
            words=("AUTH", "OIDC", "KEYCLOAK"),
            images=r"keycloak|/auth",
            markers=("real_auth", "auth"),
            needs=("database",),
        ),
    ),
    probe="resilience.services.http.probe:probe_http",
    words={
        C.APP_OVERLOAD: Words(
            cause="no healthy instance behind it, a cold start, or a dependency that is down",
            hint="look at its instances and at the database behind it first (gcloud run services list; "
            "kubectl get pods); assess again",
        ),
        C.APP_AUTH: Words(
            cause="it is up and refuses us: a health path that wants a token, or the auth service is down",
            hint="curl -i http://{endpoint}/ ; set headers for this service, or expect_status = [200, 401] if that is its answer",
        ),
    },
    plain_clients=("httpx", "requests", "aiohttp", "httpcore", "urllib3", "urllib", "http"),
    roles=frozenset({Role.HTTP_FRONT}),
    doubles=Doubles(
        stand_in="resilience.services.http.stand_in:STAND_INS",
        mock="backend",
        recordable=True,
    ),
)
