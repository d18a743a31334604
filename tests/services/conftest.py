"""What the tests of the kinds share: the mocks of the guide's services, and a client to ask them with."""

from tests.kits.mock_kit import http, mocks  # noqa: F401 - fixtures
