"""A team with one service of staging, for the tests of notebooks."""

from tests.kits.run_kit import staging as staging, stood_in as stood_in, team as team
